"""Every two arms on several findings at once, under one set of redrawn patients.

A finding has its own assessed studies, so that redraws of its own patients would differ from finding to
finding, and the mean of the findings would have no paired difference. Here the patients of a data set are
drawn once, and every finding and every arm sees the same draws. Several runs of an arm are redrawn as well,
those of each arm apart: without it two arms that differ in nothing but the seed would look different.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import CompareConfig
from echossl.config.evaluation import Metric as MetricName
from echossl.errors import UserError
from echossl.evaluation.auc import METRICS, Floats, Metric
from echossl.evaluation.bootstrap import Difference
from echossl.evaluation.brier import weighted_brier
from echossl.evaluation.files import questions_of
from echossl.evaluation.findings import FindingDifference, FindingsComparison
from echossl.evaluation.grid import Cell, Grid, average_cells, refuse_unpaired
from echossl.evaluation.multiplicity import Family
from echossl.evaluation.partial import partial_auroc
from echossl.evaluation.resampling import Clusters
from echossl.evaluation.study import Predictions, predictions_of
from echossl.evaluation.tables import TableColumns, read_table

Runs = Mapping[str, Sequence[Path]]
# the random streams of the runs of each arm, after those of the other bootstraps
FIRST_ARM = 5


def compare_findings(
    paths: Sequence[Path], config: CompareConfig, *, columns: TableColumns | None = None
) -> list[FindingsComparison]:
    """Compare arms, data set by data set, finding by finding, and their mean.

    Args:
        paths: two tables or more of the same patients, if the settings name no data sets.
        config: every setting; ``together`` is true.
        columns: names of the columns, alike in all tables.

    Raises:
        UserError: if a table is wrong, the tables of a data set differ in studies or labels, or no finding
            has both classes.
    """
    names = columns or TableColumns()
    found = [
        comparison
        for data_set, arms in _data_sets(paths, config).items()
        for comparison in _of_data_set(data_set, arms, config, names)
    ]
    return _adjusted(found, config)


@dataclass(frozen=True)
class _Finding:
    """One question of one split: the studies that have its label, and the scores of all runs of each arm."""

    name: str
    one: Predictions
    grids: tuple[Grid, ...]

    def plain(self, metric: Metric) -> Floats:
        """The metric of each arm, the mean over its runs, (arms,)."""
        return np.array([grid.plain(metric) for grid in self.grids])


def _of_runs(grid: Grid, metric: Metric, weights: npt.NDArray[np.int64]) -> Floats:
    """(runs, resamples)."""
    return np.stack([metric(grid.first.labels, scores, weights) for scores in grid.scores])


def _data_sets(paths: Sequence[Path], config: CompareConfig) -> dict[str, Runs]:
    if config.data_sets and paths:
        raise UserError(f"compare: found {paths[0]} beside data_sets, expected one or the other")
    if config.data_sets:
        return dict(config.data_sets)
    if len(paths) < 2:
        raise UserError(f"compare: found {len(paths)} table, expected two or more of the same patients")
    return {"": {str(path): [path] for path in paths}}


def _of_data_set(
    data_set: str, arms: Runs, config: CompareConfig, columns: TableColumns
) -> Iterator[FindingsComparison]:
    tables = {path: read_table(path, columns) for paths in arms.values() for path in paths}
    first = next(iter(tables))
    questions = questions_of(first, tables[first], columns.label)
    for split in dict.fromkeys(tables[first]["split"]):
        findings: list[_Finding] = []
        lacking: list[str] = []
        for question in questions:
            labels = set(question.labels[question.splits == split].tolist())
            if labels == {0, 1}:
                findings.append(_finding(question.column, split, arms, tables))
            else:
                known = f"is {labels.pop()}" if labels else "is empty"
                lacking.append(f"{question.column} left out: every one of split {split!r} {known}")
        if not findings:
            raise UserError(f"{first}: no finding of split {split!r} holds both 0 and 1; {lacking[0]}")
        paired = _Paired(data_set, split, tuple(arms), tuple(findings), tuple(lacking))
        for metric in config.metrics:
            yield from paired.compared(metric, config)


def _finding(column: str, split: str, arms: Runs, tables: Mapping[Path, pd.DataFrame]) -> _Finding:
    grids: list[Grid] = []
    for paths in arms.values():
        parts = [predictions_of(path, tables[path], column).only(split) for path in paths]
        grids.append(Grid.of([Cell(0, run, part) for run, part in enumerate(parts)]))
        refuse_unpaired(grids[0], grids[-1])
    return _Finding(column, grids[0].first, tuple(grids))


@dataclass(frozen=True)
class _Paired:
    """All arms and findings of one split of one data set."""

    data_set: str
    split: str
    arms: tuple[str, ...]
    findings: tuple[_Finding, ...]
    lacking: tuple[str, ...]

    def compared(self, name: MetricName, config: CompareConfig) -> Iterator[FindingsComparison]:
        """Every pair of arms by one metric."""
        metric = _metric(name, self.findings, config)
        patients = np.unique(np.concatenate([finding.one.patients for finding in self.findings]))
        plain = np.stack([finding.plain(metric) for finding in self.findings])  # (findings, arms)
        redrawn = _redrawn(self.findings, patients, metric, config)  # (findings, arms, resamples)
        numbers = range(len(self.arms))
        every = combinations(numbers, 2) if config.pairs == "all" else ((0, other) for other in numbers[1:])
        for one, other in every:
            samples = redrawn[:, one] - redrawn[:, other]
            figures = plain[:, [one, other]]
            differences = figures[:, 0] - figures[:, 1]
            # NaN where any finding lacks a class: the mean of fewer findings is another figure
            mean = samples.mean(axis=0)
            yield FindingsComparison(
                data_set=self.data_set,
                split=self.split,
                metric=name,
                arms=(self.arms[one], self.arms[other]),
                runs=(self._runs(one), self._runs(other)),
                findings=tuple(
                    _of_finding(finding, pair, row, config)
                    for finding, pair, row in zip(self.findings, figures, samples, strict=True)
                ),
                mean=_mean(figures, mean, patients.size, config),
                spread_between_findings=_deviation(differences),
                error_of_mean=_deviation(mean),
                lacking=self.lacking,
                config=config,
            )

    def _runs(self, arm: int) -> int:
        return len(self.findings[0].grids[arm].scores)


def _metric(name: MetricName, findings: Sequence[_Finding], config: CompareConfig) -> Metric:
    if name == "brier":
        for finding in findings:
            for grid in finding.grids:
                if grid.scores.min() < 0 or grid.scores.max() > 1:
                    raise UserError(
                        f"{grid.first.source}: brier is of probabilities, but a score is outside 0 to 1; "
                        "leave it out"
                    )
    partial = partial_auroc(highest=1 - config.partial_specificity)
    metrics: dict[str, Metric] = {**METRICS, "partial_auroc": partial, "brier": weighted_brier}
    return metrics[name]


def _redrawn(
    findings: Sequence[_Finding], patients: npt.NDArray[np.str_], metric: Metric, config: CompareConfig
) -> Floats:
    """The metric of every arm under the same redraws of all patients, (findings, arms, resamples)."""
    places = [np.searchsorted(patients, finding.one.patients) for finding in findings]
    numbers = range(len(findings[0].grids))
    parts: list[list[list[Floats]]] = [[[] for _ in numbers] for _ in findings]
    # chunk by chunk: all redraws of a hundred thousand studies at once would fill the memory
    for counts in Clusters.of(patients).draws(config):
        for finding, rows, own in zip(findings, places, parts, strict=True):
            weights = np.take(counts, rows, axis=1)
            for grid, of_arm in zip(finding.grids, own, strict=True):
                of_arm.append(_of_runs(grid, metric, weights))
    return np.stack(
        [
            np.stack([_over_runs(own[number], config, number) for number in numbers])  # (arms, resamples)
            for own in parts
        ]
    )


def _over_runs(chunks: Sequence[Floats], config: CompareConfig, arm: int) -> Floats:
    """Mean over the redrawn runs of an arm, from chunks (runs, redraws) to (resamples,)."""
    return average_cells(np.concatenate(chunks, axis=1)[None], config, FIRST_ARM + arm)


def _of_finding(finding: _Finding, pair: Floats, samples: Floats, config: CompareConfig) -> FindingDifference:
    one = finding.one
    return FindingDifference(
        **vars(Difference.of(float(pair[0] - pair[1]), samples, config.confidence)),
        name=finding.name,
        first=float(pair[0]),
        second=float(pair[1]),
        patients=one.num_patients,
        positive_patients=one.num_positive,
        left_out=one.num_unlabelled,
        uncertain=one.num_uncertain,
    )


def _mean(figures: Floats, samples: Floats, num_patients: int, config: CompareConfig) -> FindingDifference:
    first, second = figures.mean(axis=0).tolist()
    return FindingDifference(
        **vars(Difference.of(first - second, samples, config.confidence)),
        name="mean",
        first=first,
        second=second,
        patients=num_patients,
        positive_patients=None,
    )


def _deviation(samples: Floats) -> float:
    usable = samples[~np.isnan(samples)]
    return float(usable.std(ddof=1)) if usable.size > 1 else float("nan")


def _adjusted(found: list[FindingsComparison], config: CompareConfig) -> list[FindingsComparison]:
    """All findings of all data sets and pairs are one family, all means another."""
    judged = [one for one in found if one.metric in config.family]
    raw = (
        {one.member(row.name): row.p_value for one in judged for row in one.findings},
        {one.member("mean"): one.mean.p_value for one in judged},
    )
    families = (tuple(raw[0]) if len(raw[0]) > 1 else (), tuple(raw[1]) if len(raw[1]) > 1 else ())
    adjusted: dict[str, float] = {}
    for name, members in zip(("findings", "means"), raw, strict=True):
        if len(members) > 1:
            adjusted |= Family(name, tuple(members)).adjust(members, config.correction)
    return [
        replace(
            one,
            families=families,
            findings=tuple(
                replace(row, adjusted_p=adjusted.get(one.member(row.name))) for row in one.findings
            ),
            mean=replace(one.mean, adjusted_p=adjusted.get(one.member("mean"))),
        )
        for one in found
    ]
