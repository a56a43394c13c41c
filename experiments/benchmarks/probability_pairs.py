"""Calls, probabilities and measurements, each figure with its reference."""

import numpy as np
import plain_statistics
from scipy import optimize, special, stats
from sklearn import isotonic, linear_model, metrics
from statistics_samples import Comparison, Pair, Sample

from echossl.evaluation.agreement import agreement_figures
from echossl.evaluation.brier import brier_figures, equal_mass_bins
from echossl.evaluation.calibration import calibration_figures
from echossl.evaluation.correlation import weighted_pearson, weighted_spearman
from echossl.evaluation.decision import net_benefit
from echossl.evaluation.operating import operating_figures
from echossl.evaluation.proportions import clopper_pearson, wilson
from echossl.evaluation.recalibration import recalibrate
from echossl.evaluation.smooth import smooth_calibration
from echossl.evaluation.study import Predictions


def rates_of_calls(sample: Sample) -> Pair:
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


def wilson_intervals(sample: Sample) -> Pair:
    positives = int(sample.labels.sum())
    expected = stats.binomtest(positives, sample.labels.size).proportion_ci(method="wilson")
    return wilson(positives, sample.labels.size), (expected.low, expected.high)


def exact_intervals(sample: Sample) -> Pair:
    positives = int(sample.labels.sum())
    expected = stats.binomtest(positives, sample.labels.size).proportion_ci(method="exact")
    return clopper_pearson(positives, sample.labels.size), (expected.low, expected.high)


def slopes(sample: Sample) -> Pair:
    chances = np.clip(sample.chances, 0.01, 0.99)
    log_odds = special.logit(chances)
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    expected = model.fit(log_odds[:, None], sample.labels).coef_[0, 0]
    return calibration_figures(sample.labels, chances)(sample.once)[1, 0], expected


def calibration_sums(sample: Sample) -> Pair:
    chances = np.clip(sample.chances, 0.01, 0.99)
    intercept = calibration_figures(sample.labels, chances)(sample.once)[0, 0]
    return special.expit(special.logit(chances) + intercept).sum(), sample.labels.sum()


def brier_scores(sample: Sample) -> Pair:
    expected = metrics.brier_score_loss(sample.labels, sample.chances)
    return brier_figures(sample.labels, sample.chances)(sample.once)[0, 0], expected


def brier_parts(sample: Sample) -> Pair:
    codes = equal_mass_bins(sample.chances, 10)
    expected = plain_statistics.brier_parts(sample.labels, sample.chances, codes)
    return brier_figures(sample.labels, sample.chances)(sample.once)[1:4, 0], expected


def calibration_errors(sample: Sample) -> Pair:
    codes = equal_mass_bins(sample.chances, 10)
    expected = plain_statistics.calibration_error(sample.labels, sample.chances, codes)
    return calibration_figures(sample.labels, sample.chances)(sample.once)[3, 0], expected


def smooth_curves(sample: Sample) -> Pair:
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


def isotonic_curves(sample: Sample) -> Pair:
    model = isotonic.IsotonicRegression(out_of_bounds="clip").fit(sample.scores[0], sample.labels)
    found = recalibrate(validation(sample), "isotonic").probabilities(sample.scores[1])
    return found, model.predict(sample.scores[1])


def platt_curves(sample: Sample) -> Pair:
    fit = optimize.minimize(
        plain_statistics.platt_loss, [1.0, 0.0], (sample.labels, sample.scores[0]), method="BFGS", tol=1e-9
    )
    return recalibrate(validation(sample), "platt").probabilities(sample.scores[1]), special.expit(
        fit.x[0] * sample.scores[1] + fit.x[1]
    )


def temperatures(sample: Sample) -> Pair:
    def loss(slope):
        return plain_statistics.platt_loss([slope, 0.0], sample.labels, sample.scores[0] - 1.5)

    fit = optimize.minimize_scalar(loss, bounds=(0, 20), method="bounded", options={"xatol": 1e-10})
    return recalibrate(validation(sample, 1.5), "temperature").slope, fit.x


def net_benefits(sample: Sample) -> Pair:
    limits = [0.05, 0.2, 0.5]
    expected = [plain_statistics.net_benefit(sample.labels, sample.chances, limit) for limit in limits]
    return net_benefit(sample.labels, sample.chances, limits)(sample.once)[:, 0], expected


def pearson_correlations(sample: Sample) -> Pair:
    expected = stats.pearsonr(sample.velocity, sample.scores[0])[0]
    return weighted_pearson(sample.velocity, sample.scores[0], sample.once)[0], expected


def spearman_correlations(sample: Sample) -> Pair:
    expected = stats.spearmanr(sample.velocity, sample.scores[0])[0]
    return weighted_spearman(sample.velocity, sample.scores[0], sample.once)[0], expected


def errors_of_measurements(sample: Sample) -> Pair:
    pair = sample.velocity, sample.scores[0]
    expected = metrics.mean_absolute_error(*pair), metrics.r2_score(*pair)
    return agreement_figures(*pair)(sample.once)[:2, 0], expected


def limits_of_agreement(sample: Sample) -> Pair:
    apart = sample.scores[0] - sample.velocity
    reach = stats.norm.ppf(0.975) * apart.std(ddof=1)
    expected = apart.mean() + np.array([0, -reach, reach])
    return agreement_figures(sample.velocity, sample.scores[0])(sample.once)[2:, 0], expected


COMPARISONS = (
    Comparison(
        "sensitivity, specificity, PPV, NPV, LR+, LR-, F1, MCC, balanced accuracy",
        "scikit-learn",
        rates_of_calls,
    ),
    Comparison("Wilson interval", "scipy.stats.binomtest", wilson_intervals),
    Comparison("Clopper-Pearson interval", "scipy.stats.binomtest", exact_intervals),
    Comparison("calibration slope", "scikit-learn LogisticRegression without penalty", slopes, 1e-05),
    Comparison("calibration in the large", "sum of shifted probabilities less positives", calibration_sums),
    Comparison("Brier score", "scikit-learn brier_score_loss", brier_scores),
    Comparison("reliability, resolution, uncertainty", "bin by bin (Murphy 1973)", brier_parts),
    Comparison("expected calibration error", "bin by bin", calibration_errors),
    Comparison("smooth calibration curve", "numpy.polyfit at each place", smooth_curves, 1e-08),
    Comparison("isotonic recalibration", "scikit-learn IsotonicRegression", isotonic_curves),
    Comparison("Platt recalibration", "scipy.optimize.minimize of the loss", platt_curves, 1e-05),
    Comparison(
        "temperature recalibration", "scipy.optimize.minimize_scalar of the loss", temperatures, 1e-05
    ),
    Comparison("net benefit", "the definition in a loop", net_benefits),
    Comparison("Pearson's correlation", "scipy.stats.pearsonr", pearson_correlations),
    Comparison("Spearman's correlation", "scipy.stats.spearmanr", spearman_correlations),
    Comparison("mean absolute error, R2", "scikit-learn", errors_of_measurements),
    Comparison("Bland-Altman bias and limits", "numpy mean and standard deviation", limits_of_agreement),
)
