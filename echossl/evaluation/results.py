"""One row per figure: ``results.csv``, and figures as a person reads them."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from echossl.evaluation.bootstrap import Difference, Interval
from echossl.files import write_text

COLUMNS = (
    "arm",
    "fraction",
    "draw",
    "seed",
    "split",
    "metric",
    "value",
    "low",
    "high",
    "num_patients",
    "num_positive",
    "num_labelled_patients",
)
P_VALUE_SUFFIX = "_p_value"
All = Literal["all"]


@dataclass(frozen=True)
class ResultRow:
    """One figure of one run, or of several pooled runs.

    Attributes:
        split: the split that was evaluated.
        metric: ``auroc``, ``auprc``, ``prevalence``, ``r2_TARGET``; of a paired difference also
            ``auroc_p_value``.
        value: the figure.
        num_patients: patients it stands on.
        num_positive: of those, how many have a positive study; None where a number is predicted.
        low: lower end of its interval; None where it has none.
        high: upper end of its interval.
        arm: the starting point that was adapted; a paired difference is ``A - B``.
        fraction: share of the labelled training patients that was used.
        draw: draw of the labelled patients, or ``all`` where draws are pooled.
        seed: seed of the training, or ``all`` where seeds are pooled.
        num_labelled_patients: labelled patients that were used, validation included.
    """

    split: str
    metric: str
    value: float
    num_patients: int
    num_positive: int | None
    low: float | None = None
    high: float | None = None
    arm: str = ""
    fraction: float | None = None
    draw: int | All | None = None
    seed: int | All | None = None
    num_labelled_patients: int | None = None

    def with_interval(self, metric: str, interval: Interval) -> "ResultRow":
        """The same run's row for another figure."""
        return replace(self, metric=metric, value=interval.value, low=interval.low, high=interval.high)

    def with_difference(self, metric: str, difference: Difference) -> "list[ResultRow]":
        """Two rows for a paired difference: the difference, and its p-value as a figure of its own."""
        p_value = replace(self, metric=metric + P_VALUE_SUFFIX, value=difference.p_value, low=None, high=None)
        return [self.with_interval(metric, difference), p_value]


def write_results(rows: Sequence[ResultRow], path: Path) -> None:
    """Write ``results.csv`` atomically; an absent value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, column)) for column in COLUMNS])
    write_text(path, text.getvalue())


def format_interval(interval: Interval, digits: int = 3) -> str:
    """A figure as in a paper: ``0.818 (0.794-0.840)``."""
    value, low, high = (f"{number:.{digits}f}" for number in (interval.value, interval.low, interval.high))
    return f"{value} ({low}-{high})"


def format_difference(difference: Difference, digits: int = 3) -> str:
    """A signed difference with its p-value: ``+0.174 (+0.121 to +0.228), p < 0.001``."""
    numbers = (difference.value, difference.low, difference.high)
    value, low, high = (f"{number:+.{digits}f}" for number in numbers)
    return f"{value} ({low} to {high}), {format_p_value(difference.p_value)}"


def format_p_value(p_value: float) -> str:
    """``p = 0.012``, or ``p < 0.001``; never ``p = 0.000``."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _cell(value: float | str | None) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
