"""The page of a study's folder, from its ``results.csv`` and its runs; its settings are not needed."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from echossl.config.adapt import FinetuneConfig
from echossl.config.report import ReportConfig
from echossl.errors import UserError
from echossl.evaluation import Difference, Interval, read_predictions
from echossl.evaluation.results import P_VALUE_SUFFIX
from echossl.report import BudgetLine, DifferenceLine, ReportPage, ResultLine, TestSet
from echossl.runs import RunFolder
from echossl.study.curves import pretraining_curves
from echossl.study.family import CORRECTIONS
from echossl.study.one_model import LIMITS, budget_line, environment, one_model, result_of
from echossl.study.record import StudyRecord, read_record

TABLE_NAME, CELLS_NAME = "results.csv", "cells"
NUMBERS = ["fraction", "value", "low", "high", "num_patients", "num_positive", "num_labelled_patients"]
# results.csv holds the ends of an interval, not how many resamples they come from nor what they cover
UNKNOWN = (0, 0.95)
Figures = Mapping[tuple[str, float, str], Any]


def is_study_folder(folder: Path) -> bool:
    """Whether it holds the table and the cells of a study."""
    return (folder / TABLE_NAME).is_file() and (folder / CELLS_NAME).is_dir()


def folder_page(folder: Path, config: ReportConfig) -> ReportPage:
    """The page of a study that ``echossl sweep`` has run.

    Raises:
        UserError: if its table holds no pooled figure, or no cell of its first arm is there.
    """
    figures, record = _pooled(folder), read_record(folder)
    arms = [arm for arm in dict.fromkeys(arm for arm, _, _ in figures) if " - " not in arm]
    if not arms:
        raise UserError(f"{folder / TABLE_NAME}: holds no pooled figure; run echossl sweep to its end")
    titles = _titles(arms, record)
    cells = _cells(folder, arms[0])
    first = FinetuneConfig.model_validate(RunFolder(cells[0]).record["config"])
    question = record.question if record else first.labels.column
    model = one_model(
        read_predictions(cells[0] / "predictions.csv", question),
        _with_study(config, record),
        manifest=first.data.manifest,
        saliency=folder / "saliency",
        note=f"{cells[0].relative_to(folder)}: the first model, chosen before its result was known.",
    )
    correction = next((CORRECTIONS[name] for name in CORRECTIONS if _adjusted_by(name, figures)), "")
    differences = list(_differences(figures, titles, record))
    shape = figures[arms[0], min(_fractions(figures, arms[0])), "prevalence"]
    test = TestSet(question, int(shape["num_patients"]), int(shape["num_positive"]), float(shape["value"]))
    curves = list(pretraining_curves(sorted((folder / "pretrain").glob("*"))))
    missing = model.missing if curves else [*model.missing, ("Training curves", f"no {folder / 'pretrain'}")]
    return ReportPage(
        title=config.title or f"Study {folder.resolve().name}",
        lead=f"{len(arms)} ways to learn {question} from few labels.",
        test_set=test,
        default_arm=titles[arms[0]],
        results=list(_results(figures, titles, record)),
        differences=differences,
        correction=correction,
        notes=["Validation patients come out of the label budget. Nothing was chosen on the test patients."],
        judged=[model.judged],
        training=curves,
        budget=list(_budget(cells)),
        saliency=model.saliency,
        saliency_rule=model.rule,
        saliency_checks=model.checks,
        belief=model.belief,
        missing=[*missing, ("ROC of every arm", "results.csv holds areas, no curves")],
        limits=LIMITS,
        what_was_run=[
            ("Study", str(folder)),
            ("Arms", "; ".join(titles.values())),
            *_repeats(record),
            ("Data", str(first.data.manifest)),
        ],
        environment=environment(cells[0]),
    )


def _pooled(folder: Path) -> dict[tuple[str, float, str], Any]:
    """Rows of the table over all draws and seeds, by arm, fraction and metric."""
    table = pd.read_csv(folder / TABLE_NAME, dtype=str, keep_default_na=False)
    if "tested_on" in table:
        raise UserError(
            f"{folder / TABLE_NAME}: of a study of several sources, which has no page; its tables are in "
            f"{folder / 'summary.md'}"
        )
    table[NUMBERS] = table[NUMBERS].apply(pd.to_numeric, errors="coerce")
    pooled = table[(table["draw"] == "all") & (table["seed"] == "all")]
    return {(row["arm"], row["fraction"], row["metric"]): row for row in pooled.to_dict("records")}


def _titles(arms: Sequence[str], record: StudyRecord | None) -> dict[str, str]:
    """Title of each arm; its name where the titles do not tell the arms apart."""
    titles = {name: record.titles.get(name, name) if record else name for name in arms}
    return titles if len(set(titles.values())) == len(arms) else {name: name for name in arms}


def _with_study(config: ReportConfig, record: StudyRecord | None) -> ReportConfig:
    """Resamples and confidence of the study, where the page's settings do not say others."""
    if record is None:
        return config
    own = {"resamples": record.resamples, "confidence": record.confidence}
    unsaid = {name: value for name, value in own.items() if name not in config.model_fields_set}
    return config.model_copy(update=unsaid)


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


def _fractions(figures: Figures, arm: str) -> list[float]:
    return sorted({fraction for name, fraction, metric in figures if (name, metric) == (arm, "auroc")})


def _repeats(record: StudyRecord | None) -> list[tuple[str, str]]:
    if record is None:
        return []
    return [
        ("Label draws", f"{record.draws} per fraction, the same for every arm"),
        ("Pre-training seeds", str(record.seeds)),
    ]


def _adjusted_by(correction: str, figures: Figures) -> bool:
    return any(metric == f"auroc{P_VALUE_SUFFIX}_{correction}" for _, _, metric in figures)


def _results(figures: Figures, titles: Mapping[str, str], record: StudyRecord | None) -> Iterator[ResultLine]:
    for fraction in sorted({fraction for arm in titles for fraction in _fractions(figures, arm)}):
        for arm, title in titles.items():
            if (arm, fraction, "auroc") in figures:
                areas = [_interval(figures[arm, fraction, metric], record) for metric in ("auroc", "auprc")]
                labelled = int(figures[arm, fraction, "auroc"]["num_labelled_patients"])
                yield ResultLine(title, fraction, labelled, *areas)


def _differences(
    figures: Figures, titles: Mapping[str, str], record: StudyRecord | None
) -> Iterator[DifferenceLine]:
    default, *others = titles
    for arm in others:
        name = f"{default} - {arm}"
        for fraction in _fractions(figures, name):
            auroc, auprc = (
                Difference(
                    **vars(_interval(figures[name, fraction, metric], record)),
                    p_value=float(figures[name, fraction, f"{metric}{P_VALUE_SUFFIX}"]["value"]),
                )
                for metric in ("auroc", "auprc")
            )
            labelled = int(figures[name, fraction, "auroc"]["num_labelled_patients"])
            adjusted = [figures.get((name, fraction, f"auroc{P_VALUE_SUFFIX}_{one}")) for one in CORRECTIONS]
            p_value = next((float(row["value"]) for row in adjusted if row), None)
            yield DifferenceLine(titles[arm], fraction, labelled, auroc, auprc, p_value)


def _interval(row: Mapping[str, Any], record: StudyRecord | None) -> Interval:
    resamples, confidence = (record.resamples, record.confidence) if record else UNKNOWN
    return Interval(row["value"], row["low"], row["high"], resamples, 0, confidence)
