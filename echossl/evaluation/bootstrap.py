"""Percentile bootstrap over patients: intervals, and paired differences of two scores.

Patients, not videos or studies, are drawn with replacement (the cluster bootstrap of Field and Welsh, 2007,
"Bootstrapping clustered data"): what comes from one patient is no independent evidence. A draw is kept as
integer weights, so no row is ever copied and nothing is sorted again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import Floats, Metric

# patient draws of one chunk; 8 MB of random numbers
ENTRIES_PER_CHUNK = 2**20
# separate random streams, so that all figures of one seed meet the same patients
PATIENTS, DRAWS, SEEDS, OTHER_SEEDS = range(4)
# differences below this are rounding: means over runs that agree exactly differ by some 1e-17
NO_DIFFERENCE = 1e-12


@dataclass(frozen=True)
class Interval:
    """A figure and its percentile interval.

    Attributes:
        value: the figure of the sample itself.
        low: lower end, the (1 - confidence) / 2 quantile of the usable resamples.
        high: upper end, the (1 + confidence) / 2 quantile.
        resamples: resamples drawn.
        unusable: of those, how many lacked a class and were left out.
        confidence: coverage, 0.95 for the 2.5th to 97.5th percentile.
    """

    value: float
    low: float
    high: float
    resamples: int
    unusable: int
    confidence: float

    @classmethod
    def of(cls, value: float, samples: Floats, confidence: float) -> "Interval":
        """Interval of resampled figures (resamples,); NaN marks an unusable one."""
        low, high = _percentiles(samples, confidence)
        return cls(value, low, high, samples.size, int(np.isnan(samples).sum()), confidence)


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference, first minus second, with its interval.

    Attributes:
        p_value: two-sided, of the hypothesis of no difference; never 0.
    """

    p_value: float

    @classmethod
    def of(cls, value: float, samples: Floats, confidence: float) -> "Difference":
        """Difference from resampled differences (resamples,); NaN marks an unusable one."""
        low, high = _percentiles(samples, confidence)
        unusable = int(np.isnan(samples).sum())
        return cls(value, low, high, samples.size, unusable, confidence, two_sided_p_value(samples))


def bootstrap_interval(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    patients: npt.ArrayLike,
    metric: Metric,
    config: BootstrapConfig,
) -> Interval:
    """A metric with its patient-clustered percentile interval.

    Args:
        labels: 0 or 1, (n,).
        scores: any finite number, (n,).
        patients: the patient of each row, any kind of name, (n,).
        metric: such as :func:`echossl.evaluation.weighted_auroc`.
        config: resamples, confidence, seed; the same seed gives the same interval.
    """
    columns = np.asarray(scores, dtype=np.float64)[None]
    samples = resampled_metric(labels, columns, patients, metric, config)
    return Interval.of(_plain(labels, columns, metric)[0], samples[0], config.confidence)


def paired_difference(
    labels: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    patients: npt.ArrayLike,
    metric: Metric,
    config: BootstrapConfig,
) -> Difference:
    """Metric of one score minus that of another, on the same rows and the same resampled patients.

    Args:
        labels: 0 or 1, (n,).
        scores_a: the first score, (n,).
        scores_b: the second score, (n,).
        patients: the patient of each row, (n,).
        metric: such as :func:`echossl.evaluation.weighted_auroc`.
        config: resamples, confidence, seed.
    """
    columns = np.stack([np.asarray(scores, dtype=np.float64) for scores in (scores_a, scores_b)])
    samples = resampled_metric(labels, columns, patients, metric, config)
    first, second = _plain(labels, columns, metric)
    return Difference.of(first - second, samples[0] - samples[1], config.confidence)


def resampled_metric(
    labels: npt.ArrayLike,
    columns: Floats,
    patients: npt.ArrayLike,
    metric: Metric,
    config: BootstrapConfig,
) -> Floats:
    """The metric of several score columns under the same resampled patients.

    Args:
        labels: 0 or 1, (n,).
        columns: scores, (columns, n).
        patients: the patient of each row, (n,).
        metric: the figure.
        config: resamples and seed.

    Returns:
        (columns, resamples); NaN where a resample lacks a class.
    """
    names, codes = np.unique(np.asarray(patients), return_inverse=True)
    parts = []
    for counts in patient_counts(len(names), config):
        weights = np.take(counts, codes, axis=1)
        parts.append(np.stack([metric(labels, scores, weights) for scores in columns]))
    return np.concatenate(parts, axis=1)


def patient_counts(num_patients: int, config: BootstrapConfig) -> Iterator[npt.NDArray[np.int64]]:
    """How often each patient is drawn, in chunks (rows, num_patients) that add up to all resamples."""
    generator = np.random.default_rng([config.seed, PATIENTS])
    rows_per_chunk = max(1, ENTRIES_PER_CHUNK // num_patients)
    for first in range(0, config.resamples, rows_per_chunk):
        yield drawn_counts(generator, min(rows_per_chunk, config.resamples - first), num_patients)


def drawn_counts(generator: np.random.Generator, rows: int, num_patients: int) -> npt.NDArray[np.int64]:
    """How often each patient is drawn when as many are drawn with replacement, (rows, num_patients)."""
    drawn = generator.integers(num_patients, size=(rows, num_patients))
    drawn += np.arange(rows)[:, None] * num_patients  # so that one bincount serves every row
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def two_sided_p_value(samples: Floats) -> float:
    """Twice the smaller tail of the resampled differences beyond zero, each tail as (1 + count) / (1 + B).

    The one added (Davison and Hinkley, 1997) keeps it above zero: B resamples cannot show more
    than "rarer than 1 in B". A difference of zero counts on both sides.

    Args:
        samples: resampled differences; NaN is left out, (resamples,).
    """
    usable = samples[~np.isnan(samples)]
    not_above, not_below = usable <= NO_DIFFERENCE, usable >= -NO_DIFFERENCE
    tails = [1 + np.count_nonzero(not_above), 1 + np.count_nonzero(not_below)]
    return float(min(1.0, 2 * min(tails) / (1 + usable.size)))


def _percentiles(samples: Floats, confidence: float) -> tuple[float, float]:
    usable = samples[~np.isnan(samples)]
    if usable.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(usable, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _plain(labels: npt.ArrayLike, columns: Floats, metric: Metric) -> list[float]:
    """The metric of the sample itself, per column."""
    once = np.ones((1, columns.shape[1]))
    return [float(metric(labels, scores, once)[0]) for scores in columns]
