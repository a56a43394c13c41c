"""Yes or no: one logit and the binary cross-entropy."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.adapt.tasks.base import CHANCE, Codes, Floats, Task, class_weights
from echossl.data.labels import NOT_ASSESSED_CODE, encode_labels
from echossl.evaluation.auc import auroc


class BinaryTask(Task):
    """A label of 0 or 1; the score is the logit as it is."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """``severe_as_score``."""
        return (f"{self.column}_score",)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """The two classes."""
        return ("negative", "positive")

    def targets(self, table: pd.DataFrame) -> npt.NDArray[np.float32]:
        """0 or 1."""
        codes = encode_labels(table, self.column, kind="binary")
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
        """Binary cross-entropy; see the base class."""
        return binary_loss(outputs, targets, label_smoothing, class_weights)

    def merit(self, targets: Floats, outputs: Floats) -> float:
        """AUROC."""
        return known_auroc(targets[:, 0], outputs[:, 0])

    def scores(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """The logit, any real number."""
        return np.asarray(outputs, dtype=np.float64)

    def labels(self, targets: Floats) -> pd.DataFrame:
        """0 or 1."""
        return pd.DataFrame(targets, columns=list(self.settings.columns)).astype("Int64")

    def balanced_weights(self, targets: Floats, *, most: float | None = None) -> Tensor:
        """(2,)."""
        known = targets[~np.isnan(targets)].astype(np.int64)
        return torch.from_numpy(class_weights(known, 2, most=most)).float()


def binary_loss(
    outputs: Tensor, targets: Tensor, label_smoothing: float, class_weights: Tensor | None
) -> Tensor:
    """Binary cross-entropy of the assessed cells.

    Args:
        outputs: logits (batch, k).
        targets: 0, 1 or NaN, (batch, k).
        label_smoothing: 0 and 1 become ``s / 2`` and ``1 - s / 2``.
        class_weights: weights of 0 and of 1, (2,) or (k, 2) by column.
    """
    known = ~targets.isnan()
    logits, labels = outputs[known], targets[known]
    if not labels.numel():
        return outputs.sum() * 0
    weights = None
    if class_weights is not None:
        pairs = class_weights.to(outputs).expand(targets.shape[1], 2)
        columns = torch.arange(targets.shape[1], device=targets.device).expand_as(targets)[known]
        weights = pairs[columns, labels.long()]
    if label_smoothing:
        labels = labels * (1 - label_smoothing) + label_smoothing / 2
    if weights is None:
        return F.binary_cross_entropy_with_logits(logits, labels)
    losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return (weights * losses).sum() / weights.sum()


def known_auroc(labels: Floats, scores: Floats) -> float:
    """AUROC of the assessed rows, one half where they lack a class."""
    known = ~np.isnan(labels)
    if len(np.unique(labels[known])) < 2:
        return CHANCE
    return float(auroc(labels[known], scores[known]))
