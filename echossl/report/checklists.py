"""TRIPOD+AI, STARD-AI and CLAIM: what a run's own records answer, and what the authors still owe."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.assessment import Assessment, definition_of
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.spoken import shown_figure, title_of
from echossl.evaluation.summary import Summary
from echossl.files import write_text
from echossl.report.checklist_items import GUIDELINES

REMARK = (
    "Items in short words of ours, filled from the records of the run. STARD-AI: the numbers are those of "
    "the 30 items of STARD 2015, which it extends, and not those of its own list; what it adds has no number "
    "here but AI. Check against the published lists before submission."
)
NUMBERED = {"STARD-AI": " (numbered as STARD 2015)"}
CHECKED = "checks of them in saliency/checks.csv"
POOLED = "videos of a study pooled to one score"
State = Literal["filled", "in part", "owed"]


@dataclass(frozen=True)
class ChecklistItem:
    """One item of one guideline.

    Attributes:
        guideline: ``TRIPOD+AI``, ``STARD-AI`` or ``CLAIM``.
        number: of the item, or ``AI`` for STARD-AI's additions.
        asked: what it asks, in short.
        answer: what the records say of it; empty where they say nothing.
        state: ``filled``; ``in part``: the authors add to it; ``owed``: the authors write it.
    """

    guideline: str
    number: str
    asked: str
    answer: str
    state: State


def checklist(run_folder: Path, config: EvaluationConfig | None = None) -> list[ChecklistItem]:
    """Every item of the three guidelines with what the run's records say.

    Args:
        run_folder: of ``echossl finetune``: ``run.json``, and where there ``result.json``,
            ``predictions.csv``, ``saliency/``.
        config: how its predictions are judged; None takes the defaults.

    Raises:
        UserError: if there is no ``run.json``.
    """
    facts = _facts(run_folder, config or EvaluationConfig())
    return [
        _item(guideline, number, asked, fact, facts)
        for guideline, items in GUIDELINES.items()
        for number, asked, fact in items
    ]


def as_markdown(items: Sequence[ChecklistItem]) -> str:
    """``checklist.md``: what is owed first in words, then a table per guideline."""
    lines = ["# Reporting checklists", "", REMARK, ""]
    for guideline in GUIDELINES:
        own = [item for item in items if item.guideline == guideline]
        counts = ", ".join(
            f"{sum(item.state == state for item in own)} {state}" for state in ("filled", "in part", "owed")
        )
        lines += [f"## {guideline}{NUMBERED.get(guideline, '')}", "", f"{len(own)} items: {counts}.", ""]
        lines += ["| item | asks for | from the records | state |", "|---|---|---|---|"]
        lines += [f"| {i.number} | {i.asked} | {_cell(i.answer)} | {i.state} |" for i in own]
        lines.append("")
    return "\n".join(lines)


def write_checklist(run_folder: Path, path: Path, config: EvaluationConfig | None = None) -> Path:
    """Write ``checklist.md``; see :func:`checklist`."""
    write_text(path, as_markdown(checklist(run_folder, config)))
    return path


def _item(guideline: str, number: str, asked: str, fact: str, facts: Mapping[str, str]) -> ChecklistItem:
    answer = facts.get(fact.removeprefix("~"), "")
    state: State = "owed" if not answer else "in part" if fact.startswith("~") else "filled"
    return ChecklistItem(guideline, number, asked, answer, state)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _facts(folder: Path, config: EvaluationConfig) -> dict[str, str]:
    record = _json(folder / "run.json")
    if record is None:
        raise UserError(f"{folder}: no run.json; a checklist is filled from the folder of a run")
    facts = dict(_of_settings(record.get("config", {})))
    facts |= dict(_of_result(_json(folder / "result.json") or {}))
    versions = ", ".join(f"{name} {number}" for name, number in record.get("versions", {}).items())
    facts["software"] = f"{versions}; code version {record.get('git')}; {_system(record)}"
    if (folder / "predictions.csv").is_file():
        facts |= dict(_of_scores(folder / "predictions.csv", config))
    if (folder / "saliency").is_dir():
        checked = (folder / "saliency" / "checks.csv").is_file()
        facts["saliency"] = f"maps in saliency/; {CHECKED if checked else 'no checks of them were made'}"
    if (folder / "model.safetensors").is_file():
        facts["model"] = f"{facts.get('model', '')}; weights in model.safetensors".removeprefix("; ")
    return facts


def _of_settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data, encoder = settings.get("data") or {}, settings.get("encoder") or {}
    recipe, labels = settings.get("recipe") or {}, settings.get("labels") or {}
    if data:
        yield "data", f"manifest {data.get('manifest')}, clip store {data.get('store')}"
    if clip := settings.get("clip"):
        frames, seconds = clip.get("num_frames"), clip.get("clip_seconds")
        said = f"clips of {frames} frames over {seconds} s; shorter ones: {clip.get('too_short')}"
        yield "preparation", f"videos masked and resized to a clip store; {said}"
    if "clip_policy" in settings:
        clips = f"{settings.get('clips_per_video')} clips per video ({settings['clip_policy']})"
        scored = "each video scored for itself" if labels.get("unit") == "video" else POOLED
        yield "input", f"{clips}; {scored}"
    if encoder:
        yield "model", f"video network {encoder.get('name')}"
    if "start" in settings:
        yield "start", f"weights of {settings['start']}" if settings["start"] else "random weights"
    if recipe:
        said = ", ".join(f"{name} {value}" for name, value in recipe.items() if not isinstance(value, dict))
        yield "training", f"recipe {said}; seed {settings.get('seed')}"
    if labels:
        splits = f"patient-disjoint splits {settings.get('train_split')} and {settings.get('test_split')}"
        share = (
            f"share {labels.get('fraction')} of the labelled training patients (draw {labels.get('draw')})"
        )
        held_out = f"of these {labels.get('validation_share')} held out for choices"
        yield "partition", f"{splits}; {share}, {held_out}"
        yield "missing", "an empty label is not assessed: left out, never negative; counts with each result"
        yield "blinding", "scores are computed without access to the labels of the test split"
        yield "ensemble", "none: one network"


def _of_result(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "column" in result:
        yield "outcome", f"{result['column']}: {result.get('classes') or result.get('task')}"
    counts = {name: value for name, value in result.items() if name.startswith("num_")}
    if counts:
        yield "sizes", ", ".join(f"{value} {name[4:].replace('_', ' ')}" for name, value in counts.items())
    if "chosen_steps" in result:
        where = "chosen on held-out patients of the label budget, never on test"
        yield "selection", f"{result['chosen_steps']} updates, {where}"


def _of_scores(path: Path, config: EvaluationConfig) -> Iterator[tuple[str, str]]:
    answers = evaluate_file(path, config)
    figures = [
        f"{answer.column} ({answer.split}): "
        + ", ".join(f"{title_of(name, answer)} {shown_figure(one)}" for name, one in answer.figures.items())
        for answer in answers
        if answer.figures
    ]
    yield "performance", "; ".join(figures)
    yield "measures", _measures(answers, config)
    judged = [answer for answer in answers if isinstance(answer, Assessment)]
    # of several questions or splits all are told, each by its name
    for fact, said in (
        ("points", _points),
        ("recalibration", _recalibration),
        ("subgroups", _subgroups),
        ("grades", _grades),
    ):
        parts = {f"{one.column} ({one.split})": said(one) for one in judged}
        told = {name: text for name, text in parts.items() if text}
        if len(judged) > 1 and told:
            yield fact, "; ".join(f"{name}: {text}" for name, text in told.items())
        else:
            yield from ((fact, text) for text in told.values())


def _measures(answers: Sequence[Assessment | Summary], config: EvaluationConfig) -> str:
    names = dict.fromkeys(name for answer in answers for name in answer.figures)
    made = dict.fromkeys(answer.definition for answer in answers if answer.figures)
    return f"{', '.join(names)}; {'; '.join(made) or definition_of(config)}"


def _points(answer: Assessment) -> str:
    """Thresholds, and the cross table of each."""
    rules = [
        f"{point.rule}: {point.threshold:.4g}, fixed on split {point.chosen_on} ("
        + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in point.counts.items())
        + ")"
        for point in answer.points
    ]
    return f"thresholds {'; '.join(rules)}" if rules else ""


def _recalibration(answer: Assessment) -> str:
    if answer.config.recalibrate is None or answer.calibration is None:
        return ""
    return answer.calibration.probabilities


def _subgroups(answer: Assessment) -> str:
    names = ", ".join(dict.fromkeys(group.column for group in answer.subgroups))
    return f"AUROC apart by {names}" if names else ""


def _grades(answer: Assessment) -> str:
    scores = answer.grades.scores if answer.grades else {}
    return ", ".join(f"{len(values)} {name}" for name, values in scores.items())


def _system(record: Mapping[str, Any]) -> str:
    host = record.get("host", {})
    # not the host's name, which is nobody's business in a paper
    return f"Python {host.get('python')} on {host.get('system')}"


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
