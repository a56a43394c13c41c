"""The page of a study's folder, from its ``results.csv`` and its runs; its settings are not needed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from echossl.config.adapt import FinetuneConfig
from echossl.config.report import ReportConfig
from echossl.errors import UserError
from echossl.evaluation import Difference, Interval, read_predictions
from echossl.report import BudgetLine, DifferenceLine, ReportPage, ResultLine, TestSet
from echossl.runs import RunFolder
from echossl.study.curves import pretraining_curves
from echossl.study.one_model import LIMITS, budget_line, environment, one_model, result_of

TABLE_NAME, CELLS_NAME = "results.csv", "cells"
NUMBERS = ["fraction", "value", "low", "high", "num_patients", "num_positive", "num_labelled_patients"]
# results.csv holds the ends of an interval, not how many resamples they come from
UNKNOWN_RESAMPLES = 0


def is_study_folder(folder: Path) -> bool:
    """Whether it holds the table and the cells of a study."""
    return (folder / TABLE_NAME).is_file() and (folder / CELLS_NAME).is_dir()


def folder_page(folder: Path, config: ReportConfig) -> ReportPage:
    """The page of a study that ``echossl sweep`` has run.

    Raises:
        UserError: if its table holds no pooled figure, or no cell of its first arm is there.
    """
    table = pd.read_csv(folder / TABLE_NAME, dtype=str, keep_default_na=False)
    table[NUMBERS] = table[NUMBERS].apply(pd.to_numeric, errors="coerce")
    pooled = table[(table["draw"] == "all") & (table["seed"] == "all")]
    figures = {(row["arm"], row["fraction"], row["metric"]): row for row in pooled.to_dict("records")}
    arms = [arm for arm in dict.fromkeys(pooled["arm"]) if " - " not in arm]
    if not arms:
        raise UserError(f"{folder / TABLE_NAME}: holds no pooled figure; run echossl sweep to its end")
    cells = _cells(folder, arms[0])
    first = FinetuneConfig.model_validate(RunFolder(cells[0]).record["config"])
    model = one_model(
        read_predictions(cells[0] / "predictions.csv", first.labels.column),
        config,
        manifest=first.data.manifest,
        saliency=folder / "saliency",
        note=f"{cells[0].relative_to(folder)}: the first model, chosen before its result was known.",
    )
    shape = figures[arms[0], min(pooled["fraction"]), "prevalence"]
    test = TestSet(
        first.labels.column, int(shape["num_patients"]), int(shape["num_positive"]), float(shape["value"])
    )
    curves = list(pretraining_curves(sorted((folder / "pretrain").glob("*"))))
    missing = model.missing if curves else [*model.missing, ("Training curves", f"no {folder / 'pretrain'}")]
    return ReportPage(
        title=config.title or f"Study {folder.resolve().name}",
        lead=f"{len(arms)} ways to learn {first.labels.column} from few labels.",
        test_set=test,
        default_arm=arms[0],
        results=list(_results(figures, arms)),
        differences=list(_differences(figures, arms)),
        notes=["Validation patients come out of the label budget. Nothing was chosen on the test patients."],
        judged=[model.judged],
        training=curves,
        budget=list(_budget(cells)),
        saliency=model.saliency,
        saliency_rule=model.rule,
        saliency_checks=model.checks,
        missing=[*missing, ("ROC of every arm", "results.csv holds areas, no curves")],
        limits=LIMITS,
        what_was_run=[("Study", str(folder)), ("Arms", ", ".join(arms)), ("Data", str(first.data.manifest))],
        environment=environment(cells[0]),
    )


def _cells(folder: Path, arm: str) -> list[Path]:
    """Finished cells of an arm, fractions and draws rising."""
    found = [path.parent for path in (folder / CELLS_NAME / arm).glob("*/result.json")]
    if not found:
        raise UserError(f"{folder / CELLS_NAME / arm}: no finished cell; run echossl sweep to its end")
    return sorted(found, key=lambda cell: [_labels(cell)["fraction"], _labels(cell)["draw"], cell.name])


def _labels(cell: Path) -> dict[str, Any]:
    labels: dict[str, Any] = RunFolder(cell).record["config"]["labels"]
    return labels


def _budget(cells: list[Path]) -> Iterator[BudgetLine]:
    """One line per fraction and draw; the other arms and seeds had the same."""
    seen = set()
    for cell in cells:
        key = (_labels(cell)["fraction"], _labels(cell)["draw"])
        if key not in seen:
            seen.add(key)
            yield budget_line(key[0], str(key[1]), result_of(cell))


def _fractions(figures: Mapping[tuple[str, float, str], Any], arm: str) -> list[float]:
    return sorted({fraction for name, fraction, metric in figures if (name, metric) == (arm, "auroc")})


def _results(figures: Mapping[tuple[str, float, str], Any], arms: list[str]) -> Iterator[ResultLine]:
    for fraction in sorted({fraction for arm in arms for fraction in _fractions(figures, arm)}):
        for arm in arms:
            if (arm, fraction, "auroc") in figures:
                areas = [_interval(figures[arm, fraction, metric]) for metric in ("auroc", "auprc")]
                labelled = int(figures[arm, fraction, "auroc"]["num_labelled_patients"])
                yield ResultLine(arm, fraction, labelled, *areas)


def _differences(figures: Mapping[tuple[str, float, str], Any], arms: list[str]) -> Iterator[DifferenceLine]:
    for arm in arms[1:]:
        name = f"{arms[0]} - {arm}"
        for fraction in _fractions(figures, name):
            areas = [
                Difference(
                    **vars(_interval(figures[name, fraction, metric])),
                    p_value=float(figures[name, fraction, f"{metric}_p_value"]["value"]),
                )
                for metric in ("auroc", "auprc")
            ]
            labelled = int(figures[name, fraction, "auroc"]["num_labelled_patients"])
            yield DifferenceLine(arm, fraction, labelled, *areas)


def _interval(row: Mapping[str, Any]) -> Interval:
    return Interval(row["value"], row["low"], row["high"], UNKNOWN_RESAMPLES, 0, 0.95)
