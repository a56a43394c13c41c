"""A number, such as the peak velocity: squared error on labels that are standardised inside."""

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch.nn.functional as F
from torch import Tensor

from echossl.adapt.tasks.base import Codes, Floats, Task
from echossl.errors import UserError

NUM_STRATA = 4


class RegressionTask(Task):
    """A column of numbers; the score is in the unit of the column.

    The head learns ``(label - mean) / deviation`` with the mean and the deviation of the budget's own labels
    (:meth:`fitted`), so that a learning rate means the same for a velocity and for a percentage.
    """

    has_classes: ClassVar[bool] = False

    @property
    def score_names(self) -> tuple[str, ...]:
        """``peak_velocity_m_per_s_score``."""
        return (f"{self.column}_score",)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """Quartiles, the lowest first."""
        return tuple(f"quartile {number + 1}" for number in range(NUM_STRATA))

    def targets(self, table: pd.DataFrame) -> npt.NDArray[np.float32]:
        """The numbers as they stand."""
        if self.column not in table:
            raise UserError(
                f"manifest: no label column {self.column!r}; found {', '.join(map(str, table.columns))}"
            )
        if not pd.api.types.is_numeric_dtype(table[self.column]):
            raise UserError(f"manifest: {self.column} holds no numbers; a regression needs them")
        values = table[self.column].to_numpy(np.float32, na_value=np.nan)
        if np.isinf(values).any():
            raise UserError(f"manifest: {self.column} holds an infinite number; leave the cell empty")
        return values[:, None]

    def strata(self, targets: Floats) -> Codes:
        """The quartile among the given rows; equal values are never parted."""
        values = targets[:, 0].astype(np.float64)
        edges = np.quantile(values, np.arange(1, NUM_STRATA) / NUM_STRATA)
        return np.searchsorted(edges, values, side="right").astype(np.int64)

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Mean squared error in deviations.

        Raises:
            ValueError: if labels are to be smoothed or classes weighted, of which there are none.
        """
        if label_smoothing or class_weights is not None:
            raise ValueError("a regression has no classes to smooth or to weigh")
        known = ~targets.isnan()
        if not known.any():
            return outputs.sum() * 0
        wanted = (targets[known] - self.settings.mean) / self.settings.deviation
        return F.mse_loss(outputs[known], wanted)

    def merit(self, targets: Floats, outputs: Floats) -> float:
        """Minus the mean absolute error, in the unit of the column."""
        apart = np.abs(self.scores(outputs) - np.asarray(targets, dtype=np.float64))
        return -float(np.nanmean(apart))

    def scores(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """In the unit of the column."""
        plain = np.asarray(outputs, dtype=np.float64)
        return self.settings.mean + self.settings.deviation * plain

    def labels(self, targets: Floats) -> pd.DataFrame:
        """The numbers."""
        return pd.DataFrame(targets, columns=[self.column])

    def fitted(self, targets: Floats) -> Self:
        """With the mean and the deviation of these labels.

        Raises:
            UserError: if they do not vary.
        """
        known = np.asarray(targets[~np.isnan(targets)], dtype=np.float64)
        if known.size < 2 or not known.std():
            raise UserError(f"labels: {self.column} does not vary among the labelled patients")
        moments = {"mean": float(known.mean()), "deviation": float(known.std())}
        return type(self)(self.settings.model_copy(update=moments))
