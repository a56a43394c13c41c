"""How far up a list that is sorted by similarity the first right answer stands: R@K with intervals."""

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import Floats
from echossl.evaluation.bootstrap import Interval, patient_counts

Ranks = npt.NDArray[np.int64]


def first_ranks(similarities: Floats, right: npt.NDArray[np.bool_]) -> Ranks:
    """Rank of the first right answer to each query, from 1.

    A wrong answer that is as similar as the right one stands before it, so that a model to which everything
    is alike finds nothing.

    Args:
        similarities: (queries, answers).
        right: which answers are right; at least one of each query.

    Raises:
        ValueError: if a query has no right answer.
    """
    if not right.any(axis=1).all():
        raise ValueError("a query has no right answer")
    best = np.where(right, similarities, -np.inf).max(axis=1, keepdims=True)
    ranks: Ranks = 1 + ((similarities >= best) & ~right).sum(axis=1)
    return ranks


def recall_at(ranks: Ranks, most: int, patients: npt.ArrayLike, config: BootstrapConfig) -> Interval:
    """R@K: share of the queries whose first right answer is among the first K, with its interval.

    Args:
        ranks: of :func:`first_ranks`, (queries,).
        most: K.
        patients: whose query it is; they are what is resampled, (queries,).
        config: resamples, confidence, seed.
    """
    hits = (ranks <= most).astype(np.float64)
    names, codes = np.unique(np.asarray(patients), return_inverse=True)
    samples = []
    for counts in patient_counts(len(names), config):
        weights = np.take(counts, codes, axis=1)
        samples.append(weights @ hits / weights.sum(axis=1))
    return Interval.of(float(hits.mean()), np.concatenate(samples), config.confidence)


def chance_at(right: npt.NDArray[np.bool_], most: int) -> float:
    """R@K of random similarities: the mean over queries of one minus the chance that K draws all miss.

    Args:
        right: which answers are right, (queries, answers).
        most: K.
    """
    answers, misses = right.shape[1], np.ones(len(right))
    for drawn in range(min(most, answers)):
        misses *= np.clip(answers - right.sum(axis=1) - drawn, 0, None) / (answers - drawn)
    return float(1 - misses.mean())
