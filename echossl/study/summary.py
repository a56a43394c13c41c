"""The table of a study: ``results.csv`` with a row per figure, and ``summary.md`` for a person."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from echossl.config.study import StudyConfig
from echossl.data.labels import describe
from echossl.errors import first_names
from echossl.evaluation import (
    Cell,
    ResultRow,
    auroc,
    difference_rows,
    format_difference,
    format_interval,
    pooled_rows,
    write_results,
)
from echossl.evaluation.results import P_VALUE_SUFFIX
from echossl.files import write_text
from echossl.study.cells import cell_name, plan_cells
from echossl.study.efficiency import write_efficiency
from echossl.study.family import adjusted_p_values, family_text
from echossl.study.labels_saved import labels_saved
from echossl.study.pooled import ArmResult
from echossl.study.record import write_record


def summarise(config: StudyConfig, results: list[ArmResult]) -> Path:
    """Write ``results.csv``, ``study.json``, ``summary.md`` and the figure ``label_efficiency`` of a study.

    Returns:
        The path of ``summary.md``.
    """
    write_results(list(_result_rows(config, results)), config.out / "results.csv")
    write_record(config)
    path = config.out / "summary.md"
    write_text(path, summary_text(config, results))
    write_efficiency(results, config.out)  # the largest, and the least that would be missed on a full disk
    return path


def summary_text(config: StudyConfig, results: list[ArmResult]) -> str:
    """The table as Markdown, with what a reader must know to believe it."""
    test = results[0].cells[0].predictions
    seeds, draws = _count(config.seeds, "pre-training seed"), _count(config.draws, "paired label draw")
    resampling = f"{config.bootstrap.confidence:.0%}, {config.bootstrap.resamples} resamples"
    lines = [
        f"{test.num_patients} test patients, {config.evaluated} in {test.num_positive}; {seeds}, {draws}.",
        f"Of the labelled patients, {config.validation_share:.0%} are held out to choose settings on.",
        f"Intervals: {resampling} of test patients, label draws and seeds together.",
        *([f"{config.column} follows {classes}."] if (classes := describe(config.column)) else []),
        "",
        "| labelled patients | arm | AUROC | AUPRC | default minus this, AUROC | adjusted p |",
        "|---|---|---|---|---|---|",
    ]
    adjusted = adjusted_p_values(config, results)
    for result in results:
        difference = format_difference(result.against["auroc"]) if result.against else ""
        p_value = adjusted.get((result.arm.name, result.fraction))
        lines.append(
            f"| {result.num_labelled_patients} ({result.fraction:.1%}) | {result.arm.title} "
            f"| {format_interval(result.intervals['auroc'])} | {format_interval(result.intervals['auprc'])} "
            f"| {difference} | {f'{p_value:.3g}' if p_value is not None else ''} |"
        )
    saved = [f"- {one}" for one in labels_saved(results, config.bootstrap)]
    notes = [text for text in (family_text(config, results),) if text]
    lines += ["", *notes] if notes else []
    lines += ["", "Labels saved:", "", *saved] if saved else []
    return "\n".join([*lines, *_missing_lines(config)]) + "\n"


def missing_cells(config: StudyConfig) -> list[str]:
    """Names of the cells that are not finished."""
    return [cell_name(config, cell) for cell in plan_cells(config) if not cell.is_finished]


def _missing_lines(config: StudyConfig) -> list[str]:
    missing = missing_cells(config)
    if not missing:
        return []
    count = f"{len(missing)} of {sum(1 for _ in plan_cells(config))}"
    rule = (
        "An arm stands on the draws that all of its seeds have finished, a difference on the draws of both "
        "arms; an arm without any is left out."
    )
    return ["", f"**{count} cells are missing.** {rule}", "", f"Missing: {first_names(missing)}."]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _result_rows(config: StudyConfig, results: list[ArmResult]) -> Iterator[ResultRow]:
    default = config.arms[0].name
    adjusted = adjusted_p_values(config, results)
    for result in results:
        labelled = result.num_labelled_patients
        name, fraction = result.arm.name, result.fraction
        for cell in result.cells:
            yield _cell_row(result, cell)
        yield from pooled_rows(name, fraction, result.cells, result.intervals, num_labelled_patients=labelled)
        if result.against:
            rows = difference_rows(
                (default, name), fraction, result.cells, result.against, num_labelled_patients=labelled
            )
            yield from rows
            if (name, fraction) in adjusted:
                metric = f"auroc{P_VALUE_SUFFIX}_{config.family.correction}"
                value = adjusted[name, fraction]
                yield replace(rows[0], metric=metric, value=value, low=None, high=None)


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
