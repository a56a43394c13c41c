"""Three ways from redrawn patients to an interval: percentile, BCa and studentised.

Percentile: the middle of the redraws. BCa (Efron, JASA 1987) moves those quantiles for bias and for a spread
that depends on the figure, estimated by leaving out one patient at a time. Studentised (Hall, Annals of
Statistics 1988) measures each redraw in its own standard error, found by drawing again from it; it may leave
the range of the figure. The chapters are in Davison and Hinkley, Bootstrap Methods, 1997, section 5.
"""

from typing import Literal

import numpy as np
from scipy import stats

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import Floats
from echossl.evaluation.bootstrap import (
    ENTRIES_PER_CHUNK,
    NO_DIFFERENCE,
    Difference,
    Interval,
    two_sided_p_value,
)
from echossl.evaluation.resampling import Clusters, Figures, of_sample, resampled, without_each_patient

Method = Literal["percentile", "bca", "studentised"]
# redraws of each redraw; Davison and Hinkley take 50
INNER_DRAWS = 50
# a random stream of its own, after those of the percentile bootstrap
INNER = 4


def figure_intervals(
    figures: Figures, clusters: Clusters, config: BootstrapConfig, *, method: Method = "percentile"
) -> list[Interval]:
    """Intervals of several figures under the same redraws of the patients.

    Args:
        figures: from weights (resamples, n) to (figures, resamples), as :data:`resampling.Figures`.
        clusters: the patients, and strata if wanted.
        config: resamples, confidence, seed.
        method: how the interval is made of the redraws.

    Returns:
        One interval per figure. Redraws where a figure is undefined are left out and counted. Ends are NaN
        where the method has no answer: BCa where no redraw lies on one side of the figure or leaving out one
        patient leaves it undefined, studentised where no redraw has a spread.
    """
    return _intervals(figures, clusters, config, method, resampled(figures, clusters, config))


def _intervals(
    figures: Figures, clusters: Clusters, config: BootstrapConfig, method: Method, samples: Floats
) -> list[Interval]:
    """Intervals from the figures of every redraw, (figures, resamples)."""
    values = of_sample(figures, clusters)
    if method == "percentile":
        return [
            Interval.of(float(value), row, config.confidence)
            for value, row in zip(values, samples, strict=True)
        ]
    if method == "bca":
        left_out = without_each_patient(figures, clusters)
        ends = [_bca(*parts, config.confidence) for parts in zip(values, samples, left_out, strict=True)]
    else:
        errors = _standard_errors(figures, clusters, config)
        # a redraw without a spread of its own cannot be measured in it
        samples = np.where(errors > NO_DIFFERENCE, samples, np.nan)
        ends = [
            _studentised(*parts, config.confidence) for parts in zip(values, samples, errors, strict=True)
        ]
    return [
        Interval(float(value), *pair, row.size, int(np.isnan(row).sum()), config.confidence)
        for value, row, pair in zip(values, samples, ends, strict=True)
    ]


def difference_intervals(
    figures: Figures, clusters: Clusters, config: BootstrapConfig, *, method: Method = "percentile"
) -> list[Difference]:
    """As :func:`figure_intervals` for figures that are differences; p is that of the plain redraws.

    Build them with :func:`echossl.evaluation.resampling.difference_of`, so that both scores meet the same
    patients.
    """
    samples = resampled(figures, clusters, config)
    intervals = _intervals(figures, clusters, config, method, samples)
    return [
        Difference(**vars(interval), p_value=two_sided_p_value(row))
        for interval, row in zip(intervals, samples, strict=True)
    ]


def _bca(value: float, samples: Floats, left_out: Floats, confidence: float) -> tuple[float, float]:
    usable = samples[~np.isnan(samples)]
    if usable.size == 0 or np.isnan(left_out).any():
        return float("nan"), float("nan")
    below = (np.count_nonzero(usable < value) + np.count_nonzero(usable <= value)) / (2 * usable.size)
    bias = stats.norm.ppf(below)
    pull = left_out.mean() - left_out
    spread = np.sum(pull**2)
    acceleration = np.sum(pull**3) / (6 * spread**1.5) if spread > 0 else 0.0
    if not np.isfinite(bias):
        return float("nan"), float("nan")
    tails = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    levels = np.asarray(stats.norm.cdf(bias + tails / (1 - acceleration * tails)))
    low, high = (float(np.quantile(usable, level)) for level in levels)
    return low, high


def _studentised(value: float, samples: Floats, errors: Floats, confidence: float) -> tuple[float, float]:
    usable = ~np.isnan(samples)
    if not usable.any():
        return float("nan"), float("nan")
    steps = (samples[usable] - value) / errors[usable]
    upper, lower = np.quantile(steps, [(1 + confidence) / 2, (1 - confidence) / 2])
    error = np.std(samples[usable], ddof=1)
    return float(value - upper * error), float(value - lower * error)


def _standard_errors(figures: Figures, clusters: Clusters, config: BootstrapConfig) -> Floats:
    """Spread of each redraw when it is drawn again, (figures, resamples); NaN where none can be found."""
    generator = np.random.default_rng([config.seed, INNER])
    rows = max(1, ENTRIES_PER_CHUNK // (INNER_DRAWS * clusters.codes.size))
    parts = []
    for counts in clusters.draws(config):
        for first in range(0, len(counts), rows):
            again = clusters.redraws(counts[first : first + rows], INNER_DRAWS, generator)
            found = figures(clusters.rows(again))
            parts.append(_spread(found.reshape(len(found), -1, INNER_DRAWS)))
    return np.concatenate(parts, axis=1)


def _spread(found: Floats) -> Floats:
    """Standard deviation over the last axis without its NaN; NaN where fewer than two are left."""
    usable = ~np.isnan(found)
    count = usable.sum(axis=-1)
    mean = np.where(usable, found, 0.0).sum(axis=-1) / np.maximum(count, 1)
    squares = np.where(usable, found - mean[..., None], 0.0) ** 2
    variance = squares.sum(axis=-1) / np.maximum(count - 1, 1)
    return np.where(count > 1, np.sqrt(variance), np.nan)
