"""Does the score follow a measurement, such as the peak velocity? Straight lines and ranks, row by weight."""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats


def weighted_pearson(measured: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Pearson's correlation, (resamples,), -1 to 1; NaN where either has no spread.

    Args:
        measured: any finite number, (n,).
        scores: any finite number, (n,).
        weights: not negative, (resamples, n).
    """
    return _correlation(_standard(measured), _standard(scores), np.asarray(weights, dtype=np.float64))


def weighted_spearman(measured: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Spearman's rank correlation, ties at their mean rank, ranked anew in each redraw; see above."""
    counts = np.asarray(weights, dtype=np.float64)
    return _correlation(_weighted_ranks(measured, counts), _weighted_ranks(scores, counts), counts)


def _standard(values: npt.ArrayLike) -> Floats:
    """In standard deviations about the mean, (1, n): large numbers with little spread lose no digits."""
    plain = np.asarray(values, dtype=np.float64)[None]
    centred: Floats = plain - plain.mean()
    return centred / centred.std() if centred.any() else centred


def _weighted_ranks(values: npt.ArrayLike, weights: Floats) -> Floats:
    """Mean rank of each row among the weighted rows, less the mean of all, (resamples, n)."""
    groups, codes = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(groups.size))
    of_group = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(of_group, axis=1) - of_group / 2
    ranks: Floats = np.take(middle - weights.sum(axis=1, keepdims=True) / 2, codes, axis=1)
    return ranks


def _correlation(first: Floats, second: Floats, weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    first, second = (
        values - np.sum(weights * values, axis=1, keepdims=True) / total for values in (first, second)
    )
    together = np.sum(weights * first * second, axis=1)
    spread = np.sqrt(np.sum(weights * first**2, axis=1) * np.sum(weights * second**2, axis=1))
    least = np.finfo(np.float64).eps
    found: Floats = np.divide(together, spread, out=np.full_like(together, np.nan), where=spread > least)
    return found
