"""The face of every task: labels to targets, a head, a loss, a merit to choose by, and scores to write."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor, nn

from echossl.config.task import TaskSettings
from echossl.encoders.heads import build_head

Floats = npt.NDArray[np.floating]
Codes = npt.NDArray[np.int64]
# where there is nothing to rank
CHANCE = 0.5


class Task(ABC):
    """What is learned. Targets are (rows, k) float32, NaN where not assessed; outputs are those of the head.

    Args:
        settings: kind, columns, classes.
    """

    has_classes: ClassVar[bool] = True

    def __init__(self, settings: TaskSettings) -> None:
        self.settings = settings

    @property
    def column(self) -> str:
        """The label column, the first of several."""
        return self.settings.columns[0]

    @property
    def num_outputs(self) -> int:
        """Numbers that the head says of a clip."""
        return self.settings.num_outputs

    @property
    def num_targets(self) -> int:
        """Columns of the targets: one for each manifest column."""
        return len(self.settings.columns)

    @property
    @abstractmethod
    def score_names(self) -> tuple[str, ...]:
        """The score columns of ``predictions.csv``."""

    @property
    @abstractmethod
    def stratum_names(self) -> tuple[str, ...]:
        """What the codes of :meth:`strata` stand for."""

    @abstractmethod
    def targets(self, table: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Targets (rows, k) of a manifest: 0 or 1, the number of a class, or a value in its unit.

        Raises:
            UserError: if a column is missing or a cell holds no such label.
        """

    @abstractmethod
    def strata(self, targets: Floats) -> Codes:
        """Code (rows,) of the group that a budget's draw and balanced batches keep each row in.

        Args:
            targets: (rows, k) of patients or studies with a label.
        """

    @abstractmethod
    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Mean loss of the assessed targets; 0, with a gradient of 0, if none is.

        Args:
            outputs: (batch, outputs).
            targets: (batch, k).
            label_smoothing: share of each target that is spread evenly over all classes, 0 to 1.
            class_weights: see :meth:`balanced_weights`; the mean is divided by the weights of the targets.
        """

    @abstractmethod
    def merit(self, targets: Floats, outputs: Floats) -> float:
        """How good the outputs are, higher is better: what the number of updates is chosen by.

        Args:
            targets: (studies, k).
            outputs: (studies, outputs).
        """

    @abstractmethod
    def scores(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """What ``predictions.csv`` says: (studies, ``len(score_names)``)."""

    @abstractmethod
    def labels(self, targets: Floats) -> pd.DataFrame:
        """Targets as a manifest writes them: a column for each manifest column, NaN where not assessed."""

    def fitted(self, targets: Floats) -> Self:
        """The task with what it takes from the labels of the budget; only regression takes anything."""
        del targets
        return self

    def balanced_weights(self, targets: Floats, *, most: float | None = None) -> Tensor | None:
        """Weights of the loss under which every class has the same total weight; None without classes.

        Args:
            targets: (rows, k) of the labels that are trained on.
            most: cap of the weight of a class, in weights of the commonest; a rarer class then has less.

        Returns:
            (classes,), or (columns, 2) of multi-label; 1 on average over the rows.
        """
        del targets, most
        return None

    def make_head(self, dim: int) -> nn.Module:
        """A head that says the same of everything: (batch, dim) to (batch, outputs)."""
        return build_head(self.settings, dim)


def class_weights(codes: Codes, num_classes: int, *, most: float | None = None) -> Floats:
    """Rows / (classes that are there x rows of the class), (classes,); 1 for a class without rows.

    Args:
        codes: class of each row, (rows,).
        num_classes: how many there are.
        most: cap of each weight in weights of the commonest class; all are then scaled to 1 on average over
            the rows again, so that a column with a rare class counts no less than another.
    """
    counts = np.bincount(codes, minlength=num_classes)
    found = counts > 0
    weights: Floats = np.where(found, len(codes) / (max(found.sum(), 1) * np.maximum(counts, 1)), 1.0)
    if most is None or not found.any():
        return weights
    capped = np.minimum(weights, most * weights[found].min())
    scaled: Floats = np.where(found, capped * counts.sum() / (capped * counts).sum(), 1.0)
    return scaled
