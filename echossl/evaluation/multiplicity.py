"""Several comparisons at once: a family is declared by name, and adjusted as a whole or not at all.

Holm (Scandinavian Journal of Statistics 1979) holds the chance of any false finding, Benjamini and Hochberg
(JRSS B 1995) the share of false ones among the findings. Adjusting each comparison on its own changes nothing
and protects nothing, so a family takes all of its p-values or none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from echossl.errors import UserError
from echossl.evaluation.auc import Floats

Correction = Literal["holm", "benjamini_hochberg"]
CORRECTIONS: dict[str, str] = {"holm": "Holm", "benjamini_hochberg": "Benjamini-Hochberg"}


@dataclass(frozen=True)
class Family:
    """Comparisons that are judged together.

    Attributes:
        name: what they have in common, as printed beside the adjusted p-values.
        members: names of the comparisons, two or more, decided before any p-value is seen.
    """

    name: str
    members: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.members)) != len(self.members):
            raise UserError(f"family {self.name!r}: a comparison is there twice; name each once")
        if len(self.members) < 2:
            raise UserError(
                f"family {self.name!r}: holds {len(self.members)} comparison, expected all that are judged "
                "together; one alone needs no adjustment"
            )

    def adjust(self, p_values: Mapping[str, float], correction: Correction = "holm") -> dict[str, float]:
        """Adjusted p-values of all members, in their order, above 0 and at most 1.

        Args:
            p_values: one for every member and for nothing else.
            correction: ``holm`` or ``benjamini_hochberg``.

        Raises:
            UserError: if a member lacks its p-value, a stranger has one, or one is not above 0 and at most 1.
        """
        self._refuse_others(p_values)
        raw = np.array([p_values[member] for member in self.members], dtype=np.float64)
        adjusted = holm(raw) if correction == "holm" else benjamini_hochberg(raw)
        return dict(zip(self.members, adjusted.tolist(), strict=True))

    def _refuse_others(self, p_values: Mapping[str, float]) -> None:
        missing = [member for member in self.members if member not in p_values]
        strange = [name for name in p_values if name not in self.members]
        if missing or strange:
            raise UserError(
                f"family {self.name!r}: p-values missing for {', '.join(missing) or 'none'}, not declared "
                f"{', '.join(strange) or 'none'}; give all {len(self.members)} members at once"
            )
        for name, p_value in p_values.items():
            if not 0 < p_value <= 1:
                raise UserError(
                    f"family {self.name!r}: p of {name!r} is {p_value}, expected above 0, at most 1"
                )


def holm(p_values: Floats) -> Floats:
    """Step-down adjusted p-values, (comparisons,)."""
    order = np.argsort(p_values, kind="stable")
    left = np.arange(p_values.size, 0, -1)
    stepped = np.minimum(1.0, np.maximum.accumulate(p_values[order] * left))
    return _back(stepped, order)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Step-up adjusted p-values, (comparisons,)."""
    order = np.argsort(p_values, kind="stable")[::-1]
    ranks = np.arange(p_values.size, 0, -1)
    stepped = np.minimum.accumulate(p_values[order] * p_values.size / ranks)
    return _back(np.minimum(1.0, stepped), order)


def _back(sorted_values: Floats, order: np.ndarray) -> Floats:
    values = np.empty_like(sorted_values)
    values[order] = sorted_values
    return values
