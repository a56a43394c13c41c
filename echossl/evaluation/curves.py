"""Curves with pointwise bands: sensitivity by specificity, precision by recall, and any other figures."""

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.assessment import Curve
from echossl.evaluation.auc import Floats
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.partial import rate_paths
from echossl.evaluation.resampling import Clusters, Figures

# a recall that misses its place by rounding alone has reached it
ROUNDING = 1e-12


def sensitivities_at(labels: npt.ArrayLike, scores: npt.ArrayLike, false_rates: Floats) -> Figures:
    """Sensitivity where 1 - specificity has these values, straight between thresholds.

    Args:
        labels: 0 or 1, (n,).
        scores: any finite number, (n,).
        false_rates: 0 to 1, (points,).

    Returns:
        Figures (points, resamples); NaN where a redraw lacks a class.
    """

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        paths = rate_paths(labels, scores, np.asarray(weights, dtype=np.float64))
        return np.stack([np.interp(false_rates, *path) for path in zip(*paths, strict=True)], axis=1)

    return figures


def precisions_at(labels: npt.ArrayLike, scores: npt.ArrayLike, recalls: Floats) -> Figures:
    """Precision at the highest threshold that reaches each recall: steps, as average precision has them.

    Args:
        labels: 0 or 1, (n,).
        scores: any finite number, (n,).
        recalls: above 0, at most 1, (points,).

    Returns:
        Figures (points, resamples); NaN where a redraw lacks a class.
    """
    positive = np.asarray(labels) == 1

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        false_rate, true_rate = rate_paths(labels, scores, counts)
        hits = true_rate * (counts @ positive)[:, None]
        alarms = false_rate * (counts @ ~positive)[:, None]
        called = hits + alarms
        precision = np.divide(hits, called, out=np.full_like(hits, np.nan), where=called > 0)
        places = [np.searchsorted(row, recalls - ROUNDING) for row in true_rate]
        # without both classes every place of a row holds NaN, so it is all the same which one is found
        last = precision.shape[1] - 1
        return np.stack(
            [row[np.minimum(place, last)] for row, place in zip(precision, places, strict=True)], axis=1
        )

    return figures


def curve_of(figures: Figures, places: Floats, clusters: Clusters, config: BootstrapConfig) -> Curve:
    """A curve with its pointwise percentile band.

    Args:
        figures: one figure per place.
        places: (points,).
        clusters: the patients.
        config: resamples, confidence, seed.
    """
    found = figure_intervals(figures, clusters, config)
    return Curve(
        tuple(places.tolist()),
        tuple(one.value for one in found),
        tuple(one.low for one in found),
        tuple(one.high for one in found),
    )
