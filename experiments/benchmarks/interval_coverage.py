"""Do the intervals hold the truth as often as they say, and do the tests reject as seldom?

    .venv/bin/python experiments/benchmarks/interval_coverage.py --out experiments/results/statistics

A thousand data sets of patients with one to four videos are simulated. The score of a video is a part that
its patient's videos share plus a part of its own, both normal, so that the true area is known exactly. Beside
the interval over patients stands the one over videos, which takes every video for a patient of its own.
"""

import argparse
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from scipy import stats

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import weighted_auroc
from echossl.evaluation.bootstrap import bootstrap_interval, paired_difference
from echossl.evaluation.delong import delong
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.permutation import permutation_test
from echossl.evaluation.resampling import Clusters, figure_of

ALPHA = 0.05
# variances of what a patient's videos share and of what is each video's own
SHARED, OWN = 0.8, 0.2
EFFECT = 1.5


@dataclass(frozen=True)
class Setting:
    """How many data sets of what size, and how often each is redrawn."""

    data_sets: int = 1000
    patients: int = 120
    prevalence: float = 0.3
    most_videos: int = 4
    resamples: int = 2000


def true_auroc() -> float:
    """Chance that a positive patient's video scores above a negative one's; the variances add up to 1."""
    return float(stats.norm.cdf(EFFECT / np.sqrt(2 * (SHARED + OWN))))


def simulate(setting: Setting, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (n,), two scores of equal worth (2, n), patients (n,)."""
    generator = np.random.default_rng([seed, 7])
    positive = generator.random(setting.patients) < setting.prevalence
    positive[:2] = [False, True]
    videos = generator.integers(1, setting.most_videos + 1, size=setting.patients)
    patients = np.repeat(np.arange(setting.patients), videos)
    # the two scores agree on half of what a patient's videos share
    common = generator.normal(scale=np.sqrt(SHARED / 2), size=setting.patients)
    apart = generator.normal(scale=np.sqrt(SHARED / 2), size=(2, setting.patients))
    own = generator.normal(scale=np.sqrt(OWN), size=(2, patients.size))
    return positive[patients].astype(int), (common + apart + EFFECT * positive)[:, patients] + own, patients


def holds(low: float, high: float) -> bool:
    return low <= true_auroc() <= high


def intervals_that_hold(setting: Setting, seed: int) -> dict[str, bool]:
    """Which intervals of one data set hold the true area."""
    labels, (scores, _), patients = simulate(setting, seed)
    config = BootstrapConfig(resamples=setting.resamples, seed=seed)
    clusters, figure = Clusters.of(patients), figure_of(weighted_auroc, labels, scores)
    by_video = bootstrap_interval(labels, scores, np.arange(labels.size), weighted_auroc, config)
    percentile = bootstrap_interval(labels, scores, patients, weighted_auroc, config)
    (bca,) = figure_intervals(figure, clusters, config, method="bca")
    (stratified,) = figure_intervals(figure, Clusters.of(patients, strata=labels), config)
    return {
        "bootstrap over patients, percentile": holds(percentile.low, percentile.high),
        "bootstrap over patients, BCa": holds(bca.low, bca.high),
        "bootstrap over patients, stratified": holds(stratified.low, stratified.high),
        "DeLong by patient, logit": holds(*delong(labels, scores, patients).interval()),
        "bootstrap over videos, percentile": holds(by_video.low, by_video.high),
        "DeLong by video, logit": holds(*delong(labels, scores).interval()),
    }


def tests_that_reject(setting: Setting, seed: int) -> dict[str, bool]:
    """Which paired tests of one data set see a difference between two scores of equal worth."""
    labels, scores, patients = simulate(setting, seed)
    config = BootstrapConfig(resamples=setting.resamples, seed=seed)
    videos = np.arange(labels.size)
    p_values = {
        "paired bootstrap over patients": paired_difference(
            labels, *scores, patients, weighted_auroc, config
        ).p_value,
        "permutation by patient": permutation_test(labels, *scores, patients, weighted_auroc, config).p_value,
        "DeLong by patient": delong(labels, scores, patients).test()[1],
        "paired bootstrap over videos": paired_difference(
            labels, *scores, videos, weighted_auroc, config
        ).p_value,
        "DeLong by video": delong(labels, scores).test()[1],
    }
    return {name: p_value < ALPHA for name, p_value in p_values.items()}


def shares(setting: Setting, workers: int = 1) -> dict[str, dict[str, float]]:
    """Share of data sets whose intervals hold the truth, and whose tests reject what is true."""
    found = {}
    with ExitStack() as stack:
        each = stack.enter_context(Pool(workers)).map if workers > 1 else map
        for what, of_one in (("coverage", intervals_that_hold), ("rejection", tests_that_reject)):
            rows = list(each(partial(of_one, setting), range(setting.data_sets)))
            found[what] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return found


def as_markdown(setting: Setting, found: dict[str, dict[str, float]]) -> str:
    error = np.sqrt(0.95 * 0.05 / setting.data_sets)
    size = f"{setting.data_sets} simulated data sets of {setting.patients} patients"
    kind = f"a share of {setting.prevalence} positive, 1 to {setting.most_videos} videos each"
    truth = f"correlation within a patient {SHARED / (SHARED + OWN):.1f}, true AUROC {true_auroc():.4f}"
    lines = [
        "# Do the intervals hold the truth?",
        "",
        f"{size} ({kind}, {truth}), {setting.resamples} redraws.",
        f"The standard error of each share is {error:.1%}.",
        "",
        "| 95 % interval of the AUROC | holds the truth |",
        "|---|---|",
        *(f"| {name} | {share:.1%} |" for name, share in found["coverage"].items()),
        "",
        "| paired test at 0.05 of two scores of equal worth | rejects |",
        "|---|---|",
        *(f"| {name} | {share:.1%} |" for name, share in found["rejection"].items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--data-sets", type=int, default=Setting.data_sets)
    options = parser.parse_args()
    setting = Setting(data_sets=options.data_sets)
    found = shares(setting, options.workers)
    text = as_markdown(setting, found)
    options.out.mkdir(parents=True, exist_ok=True)
    figures = {"setting": asdict(setting), "true_auroc": true_auroc(), **found}
    (options.out / "coverage.json").write_text(json.dumps(figures, indent=2) + "\n")
    (options.out / "coverage.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
