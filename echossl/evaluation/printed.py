"""What ``echossl evaluate`` and ``echossl compare`` say: the figures, and how the interval was made."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from echossl.config.evaluation import BootstrapConfig
from echossl.data.labels import describe
from echossl.evaluation.bootstrap import Difference, Interval
from echossl.evaluation.grid import Cell
from echossl.evaluation.pooling import pool, pool_difference
from echossl.evaluation.results import format_difference, format_interval
from echossl.evaluation.study import Predictions, read_all_predictions, read_predictions


@dataclass(frozen=True)
class Answer:
    """Figures of one split of one table, or of the difference of two.

    Attributes:
        title: the table, or ``A - B``.
        predictions: the studies behind the figures.
        figures: interval or paired difference of each metric.
        config: how they were resampled.
    """

    title: str
    predictions: Predictions
    figures: dict[str, Interval] | dict[str, Difference]
    config: BootstrapConfig

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        return {
            "title": self.title,
            "column": self.predictions.column,
            "classes": describe(self.predictions.column),
            "split": str(self.predictions.splits[0]),
            **_counts(self.predictions),
            "bootstrap": self.config.model_dump(),
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
        }

    def as_text(self) -> str:
        """A few lines for a person."""
        counts = ", ".join(f"{value} {name}" for name, value in _counts(self.predictions).items())
        return "\n".join([f"{self.title}, split {self.predictions.splits[0]}: {counts}", *self._lines()])

    def _lines(self) -> Iterator[str]:
        for name, figure in self.figures.items():
            shown = format_difference(figure) if isinstance(figure, Difference) else format_interval(figure)
            yield f"  {name.upper()} {shown}"
        unusable = max(figure.unusable for figure in self.figures.values())
        resamples = f"{self.config.resamples} resamples of patients (seed {self.config.seed})"
        yield f"  {self.config.confidence:.0%} percentile interval, {resamples}, {unusable} lacked a class"
        yield f"  AUPRC of a guess {self.predictions.prevalence:.3f}"
        if classes := describe(self.predictions.column):
            yield f"  {self.predictions.column} by its name follows {classes}"


def evaluate_table(path: Path, column: str | None, config: BootstrapConfig) -> list[Answer]:
    """AUROC and AUPRC of every split of a table of predictions.

    Args:
        path: the table.
        column: label column or cut; None takes every one that there is.
        config: how patients are resampled.

    Raises:
        UserError: if the table is wrong or a split lacks a class.
    """
    tables = read_all_predictions(path) if column is None else [read_predictions(path, column)]
    answers = []
    for predictions in tables:
        title = str(path) if len(tables) == 1 else f"{path}: {predictions.column}"
        for split in dict.fromkeys(predictions.splits.tolist()):
            part = predictions.only(split)
            answers.append(Answer(title, part, pool([Cell(0, 0, part)], config), config))
    return answers


def compare_tables(first: Path, second: Path, column: str | None, config: BootstrapConfig) -> list[Answer]:
    """Paired difference of two tables, first minus second, for every split.

    Raises:
        UserError: if a table is wrong or they differ in studies or labels.
    """
    tables = [read_predictions(path, column) for path in (first, second)]
    answers = []
    for split in dict.fromkeys(tables[0].splits.tolist()):
        cells = [[Cell(0, 0, table.only(split))] for table in tables]
        figures = pool_difference(cells[0], cells[1], config)
        answers.append(Answer(f"{first} - {second}", cells[0][0].predictions, figures, config))
    return answers


def _counts(predictions: Predictions) -> dict[str, int]:
    return {
        "patients": predictions.num_patients,
        "studies": predictions.studies.size,
        "positive patients": predictions.num_positive,
        "studies without a label left out": predictions.num_unlabelled,
    }
