"""One of several classes without an order: a logit for each and the cross-entropy of their softmax."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.special import softmax
from torch import Tensor

from echossl.adapt.tasks.base import CHANCE, Codes, Floats, Task, class_weights
from echossl.adapt.tasks.binary import known_auroc
from echossl.data.labels import NOT_ASSESSED_CODE, class_map_of, encode_labels


class MulticlassTask(Task):
    """A column of class names; the scores are the probabilities of the classes."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """``as_grade_score_moderate`` for each class."""
        return tuple(f"{self.column}_score_{name}" for name in self.slugs)

    @property
    def slugs(self) -> tuple[str, ...]:
        """The classes without blanks, as column names have them."""
        return tuple(name.replace(" ", "_") for name in self.settings.classes)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.settings.classes

    def targets(self, table: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The number of the class in the order of the classes."""
        classes = None if class_map_of(self.column) else self.settings.classes
        codes = encode_labels(table, self.column, classes=classes)
        return np.where(codes == NOT_ASSESSED_CODE, np.nan, codes).astype(np.float32)[:, None]

    def strata(self, targets: Floats) -> Codes:
        """The class."""
        return targets[:, 0].astype(np.int64)

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy of the classes; see the base class."""
        known = ~targets[:, 0].isnan()
        if not known.any():
            return outputs.sum() * 0
        weights = None if class_weights is None else class_weights.to(outputs)
        return F.cross_entropy(
            self.class_log_probabilities(outputs[known]),
            targets[known, 0].long(),
            weight=weights,
            label_smoothing=label_smoothing,
        )

    def class_log_probabilities(self, outputs: Tensor) -> Tensor:
        """(batch, outputs) to (batch, classes), up to a constant of each row."""
        return outputs

    def merit(self, targets: Floats, outputs: Floats) -> float:
        """Mean AUROC of each class that is there against the rest."""
        return macro_auroc(targets[:, 0], outputs)

    def scores(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """Probability of each class."""
        probabilities: npt.NDArray[np.float64] = softmax(np.asarray(outputs, dtype=np.float64), axis=1)
        return probabilities

    def labels(self, targets: Floats) -> pd.DataFrame:
        """The name of the class."""
        names = [np.nan if np.isnan(code) else self.settings.classes[int(code)] for code in targets[:, 0]]
        return pd.DataFrame({self.column: pd.Series(names, dtype=object)})

    def balanced_weights(self, targets: Floats, *, most: float | None = None) -> Tensor:
        """(classes,)."""
        known = targets[~np.isnan(targets)].astype(np.int64)
        return torch.from_numpy(class_weights(known, len(self.settings.classes), most=most)).float()


def macro_auroc(codes: Floats, scores: Floats) -> float:
    """Mean over the classes that are there of the AUROC of a class against all others.

    Args:
        codes: number of the class, NaN where not assessed, (n,).
        scores: (n, classes).

    Returns:
        0 to 1; one half where fewer than two classes are there.
    """
    known = ~np.isnan(codes)
    found = np.unique(codes[known]).astype(int)
    if len(found) < 2:
        return CHANCE
    each = [known_auroc((codes[known] == code).astype(float), scores[known, code]) for code in found]
    return float(np.mean(each))
