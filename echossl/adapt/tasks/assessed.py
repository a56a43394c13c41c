"""One of several classes, of which a source tells apart only some: the others are not in its softmax."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from echossl.adapt.tasks.base import CHANCE, Codes, Floats
from echossl.adapt.tasks.binary import known_auroc
from echossl.adapt.tasks.multiclass import MulticlassTask
from echossl.errors import UserError

# a column of the table of labelled videos: the classes that the source of each row tells apart
ASSESSED_COLUMN = "assessed_classes"
BETWEEN = "|"


class AssessedTask(MulticlassTask):
    """A column of class names with the classes that were assessed beside it.

    Targets are (rows, classes): 1 for the class, 0 for others that were assessed, NaN for those that were
    not, and in a row without a label. The probabilities of a row are those of its assessed classes alone, so
    that a class has no gradient from sources that do not know it, neither as right nor as wrong.
    """

    @property
    def num_targets(self) -> int:
        """A column for each class."""
        return len(self.settings.classes)

    def targets(self, table: pd.DataFrame) -> npt.NDArray[np.float32]:
        """1, 0 or NaN of each class.

        Raises:
            UserError: if a label is none of the classes, or one that its source does not assess.
        """
        codes = super().targets(table)[:, 0]
        numbers = {name: number for number, name in enumerate(self.settings.classes)}
        found = np.full((len(table), len(numbers)), np.nan, dtype=np.float32)
        for row, assessed in enumerate(table[ASSESSED_COLUMN]):
            if not np.isnan(codes[row]):
                found[row, [numbers[name] for name in assessed.split(BETWEEN)]] = 0.0
        known = np.flatnonzero(~np.isnan(codes))
        own = codes[known].astype(int)
        strange = known[np.isnan(found[known, own])]
        if strange.size:
            name, assessed = self.settings.classes[int(codes[strange[0]])], table[ASSESSED_COLUMN]
            raise UserError(
                f"manifest: {self.column} is {name!r} in {strange.size} rows of a source that is said to "
                f"assess {assessed.iloc[strange[0]].replace(BETWEEN, ', ')}; add the class to its assessed, "
                "or leave these cells empty"
            )
        found[known, own] = 1.0
        return found

    def strata(self, targets: Floats) -> Codes:
        """The class; of a patient with several the last of them."""
        return class_numbers(targets).astype(np.int64)

    def loss(
        self,
        outputs: Tensor,
        targets: Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy of the softmax over the assessed classes; see the base class."""
        known = ~targets.isnan().all(dim=1)
        if not known.any():
            return outputs.sum() * 0
        outputs, targets = outputs[known].float(), targets[known]
        assessed = ~targets.isnan()
        right = targets.nan_to_num()
        log_shares = outputs.masked_fill(~assessed, -torch.inf).log_softmax(dim=1).masked_fill(~assessed, 0.0)
        weights = torch.ones_like(outputs) if class_weights is None else class_weights.to(outputs)
        spread = assessed / assessed.sum(dim=1, keepdim=True)
        wanted = (1 - label_smoothing) * right + label_smoothing * spread
        return -(weights * wanted * log_shares).sum() / (weights * right).sum()

    def merit(self, targets: Floats, outputs: Floats) -> float:
        """Mean AUROC of each class against the other assessed ones, among the rows where it is assessed."""
        assessed = ~np.isnan(targets)
        shares = np.exp(np.where(assessed, outputs - outputs.max(axis=1, keepdims=True), -np.inf))
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        each = [
            known_auroc(targets[:, number], shares[:, number])
            for number in range(targets.shape[1])
            if {0, 1} <= set(targets[:, number])
        ]
        return float(np.mean(each)) if each else CHANCE

    def labels(self, targets: Floats) -> pd.DataFrame:
        """The name of the class."""
        return super().labels(class_numbers(targets)[:, None])

    def balanced_weights(self, targets: Floats, *, most: float | None = None) -> Tensor:
        """(classes,)."""
        return super().balanced_weights(class_numbers(targets)[:, None], most=most)


def class_numbers(targets: Floats) -> npt.NDArray[np.float64]:
    """Number of the class of each row (rows,), the last of several, NaN without a label."""
    last = targets.shape[1] - 1 - np.argmax(targets[:, ::-1] == 1, axis=1)
    return np.where((targets == 1).any(axis=1), last, np.nan)


def assessed_text(assessed: tuple[str, ...]) -> str:
    """Classes as they stand in a cell of the column of assessed classes."""
    return BETWEEN.join(assessed)
