"""How well scores rank within the folds of a cross-validation, where each fold has a model of its own.

Put together, the scores of several models are compared across models too. Where the levels of the models
differ, the AUROC of all scores is lower than that of any model (Forman and Scholz, SIGKDD Explorations 2010);
pairs of one fold know nothing of levels.
"""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats, weighted_auroc
from echossl.evaluation.resampling import Figures


def within_folds(labels: npt.ArrayLike, scores: npt.ArrayLike, folds: npt.ArrayLike) -> Figures:
    """Share of the pairs of a positive and a negative of one fold whose positive has the higher score.

    A tie counts half. Every pair weighs the same, whatever the size of its fold; repeats weigh the same too.

    Args:
        labels: 0 or 1, (n,).
        scores: of every repeat of the cross-validation, (repeats, n).
        folds: number of the fold that tested a row, in every repeat, (repeats, n).

    Returns:
        A function for :func:`echossl.evaluation.resampling.resampled`: weights (resamples, n) to
        (1, resamples), NaN where no fold of a repeat has both classes.
    """
    truth, columns, parts = np.asarray(labels), np.atleast_2d(scores), np.atleast_2d(folds)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        shares = [_share(truth, own, part, counts) for own, part in zip(columns, parts, strict=True)]
        mean: Floats = np.mean(shares, axis=0)
        return mean[None]

    return figures


def _share(labels: npt.NDArray[np.generic], scores: Floats, folds: Floats, weights: Floats) -> Floats:
    """Of one repeat, (resamples,)."""
    ordered, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for fold in np.unique(folds):
        rows = folds == fold
        own, positive = weights[:, rows], labels[rows] == 1
        number = own[:, positive].sum(axis=1) * own[:, ~positive].sum(axis=1)
        ordered += number * np.nan_to_num(weighted_auroc(labels[rows], scores[rows], own))
        pairs += number
    share: Floats = np.divide(ordered, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0)
    return share
