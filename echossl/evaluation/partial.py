"""Area under the part of the curve that would be used, on a scale where 0.5 is a guess and 1 is perfect.

McClish, Medical Decision Making 1989 (doi 10.1177/0272989X8900900307): an area between two false positive
rates, minus that of a guess, over the most it could be.
"""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats, Metric


def partial_auroc(*, lowest: float = 0.0, highest: float) -> Metric:
    """Metric for the standardised area between two false positive rates.

    Args:
        lowest: 1 - the highest specificity, 0 to 1.
        highest: 1 - the lowest specificity, above ``lowest``, at most 1; 0.1 for
            specificities of 90 % and more.

    Returns:
        A metric of labels (n,), scores (n,) and weights (resamples, n); below 0.5 is worse than a guess,
        NaN where a class has no weight.
    """
    if not 0 <= lowest < highest <= 1:
        raise ValueError(f"false positive rates {lowest} to {highest}, expected 0 <= lowest < highest <= 1")

    def metric(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
        false_rate, true_rate = rate_paths(labels, scores, np.asarray(weights, dtype=np.float64))
        area = _area(false_rate, true_rate, lowest, highest)
        of_guess, most = (highest**2 - lowest**2) / 2, highest - lowest
        return (1 + (area - of_guess) / (most - of_guess)) / 2

    return metric


def rate_paths(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: Floats) -> tuple[Floats, Floats]:
    """False and true positive rate at every threshold for many weightings of the same rows.

    Args:
        labels: 0 or 1, (n,).
        scores: any finite number, (n,).
        weights: not negative, (resamples, n).

    Returns:
        Both from 0 to 1 after each group of equal scores, (resamples, groups + 1); NaN where a class has no
        weight.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.inf) != 0)
    positive = np.asarray(labels)[order] == 1
    rates = []
    for of_class in (~positive, positive):
        groups = np.add.reduceat(weights[:, order] * of_class, starts, axis=1)
        called = np.pad(np.cumsum(groups, axis=1), ((0, 0), (1, 0)))
        total = called[:, -1:]
        rates.append(np.divide(called, total, out=np.full_like(called, np.nan), where=total > 0))
    return rates[0], rates[1]


def _area(false_rate: Floats, true_rate: Floats, lowest: float, highest: float) -> Floats:
    left, right = false_rate[:, :-1], false_rate[:, 1:]
    begin, end = np.clip(left, lowest, highest), np.clip(right, lowest, highest)
    width, bottom = right - left, true_rate[:, :-1]
    # height half way along what is left of each straight piece
    share = np.divide((begin + end) / 2 - left, width, out=np.zeros_like(width), where=width > 0)
    height = bottom + share * (true_rate[:, 1:] - bottom)
    area: Floats = np.sum((end - begin) * height, axis=1)
    return area
