"""What a person reads first of a run: ``summary.md``, and the model card of its weights."""

import csv
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from echossl.config.evaluation import BootstrapConfig
from echossl.encoders.card import RESEARCH_USE, write_card
from echossl.encoders.classifier import load_classifier
from echossl.encoders.files import FILE_NAME, MODEL_NAME, load_encoder
from echossl.errors import UserError
from echossl.evaluation.auc import METRICS
from echossl.evaluation.bootstrap import bootstrap_interval
from echossl.evaluation.results import format_interval
from echossl.evaluation.study import Predictions, read_all_predictions
from echossl.files import write_text
from echossl.runs import RunFolder

SUMMARY_NAME = "summary.md"
FILES = {
    "encoder.safetensors": "the encoder, `echossl.load` reads it",
    "encoder_best.safetensors": "the encoder of the best look",
    "model.safetensors": "the classifier, `echossl predict` and `explain` read it",
    "predictions.csv": "scores of the test split, `echossl evaluate` reads it",
    "budget.csv": "whose labels were used, and for what",
    "metrics.jsonl": "a line per logged step",
    "bad_videos.csv": "videos that could not be read, and why",
    "bad_steps.csv": "steps that were skipped",
    "result.json": "what was found, for programs",
    "run.json": "settings, command, versions, machine; `echossl COMMAND run.json` repeats the run",
}
FEW_POSITIVE = 10


@dataclass(frozen=True)
class Papers:
    """What is known of a finished run.

    Attributes:
        folder: the run.
        record: ``run.json``.
        result: ``result.json``.
        looks: lines of ``metrics.jsonl``.
        figures: in words, with intervals; no path, and no name of a patient.
        faults: why predictions have none, in words that may name files.
    """

    folder: Path
    record: dict[str, Any]
    result: dict[str, Any]
    looks: list[dict[str, Any]]
    figures: list[str]
    faults: list[str]


def write_papers(folder: Path) -> Path:
    """Write ``summary.md`` and ``MODEL_CARD.md`` of a finished run of ``pretrain`` or ``finetune``.

    Returns:
        The summary. What is there already stays: a finished run does not change.

    Raises:
        RunFolderError: if the folder holds no run.
        UserError: if the run is not finished.
    """
    path = folder / SUMMARY_NAME
    if path.is_file():
        return path
    run = RunFolder(folder)
    record, result = run.record, run.result
    if result is None:
        raise UserError(f"{folder}: the run is not finished; the same command continues it")
    looks = _looks(folder / "metrics.jsonl")
    judged, faults = _judged(folder, result)
    papers = Papers(folder, record, result, looks, [*judged, *_figures(result)], faults)
    _write_card(papers)
    write_text(path, summary_text(papers))
    return path


def summary_text(papers: Papers) -> str:
    """The summary as Markdown."""
    record, result = papers.record, papers.result
    lines = [f"# {record['command']}: {papers.folder.absolute().name}", "", RESEARCH_USE, ""]
    lines += [f"- Command: `{shlex.join(['echossl', *record['argv'][1:]])}`"]
    lines += [f"- Data: {_counts(result)}"]
    lines += [f"- Learned: {result['classes'] or result['column']}"] if "column" in result else []
    lines += [f"- Machine: {_machine(papers)}"]
    lines += [f"- Time: {_seconds(papers):g} s"] if _seconds(papers) else []
    lines += ["", "## Figures", "", *[f"- {line}" for line in papers.figures or ["none"]]]
    lines += ["", "## Warnings", "", *[f"- {line}" for line in list(_warnings(papers)) or ["none"]]]
    lines += ["", "## Files", "", "| file | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in FILES.items() if (papers.folder / name).is_file()]
    return "\n".join(lines) + "\n"


def _write_card(papers: Papers) -> None:
    write = partial(write_card, record=papers.record, result=papers.result, figures=papers.figures)
    if (papers.folder / FILE_NAME).is_file():
        encoder = load_encoder(papers.folder)
        write(papers.folder / FILE_NAME, encoder.metadata, dim=encoder.dim)
    elif (papers.folder / MODEL_NAME).is_file():
        encoder, _, task = load_classifier(papers.folder)
        load = 'encoder, head, task = load_classifier(Path("RUN"))  # from echossl.encoders.classifier'
        write(papers.folder / MODEL_NAME, encoder.metadata, dim=encoder.dim, load=load, task=task)


def _judged(folder: Path, result: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Figures of the test split with intervals, and why there are not more of them."""
    path = folder / "predictions.csv"
    found: list[str] = []
    if path.is_file() and _is_scored(path, result):
        try:
            for table in read_all_predictions(path):
                found += _of_predictions(table)
        except UserError as error:  # such as a finding that no test study was assessed for
            return found, [f"predictions are not evaluated: {error}"]
    return found, []


def _figures(result: dict[str, Any]) -> Iterator[str]:
    """Of the monitors and the last step."""
    if best := result.get("best"):
        yield f"{best['figure']} {best['value']:.4g} at step {best['step']}, the best look"
    last = result.get("last", {})
    skipped = {"step", "learning_rate", "bad_videos", "bad_steps"}
    shown = [
        f"{name} {value:.4g}" for name, value in last.items() if name not in skipped and value is not None
    ]
    if shown:
        yield f"step {last.get('step')}: {', '.join(shown)}"
    if "chosen_steps" in result:
        yield f"{result['chosen_steps']} updates, chosen on the validation patients of the label budget"


def _is_scored(path: Path, result: dict[str, Any]) -> bool:
    with path.open(encoding="utf-8") as file:
        has_path = "path" in next(csv.reader(file))
    return result.get("task") != "regression" and not has_path


def _of_predictions(table: Predictions) -> Iterator[str]:
    config = BootstrapConfig()
    for split in dict.fromkeys(table.splits.tolist()):
        part = table.only(split)
        if len(set(part.labels.tolist())) < 2:
            yield f"{part.column}, split {split}: every label is the same, nothing to rank"
            continue
        for name, metric in METRICS.items():
            interval = bootstrap_interval(part.labels, part.scores, part.patients, metric, config)
            counts = f"{part.num_patients} patients, {part.num_positive} positive"
            yield (
                f"{part.column}, split {split}: {name.upper()} {format_interval(interval)}, "
                f"{config.confidence:.0%} by {config.resamples} resamples of {counts}"
            )


def _warnings(papers: Papers) -> Iterator[str]:
    yield from (" ".join(fault.split()) for fault in papers.faults)
    result, last = papers.result, papers.looks[-1] if papers.looks else {}
    for name, what in (("bad_videos", "videos could not be read"), ("bad_steps", "steps were skipped")):
        count = _rows(papers.folder / f"{name}.csv") or int(last.get(name, 0))
        if count:
            yield f"{count} {what}; see {name}.csv"
    collapsed = [look["step"] for look in papers.looks if look.get("monitor/collapsed")]
    if collapsed:
        yield f"the embeddings had collapsed at {len(collapsed)} looks, first at step {collapsed[0]}"
    if result.get("num_positive_patients", FEW_POSITIVE) < FEW_POSITIVE:
        yield f"only {result['num_positive_patients']} positive labelled patients"
    if str(papers.record.get("git") or "").endswith("-dirty"):
        yield "the code had changes that no version holds"


def _counts(result: dict[str, Any]) -> str:
    left_out = {"num_parameters"}
    counts = [
        f"{value} {name.removeprefix('num_').replace('_', ' ')}"
        for name, value in result.items()
        if name.startswith("num_") and name not in left_out and isinstance(value, int)
    ]
    return ", ".join(counts) or "not known"


def _machine(papers: Papers) -> str:
    hardware = papers.result.get("hardware", {})
    device = hardware.get("device_name") or hardware.get("device", "cpu")
    return f"{device}, {hardware.get('precision', 'fp32')}; echossl {papers.record['versions']['echossl']}"


def _seconds(papers: Papers) -> float:
    """How long the run took, in whole seconds from its first start where it does not say; 0 if unknown."""
    if "seconds" in papers.result:
        return float(papers.result["seconds"])
    first, last = ((papers.folder / name).stat().st_mtime for name in ("run.json", "result.json"))
    return float(max(0, round(last - first)))


def _looks(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _rows(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines()) - 1 if path.is_file() else 0
