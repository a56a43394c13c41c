"""Several tables against the first, on the same patients: paired intervals, tests, a declared family."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from echossl.config.evaluation import CompareConfig
from echossl.data.labels import describe
from echossl.errors import UserError
from echossl.evaluation.assessment import as_plain, definition_of
from echossl.evaluation.auc import METRICS, Floats, Metric
from echossl.evaluation.brier import weighted_brier
from echossl.evaluation.comparing_numbers import NumbersComparison, compare_numbers
from echossl.evaluation.delong import delong
from echossl.evaluation.discrimination import clusters_of
from echossl.evaluation.files import measurements_of, questions_of
from echossl.evaluation.grid import Cell, Grid, refuse_unpaired
from echossl.evaluation.intervals import difference_intervals
from echossl.evaluation.multiplicity import CORRECTIONS, Family
from echossl.evaluation.paired import PairedFigure, said
from echossl.evaluation.partial import partial_auroc
from echossl.evaluation.permutation import permutation_test
from echossl.evaluation.resampling import difference_of
from echossl.evaluation.spoken import TITLES
from echossl.evaluation.study import Predictions, predictions_of
from echossl.evaluation.tables import TableColumns, read_table


@dataclass(frozen=True)
class Comparison:
    """Two tables on one split of one question.

    Attributes:
        title: ``A - B``.
        predictions: the studies, with the scores of the first.
        figures: by metric.
        family: names of all differences that were adjusted together; empty for none.
        config: all settings.
    """

    title: str
    predictions: Predictions
    figures: dict[str, PairedFigure]
    family: tuple[str, ...]
    config: CompareConfig

    @property
    def question(self) -> str:
        """The label column or cut."""
        return self.predictions.column

    @property
    def split(self) -> str:
        """The split of all rows."""
        return str(self.predictions.splits[0])

    @property
    def declared(self) -> tuple[str, ...]:
        """Metrics of the family."""
        return self.config.family

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; one that is NaN is None."""
        kept = {"resamples", "confidence", "seed"}
        whole = {
            "title": self.title,
            "column": self.predictions.column,
            "classes": describe(self.predictions.column),
            "split": str(self.predictions.splits[0]),
            **_counts(self.predictions),
            "bootstrap": self.config.model_dump(include=kept),
            "settings": self.config.model_dump(mode="json"),
            "definition": definition_of(self.config),
            "family": self.family,
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
        }
        plain: dict[str, Any] = as_plain(whole)
        return plain

    def as_text(self) -> str:
        """A few lines for a person."""
        counts = ", ".join(f"{value} {name}" for name, value in _counts(self.predictions).items())
        lines = [f"{self.title}: {self.predictions.column}, split {self.predictions.splits[0]}: {counts}"]
        for name, figure in self.figures.items():
            title = TITLES.get(name, name.replace("_auroc", " AUROC"))
            lines.append(f"  {title} {figure.first:.3f} - {figure.second:.3f}: {said(figure, self.config)}")
        unusable = max(figure.unusable for figure in self.figures.values())
        lines.append(f"  {definition_of(self.config)}, {unusable} lacked a class")
        if classes := describe(self.predictions.column):
            lines.append(f"  {self.predictions.column} by its name follows {classes}")
        return "\n".join(lines)


AnyComparison = Comparison | NumbersComparison


def compare_files(
    paths: Sequence[Path], config: CompareConfig, *, columns: TableColumns | None = None
) -> list[AnyComparison]:
    """The first table against each other one, for every question, measurement and split of the first.

    Args:
        paths: two tables or more, of the same studies.
        config: every setting.
        columns: names of the columns, alike in all tables.

    Raises:
        UserError: if a table is wrong, they differ in studies or labels, a split lacks a class, or a setting
            asks for figures of a kind that the first table holds none of.
    """
    if len(paths) < 2:
        raise UserError(f"compare: found {len(paths)} table, expected two or more of the same patients")
    names = columns or TableColumns()
    tables = [read_table(path, names) for path in paths]
    found: list[AnyComparison] = []
    questions = questions_of(paths[0], tables[0], names.label)
    numbers = [name for name in measurements_of(tables[0]) if names.label in {None, name}]
    _refuse_settings_of_none(paths[0], config, questions=bool(questions), numbers=bool(numbers))
    for first in questions:
        for path, table in zip(paths[1:], tables[1:], strict=True):
            second = predictions_of(path, table, first.column)
            _refuse_other_splits(first, second)
            splits = dict.fromkeys(first.splits.tolist())
            found += [_compared(first.only(split), second.only(split), config) for split in splits]
    return _adjusted([*found, *compare_numbers(paths, tables, numbers, config)], config)


def _refuse_settings_of_none(path: Path, config: CompareConfig, *, questions: bool, numbers: bool) -> None:
    """A setting of a kind of label that is not there would have no effect."""
    kinds = (
        (questions, {"metrics", "family", "partial_specificity"}, "yes or no"),
        (numbers, {"numbers", "numbers_family"}, "measurement"),
    )
    for is_there, names, kind in kinds:
        given = sorted(names & config.model_fields_set)
        if given and not is_there:
            raise UserError(f"{path}: holds no {kind}, so no effect of {', '.join(given)}; leave it out")


def family_lines(comparisons: Sequence[AnyComparison]) -> list[str]:
    """What was adjusted together, to be printed below the comparisons."""
    if comparisons and not any(one.declared for one in comparisons):
        return ["no difference is in the family: no p is adjusted"]
    if not comparisons or not comparisons[0].family:
        return ["one difference is in the family: no adjustment"]
    family, config = comparisons[0].family, comparisons[0].config
    name = CORRECTIONS[config.correction]
    return [f"{name} over a family of {len(family)} ({config.test} p): {'; '.join(family)}"]


def _compared(first: Predictions, second: Predictions, config: CompareConfig) -> Comparison:
    grids = [Grid.of([Cell(0, 0, part)]) for part in (first, second)]
    refuse_unpaired(grids[0], grids[1])
    one = grids[0].first
    scores = (grids[0].scores[0], grids[1].scores[0])
    title = f"{first.source} - {second.source}"
    if "brier" in config.metrics and not all(row.min() >= 0 and row.max() <= 1 for row in scores):
        raise UserError(f"{title}: brier is of probabilities, but a score is outside 0 to 1; leave it out")
    figures: dict[str, PairedFigure] = {name: _figure(name, one, scores, config) for name in config.metrics}
    return Comparison(title, one, figures, (), config)


def _figure(
    name: str, one: Predictions, scores: tuple[Floats, Floats], config: CompareConfig
) -> PairedFigure:
    metric = _metrics(config)[name]
    clusters = clusters_of(one, config)
    method = "percentile" if config.method == "delong" else config.method
    figures = difference_of(metric, one.labels, scores[0], scores[1])
    (difference,) = difference_intervals(figures, clusters, config, method=method)
    once = np.ones((1, one.labels.size))
    first, second = (float(metric(one.labels, row, once)[0]) for row in scores)
    swapped = permutation_test(
        one.labels,
        scores[0],
        scores[1],
        one.patients,
        metric,
        config,
        scale="values" if name == "brier" else "ranks",
    )
    found = PairedFigure(
        **vars(difference),
        method=method,
        first=first,
        second=second,
        permutation_p=swapped.p_value,
        delong_p=None,
    )
    return _with_delong(found, one, scores, config) if name == "auroc" else found


def _with_delong(
    figure: PairedFigure, one: Predictions, scores: tuple[Floats, Floats], config: CompareConfig
) -> PairedFigure:
    areas = delong(one.labels, np.stack(scores), one.patients)
    figure = replace(figure, delong_p=areas.test()[1])
    if config.method != "delong":
        return figure
    spread = np.array([1.0, -1.0])
    error = np.sqrt(max(0.0, float(spread @ areas.covariance @ spread)))
    reach = float(stats.norm.ppf((1 + config.confidence) / 2) * error)
    return replace(figure, low=figure.value - reach, high=figure.value + reach, method="delong")


def _metrics(config: CompareConfig) -> dict[str, Metric]:
    partial = partial_auroc(highest=1 - config.partial_specificity)
    return {**METRICS, "partial_auroc": partial, "brier": weighted_brier}


def _adjusted(comparisons: list[AnyComparison], config: CompareConfig) -> list[AnyComparison]:
    members = {
        _member(one, name): _raw(figure, config)
        for one in comparisons
        for name, figure in one.figures.items()
        if name in one.declared
    }
    if len(members) < 2:
        return comparisons
    undefined = [name for name, p_value in members.items() if np.isnan(p_value)]
    if undefined:
        raise UserError(
            f"{undefined[0]}: {config.test} has no p-value here, so the family cannot be adjusted; "
            "take test=permutation"
        )
    adjusted = Family("this comparison", tuple(members)).adjust(members, config.correction)
    return [
        replace(
            one,
            family=tuple(members),
            figures={
                name: replace(figure, adjusted_p=adjusted.get(_member(one, name)))
                for name, figure in one.figures.items()
            },
        )
        for one in comparisons
    ]


def _member(one: AnyComparison, name: str) -> str:
    return f"{name} of {one.question}, split {one.split}, {one.title}"


def _raw(figure: PairedFigure, config: CompareConfig) -> float:
    if config.test == "delong":
        return float("nan") if figure.delong_p is None else figure.delong_p
    return figure.permutation_p if config.test == "permutation" else figure.p_value


def _refuse_other_splits(first: Predictions, second: Predictions) -> None:
    one, other = set(first.splits.tolist()), set(second.splits.tolist())
    if one != other:
        raise UserError(
            f"{second.source}: splits {', '.join(sorted(other))}, but {', '.join(sorted(one))} in "
            f"{first.source}; compare the same patients"
        )


def _counts(predictions: Predictions) -> dict[str, int]:
    doubt = {"of them uncertain": predictions.num_uncertain} if predictions.num_uncertain else {}
    return {
        "patients": predictions.num_patients,
        predictions.unit: predictions.studies.size,
        "positive patients": predictions.num_positive,
        f"{predictions.unit} without a label left out": predictions.num_unlabelled,
        **doubt,
    }
