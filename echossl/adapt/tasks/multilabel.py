"""Several findings of which any number may be present: a logit for each, without the empty cells."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from echossl.adapt.tasks.base import CHANCE, Codes, Floats, Task, class_weights
from echossl.adapt.tasks.binary import binary_loss, known_auroc
from echossl.data.labels import encode_multilabel

FEWEST_OF_A_CLASS = 2


class MultilabelTask(Task):
    """Binary columns side by side; the scores are the logits as they are."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """``COLUMN_score`` of each column."""
        return tuple(f"{column}_score" for column in self.settings.columns)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """With or without the rarest finding."""
        return ("without the rarest finding", "with the rarest finding")

    def targets(self, table: pd.DataFrame) -> npt.NDArray[np.float32]:
        """0 or 1 in each column."""
        return encode_multilabel(table, self.settings.columns)

    def strata(self, targets: Floats) -> Codes:
        """1 with the rarest finding, else 0.

        The rarest is that with the fewest positive rows, of those with two rows of either answer; the first
        of equal ones. A cell that is not assessed counts as without, in this grouping alone.
        """
        positive, negative = np.sum(targets == 1, axis=0), np.sum(targets == 0, axis=0)
        usable = np.minimum(positive, negative) >= FEWEST_OF_A_CLASS
        rarest = int(np.argmin(np.where(usable, positive, len(targets) + positive)))
        codes: Codes = (targets[:, rarest] == 1).astype(np.int64)
        return codes

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Binary cross-entropy, mean over all assessed cells; see the base class."""
        return binary_loss(outputs, targets, label_smoothing, class_weights)

    def merit(self, targets: Floats, outputs: Floats) -> float:
        """Mean AUROC of the columns that hold both answers."""
        each = [
            known_auroc(targets[:, column], outputs[:, column])
            for column in range(targets.shape[1])
            if {0, 1} <= set(targets[:, column])
        ]
        return float(np.mean(each)) if each else CHANCE

    def scores(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """The logits, any real number."""
        return np.asarray(outputs, dtype=np.float64)

    def labels(self, targets: Floats) -> pd.DataFrame:
        """0 or 1."""
        return pd.DataFrame(targets, columns=list(self.settings.columns)).astype("Int64")

    def balanced_weights(self, targets: Floats, *, most: float | None = None) -> Tensor:
        """(columns, 2)."""
        each = [
            class_weights(column[~np.isnan(column)].astype(np.int64), 2, most=most)
            if (~np.isnan(column)).any()
            else [1, 1]
            for column in targets.T
        ]
        return torch.tensor(np.array(each, dtype=np.float32))
