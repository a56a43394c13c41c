"""Two tables that predict a number, on the same patients: paired differences of error, R2 and correlation."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import CompareConfig
from echossl.data.labels import describe
from echossl.errors import UserError
from echossl.evaluation.assessment import as_plain, definition_of
from echossl.evaluation.auc import Floats, Metric
from echossl.evaluation.correlation import weighted_pearson, weighted_spearman
from echossl.evaluation.intervals import Method, difference_intervals
from echossl.evaluation.paired import PairedFigure, said
from echossl.evaluation.permutation import permutation_test
from echossl.evaluation.regression import weighted_r2
from echossl.evaluation.resampling import Clusters, difference_of
from echossl.evaluation.spoken import TITLES
from echossl.evaluation.summaries import measured_and_predicted
from echossl.evaluation.tables import KEYS, Unit

FEWEST_ROWS = 3
# the same measurement written with other digits
NO_DIFFERENCE = 1e-9


def weighted_mae(truth: npt.ArrayLike, predicted: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Mean absolute error, (resamples,), at least 0; arguments as of :func:`weighted_r2`."""
    apart = np.abs(np.asarray(truth, dtype=np.float64) - np.asarray(predicted, dtype=np.float64))
    counts = np.asarray(weights, dtype=np.float64)
    found: Floats = counts @ apart / counts.sum(axis=1)
    return found


NUMBER_METRICS: dict[str, Metric] = {
    "mae": weighted_mae,
    "r2": weighted_r2,
    "pearson": weighted_pearson,
    "spearman": weighted_spearman,
}


@dataclass(frozen=True)
class Measured:
    """Rows of one table with a known measurement, in order of patient and study; all arrays are (n,).

    Attributes:
        source: the table.
        column: the measurement.
        patients: patient of each row, str.
        studies: its study, or the path of its video, str.
        splits: its split, str.
        measured: the truth.
        predicted: in the same unit.
        num_unlabelled: rows that were left out because the measurement is empty.
        unit: what a row is.
    """

    source: str
    column: str
    patients: npt.NDArray[np.str_]
    studies: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    measured: Floats
    predicted: Floats
    num_unlabelled: int
    unit: Unit

    @classmethod
    def of(cls, path: Path, table: pd.DataFrame, column: str) -> "Measured":
        """The rows of a table from :func:`echossl.evaluation.tables.read_table`.

        Raises:
            UserError: if it lacks the column or its score, or a cell holds no number.
        """
        known, measured, predicted = measured_and_predicted(path, table, column)
        names = [table[name].to_numpy(dtype=np.str_) for name in KEYS]
        order = np.lexsort((names[1], names[0]))
        order = order[known[order]]
        patients, studies, splits = (name[order] for name in names)
        numbers = (measured[order], predicted[order])
        left_out = int((~known).sum())
        return cls(str(path), column, patients, studies, splits, *numbers, left_out, table.attrs["unit"])

    def only(self, split: str) -> "Measured":
        """The rows of one split."""
        on = self.splits == split
        arrays = ("patients", "studies", "splits", "measured", "predicted")
        return replace(self, **{name: getattr(self, name)[on] for name in arrays})

    @property
    def names(self) -> list[tuple[str, str]]:
        """Patient and study of each row."""
        return list(zip(self.patients.tolist(), self.studies.tolist(), strict=True))


@dataclass(frozen=True)
class NumbersComparison:
    """Two tables on one split of one measurement.

    Attributes:
        title: ``A - B``.
        rows: those of the first table.
        figures: by metric.
        family: names of all differences that were adjusted together; empty for none.
        config: all settings.
    """

    title: str
    rows: Measured
    figures: dict[str, PairedFigure]
    family: tuple[str, ...]
    config: CompareConfig

    @property
    def question(self) -> str:
        """The measurement."""
        return self.rows.column

    @property
    def split(self) -> str:
        """The split of all rows."""
        return str(self.rows.splits[0])

    @property
    def declared(self) -> tuple[str, ...]:
        """Metrics of the family."""
        return self.config.numbers_family

    @property
    def definition(self) -> str:
        """How the intervals were made: no two classes are kept apart, and DeLong's is of the AUROC."""
        made = {"method": _method(self.config), "stratified": False}
        return definition_of(self.config.model_copy(update=made))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; one that is NaN is None."""
        whole = {
            "title": self.title,
            "column": self.question,
            "classes": describe(self.question),
            "split": self.split,
            **self._counts,
            "bootstrap": self.config.model_dump(include={"resamples", "confidence", "seed"}),
            "settings": self.config.model_dump(mode="json"),
            "definition": self.definition,
            "family": self.family,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
        }
        plain: dict[str, Any] = as_plain(whole)
        return plain

    def as_text(self) -> str:
        """A few lines for a person."""
        counts = ", ".join(f"{value} {name}" for name, value in self._counts.items())
        lines = [f"{self.title}: {self.question}, split {self.split}: {counts}"]
        for name, figure in self.figures.items():
            of_both = f"{figure.first:.3f} against {figure.second:.3f}"
            better = "; less is better" if name == "mae" else ""
            lines.append(f"  {TITLES.get(name, name)} {of_both}: {said(figure, self.config)}{better}")
        unusable = max(figure.unusable for figure in self.figures.values())
        lines.append(f"  {self.definition}, {unusable} left a figure undefined")
        idle = {"stratified=true": self.config.stratified, "method=delong": self.config.method == "delong"}
        lines += [f"  no effect of {name} on a measurement" for name, given in idle.items() if given]
        return "\n".join(lines)

    @property
    def _counts(self) -> dict[str, int]:
        return {
            "patients": np.unique(self.rows.patients).size,
            self.rows.unit: self.rows.measured.size,
            f"{self.rows.unit} without a label left out": self.rows.num_unlabelled,
        }


def compare_numbers(
    paths: Sequence[Path], tables: Sequence[pd.DataFrame], columns: Sequence[str], config: CompareConfig
) -> Iterator[NumbersComparison]:
    """The first table against each other one, for every measurement and split of the first.

    Args:
        paths: two tables or more, of the same studies.
        tables: as :func:`echossl.evaluation.tables.read_table` gives them.
        columns: the measurements.
        config: every setting.

    Raises:
        UserError: if a table is wrong, they differ in studies or measurements, or a split holds fewer than
            three rows.
    """
    for column in columns:
        first = Measured.of(paths[0], tables[0], column)
        for path, table in zip(paths[1:], tables[1:], strict=True):
            second = Measured.of(path, table, column)
            _refuse_unpaired(first, second)
            for split in dict.fromkeys(first.splits.tolist()):
                yield _compared(first.only(split), second.only(split), config)


def _refuse_unpaired(first: Measured, second: Measured) -> None:
    different = sorted(set(first.names) ^ set(second.names))
    if different:
        has, lacks = (first, second) if different[0] in first.names else (second, first)
        patient, study = different[0]
        raise UserError(
            f"{lacks.source}: lacks study {study!r} of patient {patient!r} with its {first.column} that is "
            f"in {has.source} (of {len(different)} such studies); compare the same patients"
        )
    wrong = np.flatnonzero(
        (np.abs(first.measured - second.measured) > NO_DIFFERENCE * (1 + np.abs(first.measured)))
        | (first.splits != second.splits)
    )
    if wrong.size:
        patient, study = first.names[wrong[0]]
        raise UserError(
            f"{second.source}: {first.column} or split of study {study!r} of patient {patient!r} is not that "
            f"of {first.source} (of {wrong.size} such studies); predict both from the same manifest"
        )


def _compared(first: Measured, second: Measured, config: CompareConfig) -> NumbersComparison:
    if first.measured.size < FEWEST_ROWS:
        raise UserError(
            f"{first.source}: {first.measured.size} {first.unit} of split {str(first.splits[0])!r} have a "
            f"{first.column}; expected {FEWEST_ROWS} or more"
        )
    figures: dict[str, PairedFigure] = {
        name: _figure(name, first, second.predicted, config) for name in config.numbers
    }
    return NumbersComparison(f"{first.source} - {second.source}", first, figures, (), config)


def _figure(name: str, first: Measured, other: Floats, config: CompareConfig) -> PairedFigure:
    metric, method = NUMBER_METRICS[name], _method(config)
    figures = difference_of(metric, first.measured, first.predicted, other)
    (difference,) = difference_intervals(figures, Clusters.of(first.patients), config, method=method)
    once = np.ones((1, first.measured.size))
    both = [float(metric(first.measured, row, once)[0]) for row in (first.predicted, other)]
    # both predict in the unit of the measurement, so that the numbers themselves can be swapped
    pair = (first.measured, first.predicted, other, first.patients)
    swapped = permutation_test(*pair, metric, config, scale="values")
    return PairedFigure(
        **vars(difference),
        method=method,
        first=both[0],
        second=both[1],
        permutation_p=swapped.p_value,
        delong_p=None,
    )


def _method(config: CompareConfig) -> Method:
    return "percentile" if config.method == "delong" else config.method
