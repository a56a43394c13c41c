"""Figures of several classes: one against the rest, graded agreement, and order against order.

All take the weight of each row, so they can be redrawn like the area under the curve.
"""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats, weighted_auroc
from echossl.evaluation.resampling import Figures

# entries of one block of pairs of rows: 16 MB
ENTRIES_PER_BLOCK = 2**21


def one_against_rest(labels: npt.ArrayLike, scores: npt.ArrayLike, num_classes: int) -> Figures:
    """AUROC of each class against all others, and last their plain mean (macro average).

    Args:
        labels: class numbers 0 to ``num_classes`` - 1, (n,).
        scores: a score per class, any finite number, (n, classes).
        num_classes: classes that are asked for, also where the rows lack one: its figure, and the mean,
            are then NaN.

    Returns:
        Figures (classes + 1, resamples).
    """
    known, columns = np.asarray(labels), np.asarray(scores, dtype=np.float64)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        each = np.stack(
            [weighted_auroc(known == number, columns[:, number], weights) for number in range(num_classes)]
        )
        return np.concatenate([each, each.mean(axis=0, keepdims=True)])

    return figures


def weighted_quadratic_kappa(labels: npt.ArrayLike, calls: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Agreement of two gradings beyond chance, a step of two counting four times (Cohen 1968).

    Args:
        labels: true grade, 0, 1, 2, ..., (n,).
        calls: called grade on the same scale, (n,).
        weights: not negative, (resamples, n).

    Returns:
        (resamples,), at most 1, 0 for chance; NaN where both gradings are one and the same single grade.
    """
    true, called = np.asarray(labels, dtype=np.int64), np.asarray(calls, dtype=np.int64)
    num_grades = int(max(true.max(), called.max())) + 1
    counts = np.asarray(weights, dtype=np.float64)
    steps = np.arange(num_grades)
    observed = counts @ ((true - called) ** 2).astype(np.float64)
    of_true = counts @ (true[:, None] == steps).astype(np.float64)
    of_called = counts @ (called[:, None] == steps).astype(np.float64)
    cost = (steps[:, None] - steps).astype(np.float64) ** 2
    total = counts.sum(axis=1)
    expected = np.einsum("rk,kl,rl->r", of_true, cost, of_called)
    ratio: Floats = np.divide(observed * total, expected, out=np.full_like(total, np.nan), where=expected > 0)
    return 1 - ratio


def weighted_concordance(truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Chance that of two rows with different truth the greater has the greater score, a tie counting half.

    Harrell's C without censoring, (1 + Somers' D of the score given the truth) / 2; with two grades it is
    the AUROC. The truth may be a grade or a measurement.

    Args:
        truth: any number, (n,).
        scores: any finite number, (n,).
        weights: not negative, (resamples, n).

    Returns:
        (resamples,), 0 to 1; NaN where no two rows differ in truth.
    """
    true, values = np.asarray(truth, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    counts = np.asarray(weights, dtype=np.float64)
    concordant, comparable = np.zeros(len(counts)), np.zeros(len(counts))
    columns = max(1, ENTRIES_PER_BLOCK // true.size)
    for first in range(0, true.size, columns):
        block = slice(first, first + columns)
        greater = true[:, None] > true[block]
        wins = greater * (np.sign(values[:, None] - values[block]) + 1) / 2
        comparable += np.einsum("rn,rn->r", counts @ greater.astype(np.float64), counts[:, block])
        concordant += np.einsum("rn,rn->r", counts @ wins, counts[:, block])
    share: Floats = np.divide(
        concordant, comparable, out=np.full_like(comparable, np.nan), where=comparable > 0
    )
    return share
