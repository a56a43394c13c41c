"""Do the nearest studies of other patients have the same label? No training, and no setting to tune."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from echossl.config.monitors import MonitorConfig
from echossl.training.monitors.base import Embeddings, Floats, Monitor, Studies, unit

NEIGHBOURS = 20


class NearestNeighbours(Monitor):
    """AUROC over the studies of ``split``, scored by their 20 nearest studies of ``fit_split`` (cosine)."""

    chooses = ("knn_auroc",)
    uses_labels = True

    @staticmethod
    def is_wanted(config: MonitorConfig) -> bool:
        """With labels."""
        return config.column is not None

    def run(self, embeddings: Embeddings) -> Iterator[tuple[str, float]]:
        """Yield ``knn_auroc``, 0 to 1."""
        known = embeddings.of_split(self.config.fit_split).labelled_studies()
        asked = embeddings.of_split(self.config.split).labelled_studies()
        yield "knn_auroc", auroc_or_nan(asked.labels, neighbour_scores(known, asked))


def neighbour_scores(known: Studies, asked: Studies, *, most: int = NEIGHBOURS) -> Floats:
    """The share of positives among the nearest known studies, none of them of the same patient.

    Args:
        known: studies whose labels are used.
        asked: studies whose labels are not.
        most: neighbours of each, fewer where there are no more.

    Returns:
        (asked studies,), 0 to 1; 0.5 where all known studies are of the same patient.
    """
    similarities = unit(asked.features) @ unit(known.features).T  # (asked, known)
    similarities[asked.patients[:, None] == known.patients] = -np.inf
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :most]
    is_other = np.isfinite(np.take_along_axis(similarities, order, axis=1))
    counts = is_other.sum(axis=1)
    positives = (known.labels[order] * is_other).sum(axis=1)
    return np.where(counts > 0, positives / np.maximum(counts, 1), 0.5)


def auroc_or_nan(labels: npt.NDArray[np.int64], scores: Floats) -> float:
    """The AUROC; NaN where a class or a score is missing, which must not stop a training."""
    if not np.isfinite(scores).all():
        return float("nan")
    from echossl.evaluation.auc import weighted_auroc  # brings SciPy, which takes a moment

    return float(weighted_auroc(labels, scores, np.ones((1, len(scores))))[0])
