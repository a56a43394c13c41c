"""Effective rank: over how many directions the embeddings spread."""

from collections.abc import Iterator

import numpy as np

from echossl.training.monitors.base import Embeddings, Floats, Monitor


class EffectiveRank(Monitor):
    """RankMe (Garrido et al., arXiv 2210.02885) of the patients' mean vectors.

    ``effective_rank`` is as published; ``effective_rank_centred`` has the mean vector taken off first, which
    after a rectifier is one large direction that all patients share and that says nothing. Both are at most
    the number of patients, or the dimension if that is less.
    """

    chooses = ("effective_rank", "effective_rank_centred")

    def run(self, embeddings: Embeddings) -> Iterator[tuple[str, float]]:
        """Yield ``effective_rank`` and ``effective_rank_centred``, 1 or more."""
        patients = embeddings.of_split(self.config.split).patients()
        yield "effective_rank", effective_rank(patients)
        yield "effective_rank_centred", effective_rank(patients - patients.mean(axis=0))


def effective_rank(features: Floats) -> float:
    """The exponential of the entropy of the singular values' shares.

    Args:
        features: (n, dim).

    Returns:
        1 if all vectors lie on one line or are zero, up to min(n, dim) if they fill all directions alike.
    """
    values = np.linalg.svd(features, compute_uv=False)
    if values[0] <= 0:
        return 1.0
    shares = values / values.sum() + 1e-7  # the published epsilon, which keeps log(0) away
    return float(np.exp(-np.sum(shares * np.log(shares))))
