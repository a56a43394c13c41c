"""What a page says of one model of ours: its scores judged, its saliency, its label budget, its machine."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from echossl import __version__
from echossl.config.report import ReportConfig
from echossl.evaluation import Predictions
from echossl.evaluation.groups import GRADE_COLUMN
from echossl.evaluation.tables import read_manifest_table
from echossl.report import Belief, BudgetLine, CheckLine, Judged, SaliencyEntry
from echossl.runs import RunFolder
from echossl.saliency.believe import UNTESTED
from echossl.study.own_scores import RULE, are_log_odds, assess_own
from echossl.study.pictures import is_explained, saliency_belief, saliency_checks, saliency_entries

LIMITS = [
    "Research use only; not a medical device.",
    "Figures hold for patients like these, from these machines; another hospital is another question.",
    "Saliency maps are exploratory; believe them as far as the controls beside them allow.",
]
NOTE = "Scores are the probabilities that the model gives; no study was used to recalibrate them."


@dataclass(frozen=True)
class OneModel:
    """Parts of a page that stand on the scores of one run.

    Attributes:
        judged: its scores, judged.
        saliency: its studies to look at.
        rule: which threshold called them positive; empty where there is nothing to call.
        checks: the maps beside their controls.
        belief: which method may be believed; None where none was checked.
        missing: what is not there, and what would bring it.
    """

    judged: Judged
    saliency: list[SaliencyEntry]
    rule: str
    checks: list[CheckLine]
    belief: Belief | None
    missing: list[tuple[str, str]]


def one_model(
    predictions: Predictions, config: ReportConfig, *, manifest: Path, saliency: Path, note: str
) -> OneModel:
    """Judge the scores of a run and gather its saliency.

    Args:
        predictions: one column, the test split.
        config: of the page.
        manifest: table of the run, unless the settings name another.
        saliency: folder of ``echossl explain``, unless the settings name another.
        note: which model it is.
    """
    table_path, folder = config.manifest or manifest, config.saliency or saliency
    # a manifest that is named must be there; that of a run may have moved away since
    there = table_path == config.manifest or table_path.is_file()
    table = read_manifest_table(table_path) if there else None
    assessment = assess_own(predictions, config, table)
    threshold = 0.0 if are_log_odds(predictions) else 0.5
    entries = saliency_entries(folder, threshold=threshold, grades=grades_in(table), most=config.videos)
    missing = [] if there else [("Subgroups and grades", f"no {table_path}; give manifest=FILE")]
    if is_explained(folder) and config.videos == 0:
        missing.append(("Saliency gallery", f"left out by videos=0; {folder} holds it"))
    elif not entries:
        missing.append(("Saliency", f"nothing in {folder}; make it with echossl explain"))
    title = f"{assessment.column.replace('_', ' ')}, split {assessment.split}"
    scores = NOTE if config.recalibrate is None else ""
    judged = Judged(title, f"{note} {scores}".strip(), assessment)
    belief = saliency_belief(folder)
    if is_explained(folder) and (belief is None or {line.verdict for line in belief.lines} == {UNTESTED}):
        missing.append(("Which map may be believed", "no check was made; echossl explain with --checks"))
    rule = RULE if entries else ""
    return OneModel(judged, entries, rule, saliency_checks(folder), belief, missing)


def grades_in(table: pd.DataFrame | None) -> dict[str, str]:
    """Grade of every study of a manifest that has one."""
    if table is None or not {"study_id", GRADE_COLUMN} <= set(table.columns):
        return {}
    known = table.dropna(subset=[GRADE_COLUMN])
    pairs = zip(known["study_id"].astype(str), known[GRADE_COLUMN].astype(str), strict=True)
    return {study: grade for study, grade in pairs if grade}


def budget_line(fraction: float, draw: str, budget: Mapping[str, Any]) -> BudgetLine:
    """What a run's ``result.json`` says of its labels."""
    return BudgetLine(
        fraction=fraction,
        draw=draw,
        num_labelled_patients=budget["num_labelled_patients"],
        num_positive=budget.get("num_positive_patients"),
        num_videos=budget["num_labelled_videos"],
        num_validation_patients=budget["num_validation_patients"],
    )


def environment(folder: Path) -> list[tuple[str, str]]:
    """Versions and machine of a run."""
    record = RunFolder(folder).record
    versions = [(name, str(version)) for name, version in record["versions"].items()]
    host = record["host"]
    return [
        ("echossl", f"{__version__}, commit {record['git'] or 'unknown'}"),
        ("Python", host["python"]),
        ("Machine", f"{host['system']}, {platform.machine()}"),
        *[pair for pair in versions if pair[0] != "echossl"],
    ]


def result_of(run: Path) -> dict[str, Any]:
    """The content of a run's ``result.json``."""
    content: dict[str, Any] = json.loads((run / "result.json").read_text(encoding="utf-8"))
    return content
