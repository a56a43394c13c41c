"""From the finished cells of a study to one table: pooled figures, paired differences, ``results.csv``."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echossl.config.study import ArmConfig, StudyConfig
from echossl.data.labels import describe
from echossl.evaluation import (
    Cell,
    Difference,
    Interval,
    ResultRow,
    auroc,
    difference_rows,
    format_difference,
    format_interval,
    pool,
    pool_difference,
    pooled_rows,
    read_predictions,
    write_results,
)
from echossl.files import write_text
from echossl.study.cells import plan_cells


@dataclass(frozen=True)
class ArmResult:
    """One arm at one label fraction, over its draws and seeds.

    Attributes:
        arm: the arm.
        fraction: share of the labelled training patients.
        cells: the predictions of every draw and seed.
        budgets: what each cell's ``result.json`` says of its labels.
        intervals: pooled figure of each metric.
        against: paired difference of the default arm minus this one; empty for the default itself.
    """

    arm: ArmConfig
    fraction: float
    cells: list[Cell]
    budgets: list[dict[str, Any]]
    intervals: dict[str, Interval]
    against: dict[str, Difference]

    @property
    def num_labelled_patients(self) -> int:
        """Labelled patients of a cell, validation included; the same in every draw."""
        return int(self.budgets[0]["num_labelled_patients"])


def collect(config: StudyConfig) -> list[ArmResult]:
    """Read the predictions of every cell and pool them, fraction by fraction, default arm first."""
    results = []
    for fraction in config.fractions:
        default: list[Cell] = []
        for arm in config.arms:
            cells, budgets = _read_cells(config, arm, fraction)
            default = default or cells
            against = pool_difference(default, cells, config.bootstrap) if cells is not default else {}
            intervals = pool(cells, config.bootstrap)
            results.append(ArmResult(arm, fraction, cells, budgets, intervals, against))
    return results


def summarise(config: StudyConfig, results: list[ArmResult]) -> Path:
    """Write what :func:`collect` found as ``results.csv`` and ``summary.md`` into the study's folder.

    Returns:
        The path of ``summary.md``.
    """
    write_results(list(_result_rows(config, results)), config.out / "results.csv")
    path = config.out / "summary.md"
    write_text(path, summary_text(config, results))
    return path


def summary_text(config: StudyConfig, results: list[ArmResult]) -> str:
    """The table as Markdown, with what a reader must know to believe it."""
    test = results[0].cells[0].predictions
    seeds, draws = _count(config.seeds, "pre-training seed"), _count(config.draws, "paired label draw")
    resampling = f"{config.bootstrap.confidence:.0%}, {config.bootstrap.resamples} resamples"
    lines = [
        f"{test.num_patients} test patients, {config.column} in {test.num_positive}; {seeds}, {draws}.",
        f"Intervals: {resampling} of test patients, label draws and seeds together.",
        *([f"{config.column} follows {classes}."] if (classes := describe(config.column)) else []),
        "",
        "| labelled patients | arm | AUROC | AUPRC | default minus this, AUROC |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        difference = format_difference(result.against["auroc"]) if result.against else ""
        lines.append(
            f"| {result.num_labelled_patients} ({result.fraction:.1%}) | {result.arm.title} "
            f"| {format_interval(result.intervals['auroc'])} | {format_interval(result.intervals['auprc'])} "
            f"| {difference} |"
        )
    return "\n".join(lines) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _read_cells(
    config: StudyConfig, arm: ArmConfig, fraction: float
) -> tuple[list[Cell], list[dict[str, Any]]]:
    cells, budgets = [], []
    for cell in plan_cells(config):
        if cell.arm.name == arm.name and cell.fraction == fraction:
            predictions = read_predictions(cell.config.out / "predictions.csv", config.column)
            cells.append(Cell(cell.draw, cell.seed, predictions))
            budgets.append(json.loads((cell.config.out / "result.json").read_text(encoding="utf-8")))
    return cells, budgets


def _result_rows(config: StudyConfig, results: list[ArmResult]) -> Iterator[ResultRow]:
    default = config.arms[0].name
    for result in results:
        labelled = result.num_labelled_patients
        name, fraction = result.arm.name, result.fraction
        for cell in result.cells:
            yield _cell_row(result, cell)
        yield from pooled_rows(name, fraction, result.cells, result.intervals, num_labelled_patients=labelled)
        if result.against:
            yield from difference_rows(
                (default, name), fraction, result.cells, result.against, num_labelled_patients=labelled
            )


def _cell_row(result: ArmResult, cell: Cell) -> ResultRow:
    predictions = cell.predictions
    return ResultRow(
        split=str(predictions.splits[0]),
        metric="auroc",
        value=auroc(predictions.labels, predictions.scores),
        num_patients=predictions.num_patients,
        num_positive=predictions.num_positive,
        arm=result.arm.name,
        fraction=result.fraction,
        draw=cell.draw,
        seed=cell.seed,
        num_labelled_patients=result.num_labelled_patients,
    )
