"""What a linear classifier reads from the embeddings: of a label, and of what they should not tell."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echossl.config.monitors import MonitorConfig
from echossl.training.monitors.base import Embeddings, Floats, Monitor, Studies
from echossl.training.monitors.neighbours import auroc_or_nan

if TYPE_CHECKING:  # scikit-learn takes as long to import as PyTorch, and most runs have no monitors
    from sklearn.pipeline import Pipeline

FOLDS = 5


class LinearProbe(Monitor):
    """AUROC over the studies of ``split`` of a logistic regression that is fitted on those of ``fit_split``.

    Where both are the same split, in five parts: the patients of each are scored by a fit on the other four.
    """

    chooses = ("probe_auroc",)
    uses_labels = True

    @staticmethod
    def is_wanted(config: MonitorConfig) -> bool:
        """With labels."""
        return config.column is not None

    def run(self, embeddings: Embeddings) -> Iterator[tuple[str, float]]:
        """Yield ``probe_auroc``, 0 to 1."""
        asked = embeddings.of_split(self.config.split).labelled_studies()
        if self.config.fit_split == self.config.split:
            scores = scores_in_turn(asked)
        else:
            known = embeddings.of_split(self.config.fit_split).labelled_studies()
            scores = probe_scores(known, asked.features)
        yield "probe_auroc", auroc_or_nan(asked.labels, scores)


def probe_scores(known: Studies, features: Floats) -> Floats:
    """Log odds of vectors (n, dim) by a fit on the known studies; NaN if those are all of one class."""
    if len(np.unique(known.labels)) < 2:
        return np.full(len(features), np.nan)
    scores: Floats = classifier().fit(known.features, known.labels).decision_function(features)
    return scores


def scores_in_turn(studies: Studies) -> Floats:
    """Log odds of every study by fits on studies of other patients: (studies,)."""
    scores = np.full(len(studies.labels), np.nan)
    for fit, rest in patient_folds(studies.labels, studies.patients):
        part = Studies(studies.features[fit], studies.labels[fit], studies.patients[fit])
        scores[rest] = probe_scores(part, studies.features[rest])
    return scores


def patient_folds(
    labels: npt.NDArray[np.generic], patients: npt.NDArray[np.str_]
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Rows to fit on and rows to ask, five times; a patient is on one side, classes are shared evenly.

    Args:
        labels: (n,) classes.
        patients: (n,) ids, five or more.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    # without shuffling it draws nothing
    yield from StratifiedGroupKFold(FOLDS).split(np.zeros(len(labels)), labels, patients)


def classifier() -> "Pipeline":
    """Logistic regression of standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
