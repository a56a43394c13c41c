"""Every statistic beside its reference, with the largest difference seen over random samples.

    .venv/bin/python experiments/benchmarks/statistics_table.py --out experiments/results/statistics

The reference is another library where one has the figure, else the definition in plain loops.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plain_statistics
from scipy import optimize, special, stats
from sklearn import isotonic, linear_model, metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.agreement import agreement_figures
from echossl.evaluation.auc import auroc, average_precision, weighted_auroc
from echossl.evaluation.bootstrap import patient_counts, resampled_metric
from echossl.evaluation.brier import brier_figures, equal_mass_bins
from echossl.evaluation.calibration import calibration_figures
from echossl.evaluation.correlation import weighted_pearson, weighted_spearman
from echossl.evaluation.decision import net_benefit
from echossl.evaluation.delong import delong
from echossl.evaluation.grades import one_against_rest, weighted_concordance, weighted_quadratic_kappa
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.multiplicity import benjamini_hochberg, holm
from echossl.evaluation.operating import operating_figures
from echossl.evaluation.partial import partial_auroc
from echossl.evaluation.proportions import clopper_pearson, wilson
from echossl.evaluation.recalibration import recalibrate
from echossl.evaluation.resampling import Clusters, figure_of, resampled
from echossl.evaluation.smooth import smooth_calibration
from echossl.evaluation.study import Predictions


@dataclass(frozen=True)
class Sample:
    """Studies of patients; scores and probabilities hold ties for every second seed."""

    labels: np.ndarray
    grades: np.ndarray
    scores: np.ndarray  # (2, n)
    of_grades: np.ndarray  # (n, 4)
    chances: np.ndarray
    velocity: np.ndarray
    patients: np.ndarray
    p_values: np.ndarray

    @property
    def once(self) -> np.ndarray:
        """Weights that count every row once."""
        return np.ones((1, self.labels.size))


Pair = tuple[object, object]
COMPARISONS: list["Comparison"] = []


@dataclass(frozen=True)
class Comparison:
    """A statistic and its reference.

    Attributes:
        statistic: its name in the table.
        reference: what it is compared with.
        bar: the largest difference that is rounding, or the reference's own tolerance.
        both: from a sample to the figures found and those of the reference.
    """

    statistic: str
    reference: str
    bar: float
    both: Callable[[Sample], Pair]


def compared(statistic: str, reference: str, bar: float = 1e-10) -> Callable:
    def keep(both: Callable[[Sample], Pair]) -> Callable[[Sample], Pair]:
        COMPARISONS.append(Comparison(statistic, reference, bar, both))
        return both

    return keep


def samples(number: int) -> Iterator[Sample]:
    for seed in range(number):
        generator = np.random.default_rng(seed)
        decimals = 8 if seed % 2 else 1
        patients = np.repeat(np.arange(30), generator.integers(1, 4, size=30))
        size = patients.size
        grades = generator.integers(4, size=size)
        grades[:4] = range(4)
        shared = generator.normal(size=30)[patients]
        scores = (grades * 0.6 + shared + generator.normal(size=(2, size))).round(decimals)
        yield Sample(
            labels=(grades == 3).astype(int),
            grades=grades,
            scores=scores,
            of_grades=(generator.normal(size=(size, 4)) + np.eye(4)[grades]).round(decimals),
            chances=special.expit(scores[0] - 1.5).round(max(decimals, 2)),
            velocity=(1 + grades + generator.normal(scale=0.4, size=size)).round(decimals),
            patients=patients,
            p_values=generator.random(9).round(2).clip(0.01),
        )


@compared("AUROC, ties exact", "scikit-learn roc_auc_score")
def _(sample):
    return auroc(sample.labels, sample.scores[0]), metrics.roc_auc_score(sample.labels, sample.scores[0])


@compared("AUPRC (average precision)", "scikit-learn average_precision_score")
def _(sample):
    expected = metrics.average_precision_score(sample.labels, sample.scores[0])
    return average_precision(sample.labels, sample.scores[0]), expected


@compared("patient bootstrap of the AUROC", "resample and rescore with scikit-learn", 1e-12)
def _(sample):
    config = BootstrapConfig(resamples=100)
    found = resampled_metric(sample.labels, sample.scores[:1], sample.patients, weighted_auroc, config)[0]
    expected = []
    for counts in np.concatenate(list(patient_counts(30, config))):
        rows = np.repeat(np.arange(sample.labels.size), counts[sample.patients])
        expected.append(metrics.roc_auc_score(sample.labels[rows], sample.scores[0][rows]))
    return found, expected


@compared("BCa interval", "scipy.stats.bootstrap on the same redraws")
def _(sample):
    config, clusters = BootstrapConfig(resamples=200), Clusters.of(sample.patients)
    figure = figure_of(weighted_auroc, sample.labels, sample.scores[0])
    (found,) = figure_intervals(figure, clusters, config, method="bca")

    def rescored(drawn):
        rows = np.repeat(np.arange(sample.labels.size), np.bincount(drawn, minlength=30)[sample.patients])
        return metrics.roc_auc_score(sample.labels[rows], sample.scores[0][rows])

    drawn = type("Drawn", (), {"bootstrap_distribution": resampled(figure, clusters, config)[0]})
    expected = stats.bootstrap(
        (np.arange(30),), rescored, n_resamples=0, method="BCa", vectorized=False, bootstrap_result=drawn
    ).confidence_interval
    return (found.low, found.high), tuple(expected)


@compared("DeLong covariance", "every pair (DeLong 1988)")
def _(sample):
    expected = plain_statistics.u_statistic_covariance(sample.labels, sample.scores)[1]
    return delong(sample.labels, sample.scores).covariance, expected


@compared("clustered DeLong covariance", "every pair (Obuchowski 1997)")
def _(sample):
    expected = plain_statistics.u_statistic_covariance(sample.labels, sample.scores, sample.patients)[1]
    return delong(sample.labels, sample.scores, sample.patients).covariance, expected


@compared("Benjamini-Hochberg", "scipy.stats.false_discovery_control")
def _(sample):
    return benjamini_hochberg(sample.p_values), stats.false_discovery_control(sample.p_values)


@compared("Holm", "the definition in a loop")
def _(sample):
    return holm(sample.p_values), plain_statistics.holm(sample.p_values)


@compared("one-vs-rest AUROC, macro", "scikit-learn roc_auc_score, ovr")
def _(sample):
    shares = special.softmax(sample.of_grades, axis=1)
    expected = metrics.roc_auc_score(sample.grades, shares, multi_class="ovr")
    return one_against_rest(sample.grades, shares, 4)(sample.once)[4, 0], expected


@compared("quadratic weighted kappa", "scikit-learn cohen_kappa_score")
def _(sample):
    calls = sample.of_grades.argmax(axis=1)
    expected = metrics.cohen_kappa_score(sample.grades, calls, weights="quadratic")
    return weighted_quadratic_kappa(sample.grades, calls, sample.once)[0], expected


@compared("concordance (Harrell's C)", "(1 + scipy.stats.somersd) / 2")
def _(sample):
    expected = (1 + stats.somersd(sample.velocity, sample.scores[0]).statistic) / 2
    return weighted_concordance(sample.velocity, sample.scores[0], sample.once)[0], expected


@compared("partial AUROC, McClish", "scikit-learn roc_auc_score, max_fpr")
def _(sample):
    expected = metrics.roc_auc_score(sample.labels, sample.scores[0], max_fpr=0.2)
    return partial_auroc(highest=0.2)(sample.labels, sample.scores[0], sample.once)[0], expected


@compared("sensitivity, specificity, PPV, NPV, LR+, LR-, F1, MCC, balanced accuracy", "scikit-learn")
def _(sample):
    true, yes = sample.labels, sample.scores[0] > 1
    expected = [
        metrics.recall_score(true, yes),
        metrics.recall_score(true, yes, pos_label=0),
        metrics.precision_score(true, yes),
        metrics.precision_score(true, yes, pos_label=0),
        *metrics.class_likelihood_ratios(true, yes),
        metrics.f1_score(true, yes),
        metrics.matthews_corrcoef(true, yes),
        metrics.balanced_accuracy_score(true, yes),
    ]
    return operating_figures(true, yes)(sample.once)[:, 0], expected


@compared("Wilson interval", "scipy.stats.binomtest")
def _(sample):
    positives = int(sample.labels.sum())
    expected = stats.binomtest(positives, sample.labels.size).proportion_ci(method="wilson")
    return wilson(positives, sample.labels.size), (expected.low, expected.high)


@compared("Clopper-Pearson interval", "scipy.stats.binomtest")
def _(sample):
    positives = int(sample.labels.sum())
    expected = stats.binomtest(positives, sample.labels.size).proportion_ci(method="exact")
    return clopper_pearson(positives, sample.labels.size), (expected.low, expected.high)


@compared("calibration slope", "scikit-learn LogisticRegression without penalty", 1e-5)
def _(sample):
    chances = np.clip(sample.chances, 0.01, 0.99)
    log_odds = special.logit(chances)
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    expected = model.fit(log_odds[:, None], sample.labels).coef_[0, 0]
    return calibration_figures(sample.labels, chances)(sample.once)[1, 0], expected


@compared("calibration in the large", "sum of shifted probabilities less positives")
def _(sample):
    chances = np.clip(sample.chances, 0.01, 0.99)
    intercept = calibration_figures(sample.labels, chances)(sample.once)[0, 0]
    return special.expit(special.logit(chances) + intercept).sum(), sample.labels.sum()


@compared("Brier score", "scikit-learn brier_score_loss")
def _(sample):
    expected = metrics.brier_score_loss(sample.labels, sample.chances)
    return brier_figures(sample.labels, sample.chances)(sample.once)[0, 0], expected


@compared("reliability, resolution, uncertainty", "bin by bin (Murphy 1973)")
def _(sample):
    codes = equal_mass_bins(sample.chances, 10)
    expected = plain_statistics.brier_parts(sample.labels, sample.chances, codes)
    return brier_figures(sample.labels, sample.chances)(sample.once)[1:4, 0], expected


@compared("expected calibration error", "bin by bin")
def _(sample):
    codes = equal_mass_bins(sample.chances, 10)
    expected = plain_statistics.calibration_error(sample.labels, sample.chances, codes)
    return calibration_figures(sample.labels, sample.chances)(sample.once)[3, 0], expected


@compared("smooth calibration curve", "numpy.polyfit at each place", 1e-8)
def _(sample):
    places = np.quantile(sample.chances, [0.1, 0.5, 0.9])
    neighbours = round(0.75 * sample.labels.size)
    found = smooth_calibration(sample.labels, sample.chances, places)(sample.once)[:, 0]
    lines = [
        plain_statistics.local_line(sample.labels, sample.chances, sample.once[0], at, neighbours)
        for at in places
    ]
    return found, np.clip(lines, 0, 1)


def validation(sample: Sample, shift: float = 0.0) -> Predictions:
    names = sample.patients.astype(str)
    studies, split = np.arange(names.size).astype(str), np.full(names.size, "val")
    return Predictions("", "as", names, studies, split, sample.labels, sample.scores[0] - shift)


@compared("isotonic recalibration", "scikit-learn IsotonicRegression")
def _(sample):
    model = isotonic.IsotonicRegression(out_of_bounds="clip").fit(sample.scores[0], sample.labels)
    found = recalibrate(validation(sample), "isotonic").probabilities(sample.scores[1])
    return found, model.predict(sample.scores[1])


@compared("Platt recalibration", "scipy.optimize.minimize of the loss", 1e-5)
def _(sample):
    fit = optimize.minimize(
        plain_statistics.platt_loss, [1.0, 0.0], (sample.labels, sample.scores[0]), method="BFGS", tol=1e-9
    )
    return recalibrate(validation(sample), "platt").probabilities(sample.scores[1]), special.expit(
        fit.x[0] * sample.scores[1] + fit.x[1]
    )


@compared("temperature recalibration", "scipy.optimize.minimize_scalar of the loss", 1e-5)
def _(sample):
    def loss(slope):
        return plain_statistics.platt_loss([slope, 0.0], sample.labels, sample.scores[0] - 1.5)

    fit = optimize.minimize_scalar(loss, bounds=(0, 20), method="bounded", options={"xatol": 1e-10})
    return recalibrate(validation(sample, 1.5), "temperature").slope, fit.x


@compared("net benefit", "the definition in a loop")
def _(sample):
    limits = [0.05, 0.2, 0.5]
    expected = [plain_statistics.net_benefit(sample.labels, sample.chances, limit) for limit in limits]
    return net_benefit(sample.labels, sample.chances, limits)(sample.once)[:, 0], expected


@compared("Pearson's correlation", "scipy.stats.pearsonr")
def _(sample):
    expected = stats.pearsonr(sample.velocity, sample.scores[0])[0]
    return weighted_pearson(sample.velocity, sample.scores[0], sample.once)[0], expected


@compared("Spearman's correlation", "scipy.stats.spearmanr")
def _(sample):
    expected = stats.spearmanr(sample.velocity, sample.scores[0])[0]
    return weighted_spearman(sample.velocity, sample.scores[0], sample.once)[0], expected


@compared("mean absolute error, R2", "scikit-learn")
def _(sample):
    pair = sample.velocity, sample.scores[0]
    expected = metrics.mean_absolute_error(*pair), metrics.r2_score(*pair)
    return agreement_figures(*pair)(sample.once)[:2, 0], expected


@compared("Bland-Altman bias and limits", "numpy mean and standard deviation")
def _(sample):
    apart = sample.scores[0] - sample.velocity
    reach = stats.norm.ppf(0.975) * apart.std(ddof=1)
    expected = apart.mean() + np.array([0, -reach, reach])
    return agreement_figures(sample.velocity, sample.scores[0])(sample.once)[2:, 0], expected


def largest_differences(number: int, comparisons: list[Comparison]) -> list[dict[str, object]]:
    """One row per comparison over so many samples."""
    rows = []
    for one in comparisons:
        pairs = [one.both(sample) for sample in samples(number)]
        largest = max(np.max(np.abs(np.subtract(found, expected))) for found, expected in pairs)
        rows.append(
            {"statistic": one.statistic, "reference": one.reference, "bar": one.bar, "largest": largest}
        )
    return rows


def as_markdown(rows: list[dict[str, object]]) -> str:
    lines = ["| statistic | reference | largest difference seen |", "|---|---|---|"]
    lines += [f"| {row['statistic']} | {row['reference']} | {row['largest']:.0e} |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for statistics.json and statistics.md")
    parser.add_argument("--samples", type=int, default=20)
    options = parser.parse_args()
    rows = largest_differences(options.samples, COMPARISONS)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "statistics.json").write_text(json.dumps(rows, indent=2) + "\n")
        (options.out / "statistics.md").write_text(as_markdown(rows))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
