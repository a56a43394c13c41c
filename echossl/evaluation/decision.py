"""Decision curves: what acting on a score is worth beside acting on all or on none.

Vickers and Elkin, Medical Decision Making 2006 (doi 10.1177/0272989X06295361). Net benefit is in true
positives per patient: a threshold of 10 % says that missing one ill patient weighs as much as nine alarms.
"""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats
from echossl.evaluation.resampling import Figures


def net_benefit(labels: npt.ArrayLike, probabilities: npt.ArrayLike, thresholds: npt.ArrayLike) -> Figures:
    """Net benefit of acting where the probability is at or above a threshold; acting on none is worth 0.

    Args:
        labels: 0 or 1, (n,).
        probabilities: calibrated ones, 0 to 1, (n,).
        thresholds: probabilities at which one would act, 0 to below 1, (thresholds,).

    Returns:
        Figures (thresholds, resamples), at most the share of positives.
    """
    acting = np.asarray(probabilities)[:, None] >= np.asarray(thresholds, dtype=np.float64)
    return _benefit(np.asarray(labels) == 1, acting, np.asarray(thresholds, dtype=np.float64))


def net_benefit_of_all(labels: npt.ArrayLike, thresholds: npt.ArrayLike) -> Figures:
    """Net benefit of acting on everyone, (thresholds, resamples); as :func:`net_benefit`."""
    limits = np.asarray(thresholds, dtype=np.float64)
    positive = np.asarray(labels) == 1
    return _benefit(positive, np.ones((positive.size, limits.size), dtype=bool), limits)


def _benefit(positive: npt.NDArray[np.bool_], acting: npt.NDArray[np.bool_], thresholds: Floats) -> Figures:
    if np.any((thresholds < 0) | (thresholds >= 1)):
        raise ValueError("thresholds of a decision curve, expected 0 to below 1")
    odds = thresholds / (1 - thresholds)
    worth = np.where(positive[:, None], 1.0, -odds) * acting  # (n, thresholds)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        mean: Floats = (counts @ worth / counts.sum(axis=1, keepdims=True)).T
        return mean

    return figures
