"""Areas under curves with exact ties, for one sample or for thousands of resamples at once.

A resample of rows is the same as giving row i the integer weight "how often was it drawn". The scores of a
resample are those of the sample, so they are sorted once and every resample costs one pass over its weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echossl.errors import UserError

Floats = npt.NDArray[np.float64]
# labels (n,), scores (n,), weights (resamples, n) -> a figure per resample (resamples,), NaN where undefined
Metric = Callable[[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike], Floats]

# weights of one chunk: 1 MB, which stays in the processor's cache over all passes
ENTRIES_PER_CHUNK = 2**17


@dataclass(frozen=True)
class RocCurve:
    """Points of a receiver operating characteristic from (0, 0) to (1, 1).

    Attributes:
        false_positive_rate: 1 - specificity at falling thresholds, (points,), never decreasing.
        true_positive_rate: sensitivity at the same thresholds, (points,), never decreasing.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Chance that a random positive scores above a random negative, a tie counting half (Mann-Whitney).

    Args:
        labels: 0 or 1, (n,).
        scores: any finite number, higher is more likely positive, (n,).

    Raises:
        UserError: if a class is missing.
    """
    return _one(weighted_auroc, labels, scores)


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Mean precision over the positives, without interpolation: the area under the precision-recall curve.

    Rows with equal scores enter at one threshold, as in scikit-learn. A score without information has
    the prevalence as its expectation.

    Args:
        labels: 0 or 1, (n,).
        scores: any finite number, higher is more likely positive, (n,).

    Raises:
        UserError: if a class is missing.
    """
    return _one(weighted_average_precision, labels, scores)


def weighted_auroc(labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """AUROC of many weightings of the same rows.

    Args:
        labels: 0 or 1, (n,).
        scores: any finite number, (n,).
        weights: not negative, (resamples, n); integers repeat rows.

    Returns:
        (resamples,), 0 to 1; NaN where a class has no weight.
    """
    return _by_chunks(_group_auroc, _Ranking.of(labels, scores), np.asarray(weights))


def weighted_average_precision(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike
) -> Floats:
    """Average precision of many weightings of the same rows; see :func:`weighted_auroc`."""
    return _by_chunks(_group_average_precision, _Ranking.of(labels, scores), np.asarray(weights))


METRICS: dict[str, Metric] = {"auroc": weighted_auroc, "auprc": weighted_average_precision}


def roc_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> RocCurve:
    """Every distinct threshold's false and true positive rate; tied rows make one slanted step.

    Raises:
        UserError: if a class is missing.
    """
    ranking = _Ranking.of(labels, scores)
    positive, negative = ranking.totals(np.ones((1, ranking.order.size)))
    _refuse_one_class(positive.sum(), negative.sum())
    rates = [np.concatenate([[0.0], np.cumsum(part) / part.sum()]) for part in (negative[0], positive[0])]
    return RocCurve(*rates)


def mean_roc_curve(curves: list[RocCurve], num_points: int = 201) -> RocCurve:
    """Mean sensitivity of several curves at the same, evenly spaced specificities."""
    grid = np.linspace(0.0, 1.0, num_points)
    # np.interp takes the last of several points with equal false positive rate: the top of a vertical step
    heights = [np.interp(grid, curve.false_positive_rate, curve.true_positive_rate) for curve in curves]
    return RocCurve(np.concatenate([[0.0], grid]), np.concatenate([[0.0], np.mean(heights, axis=0)]))


@dataclass(frozen=True)
class _Ranking:
    """Rows by falling score, and where groups of equal scores begin."""

    order: npt.NDArray[np.intp]  # (n,)
    positive: Floats  # (n,) labels in that order
    starts: npt.NDArray[np.intp]  # (groups,)

    @classmethod
    def of(cls, labels: npt.ArrayLike, scores: npt.ArrayLike) -> "_Ranking":
        values = np.asarray(scores, dtype=np.float64)
        order = np.argsort(-values, kind="stable")
        positive = np.asarray(labels, dtype=np.float64)[order]
        new = np.diff(values[order], prepend=np.inf) != 0
        return cls(order, positive, np.flatnonzero(new))

    def totals(self, weights: npt.NDArray[np.generic]) -> tuple[Floats, Floats]:
        """Weights (rows, n) to the weight of the positives and the negatives of each group (rows, groups)."""
        ranked = np.take(weights, self.order, axis=1).astype(np.float64)
        positive = ranked * self.positive
        negative = ranked - positive
        if self.starts.size < self.order.size:
            positive = np.add.reduceat(positive, self.starts, axis=1)
            negative = np.add.reduceat(negative, self.starts, axis=1)
        return positive, negative


def _group_auroc(positive: Floats, negative: Floats) -> Floats:
    above = np.cumsum(negative, axis=1)
    num_positive, num_negative = positive.sum(axis=1), above[:, -1]
    # a positive beats the negatives below its group and half of those within it
    beaten = num_negative[:, None] - above + negative / 2
    wins = np.einsum("rg,rg->r", positive, beaten)
    return _ratio(wins, num_positive * num_negative)


def _group_average_precision(positive: Floats, negative: Floats) -> Floats:
    true_positives = np.cumsum(positive, axis=1)
    called = true_positives + np.cumsum(negative, axis=1)
    # 0 / 0 above the first weighted row, where nothing is called positive and recall does not move
    precision = true_positives / np.maximum(called, np.finfo(np.float64).tiny)
    total = true_positives[:, -1]
    has_both = (total > 0) & (called[:, -1] > total)
    return _ratio(np.einsum("rg,rg->r", positive, precision), np.where(has_both, total, 0.0))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, NaN where the whole is zero."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _by_chunks(
    metric: Callable[[Floats, Floats], Floats], ranking: _Ranking, weights: npt.NDArray[np.generic]
) -> Floats:
    if weights.ndim != 2 or weights.shape[1] != ranking.order.size:
        raise ValueError(f"weights of shape {weights.shape}, expected (resamples, {ranking.order.size})")
    rows = max(1, ENTRIES_PER_CHUNK // max(1, weights.shape[1]))
    chunks = [weights[first : first + rows] for first in range(0, len(weights), rows)]
    return np.concatenate([metric(*ranking.totals(chunk)) for chunk in chunks])


def _one(metric: Metric, labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    known = np.asarray(labels)
    _refuse_one_class((known == 1).sum(), (known == 0).sum())
    return float(metric(known, scores, np.ones((1, known.size)))[0])


def _refuse_one_class(num_positive: np.number, num_negative: np.number) -> None:
    if num_positive == 0 or num_negative == 0:
        raise UserError(
            f"labels: found {num_positive:.0f} positive and {num_negative:.0f} negative rows, expected both; "
            "evaluate a split that holds both classes"
        )
