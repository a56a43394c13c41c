"""A paired difference of two tables and how it is told: the piece that comparisons of any label share."""

from dataclasses import dataclass

from echossl.config.evaluation import CompareConfig
from echossl.evaluation.bootstrap import Difference
from echossl.evaluation.multiplicity import CORRECTIONS
from echossl.evaluation.results import format_difference, format_p_value


@dataclass(frozen=True)
class PairedFigure(Difference):
    """A paired difference, first minus second; ``p_value`` is that of the bootstrap.

    Attributes:
        method: how the interval was made.
        first: the figure of the first table.
        second: that of the second.
        permutation_p: of exchangeable scores, patients swapped as a whole.
        delong_p: by patient; None but for the AUROC.
        adjusted_p: within the family; None outside of it, or where it has one member.
    """

    method: str
    first: float
    second: float
    permutation_p: float
    delong_p: float | None
    adjusted_p: float | None = None


def said(figure: PairedFigure, config: CompareConfig) -> str:
    """The difference with its interval and every p-value."""
    parts = [format_difference(figure), f"permutation {format_p_value(figure.permutation_p)}"]
    if figure.delong_p is not None:
        parts.append(f"DeLong {format_p_value(figure.delong_p)}")
    if figure.adjusted_p is not None:
        parts.append(f"{CORRECTIONS[config.correction]} {format_p_value(figure.adjusted_p)} ({config.test})")
    return ", ".join(parts)
