"""Paired permutation test: would the difference be as large if the two scores were exchangeable?

For each patient a coin decides whether all its rows swap their two scores. Rows of one patient swap together,
so that no study counts as evidence of its own. The hypothesis is that the scores are exchangeable, which is
more than that their figures are equal.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import Floats, Metric
from echossl.evaluation.bootstrap import ENTRIES_PER_CHUNK, NO_DIFFERENCE

# a random stream of its own, after those of the bootstraps
SWAPS = 5


@dataclass(frozen=True)
class Permutation:
    """A paired permutation test.

    Attributes:
        value: the metric of the first score minus that of the second.
        p_value: two-sided, (1 + as large) / (1 + permutations): never 0.
        permutations: how often the coins were thrown.
    """

    value: float
    p_value: float
    permutations: int


def permutation_test(
    labels: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    patients: npt.ArrayLike,
    metric: Metric,
    config: BootstrapConfig,
    *,
    scale: Literal["ranks", "values"] = "ranks",
) -> Permutation:
    """Test the difference of a metric between two scores of the same rows.

    Args:
        labels: the truth, (n,).
        scores_a: the first score, (n,).
        scores_b: the second score, (n,).
        patients: the patient of each row, (n,).
        metric: such as :func:`echossl.evaluation.weighted_auroc`.
        config: ``resamples`` permutations from ``seed``.
        scale: what is swapped. ``ranks`` (Venkatraman and Begg, Biometrika 1996) for figures of order alone,
            whose scores need no common unit; ``values`` for figures of the numbers themselves, such as Brier.

    Returns:
        The difference and its p-value.
    """
    pair = np.stack([np.asarray(scores, dtype=np.float64) for scores in (scores_a, scores_b)])
    if scale == "ranks":
        pair = stats.rankdata(pair, axis=1)
    # both scores of every row; weight 1 picks the one that counts
    twice, scores = np.tile(np.asarray(labels), 2), pair.ravel()
    names, codes = np.unique(np.asarray(patients), return_inverse=True)

    def differences(swapped: npt.NDArray[np.bool_]) -> Floats:
        of_rows = np.take(swapped, codes, axis=1)
        first = np.concatenate([~of_rows, of_rows], axis=1)
        return metric(twice, scores, first) - metric(twice, scores, ~first)

    value = float(differences(np.zeros((1, names.size), dtype=bool))[0])
    generator = np.random.default_rng([config.seed, SWAPS])
    rows, as_large = max(1, ENTRIES_PER_CHUNK // twice.size), 0
    for first in range(0, config.resamples, rows):
        coins = generator.random((min(rows, config.resamples - first), names.size)) < 0.5
        as_large += int(np.count_nonzero(np.abs(differences(coins)) >= abs(value) - NO_DIFFERENCE))
    return Permutation(value, (1 + as_large) / (1 + config.resamples), config.resamples)
