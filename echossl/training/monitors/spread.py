"""How far embeddings lie apart on the sphere, and how near those of one patient."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from echossl.training.monitors.base import Embeddings, Floats, Monitor, unit


class Spread(Monitor):
    """Spread of the patients' mean vectors of length 1, and nearness of the videos of one patient."""

    chooses = ("embedding_std",)

    def run(self, embeddings: Embeddings) -> Iterator[tuple[str, float]]:
        """Yield ``embedding_std``, ``uniformity``, and ``alignment`` if a patient has two videos."""
        seen = embeddings.of_split(self.config.split)
        patients = unit(seen.patients())
        yield "embedding_std", embedding_std(patients)
        yield "uniformity", uniformity(patients)
        groups = [seen.features[rows] for rows in seen.videos.groupby("patient_id").indices.values()]
        several = [unit(group) for group in groups if len(group) > 1]
        if several:
            yield "alignment", alignment(several)


def embedding_std(vectors: Floats) -> float:
    """Standard deviation of a coordinate of vectors of length 1, averaged, times the root of the dimension.

    See Chen & He, arXiv 2011.10566, figure 2.

    Args:
        vectors: (n, dim) of length 1.

    Returns:
        1 for random directions, 0 if all vectors are the same one.
    """
    return float(vectors.std(axis=0).mean() * np.sqrt(vectors.shape[1]))


def uniformity(vectors: Floats) -> float:
    """Log of the mean of exp(-2 d²) over all pairs, d their distance (Wang & Isola, arXiv 2005.10242).

    Args:
        vectors: (n, dim) of length 1, n at least 2.

    Returns:
        0 if all vectors are the same one; -4 at best, or a little more if vectors are few: less is better.
    """
    row, column = np.triu_indices(len(vectors), k=1)
    # |x - y|^2 = 2 - 2 x.y for vectors of length 1
    squared = 2 - 2 * (vectors @ vectors.T)[row, column]
    return float(np.log(np.mean(np.exp(-2 * squared))))


def alignment(groups: list[Floats]) -> float:
    """Mean squared distance of the pairs within a group (Wang & Isola, arXiv 2005.10242).

    Every group counts the same, however many pairs it has.

    Args:
        groups: (n, dim) each, vectors of length 1, n at least 2.

    Returns:
        0 if the vectors of each group are the same one, up to 4: less is better.
    """
    return float(np.mean([_mean_squared_distance(group) for group in groups]))


def _mean_squared_distance(group: Floats) -> float:
    return float(np.mean([np.sum((first - second) ** 2) for first, second in combinations(group, 2)]))
