"""``MODEL_CARD.md`` beside a file of weights: what it is, what it was made of, and what it is not for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from echossl import __version__
from echossl.config.task import TaskSettings
from echossl.data.labels import describe
from echossl.encoders.base import EncoderMetadata
from echossl.files import write_text

CARD_NAME = "MODEL_CARD.md"
TITLE = "# Model card: "
RESEARCH_USE = "**Research use only.** Not a medical device; not for diagnosis or treatment."
# settings that name files or the machine, or say nothing about the weights
LEFT_OUT = (
    *("data", "fusion", "out", "start"),
    *("hardware", "wandb", "tensorboard", "log_every", "keep_checkpoints"),
)
LOAD = {
    ".onnx": 'onnxruntime.InferenceSession("{name}")  # clips (batch, {clip}) in 0..1 to features',
    ".safetensors": 'echossl.load("{name}")',
}
LIMITS = (
    "Figures hold for the data they were made on; other scanners, views and patients can do worse.",
    "The view, and whether a video is one at all, is not recognised.",
    "A score is no probability before it is calibrated on validation patients of the place of use.",
    "Weights can carry traces of their training data; share them as the conditions of those data allow.",
)


def write_card(
    file: Path,
    metadata: EncoderMetadata,
    *,
    dim: int | None = None,
    load: str | None = None,
    task: TaskSettings | None = None,
    record: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    figures: Sequence[str] = (),
) -> Path:
    """Write the card of a file of weights beside it.

    It holds counts, never paths or names of patients, studies or files of data. The card of another file
    in the same folder is left alone; this one is then ``NAME.MODEL_CARD.md``.

    Args:
        file: the weights, ``.safetensors`` or ``.onnx``.
        metadata: of the encoder.
        dim: length of a clip's vector, where it is known.
        load: how to read the file in Python, where the suffix does not tell.
        task: of a classifier.
        record: ``run.json`` of the run that made it.
        result: ``result.json``.
        figures: what is known of it, a line each, with intervals.

    Returns:
        The card.
    """
    record, result = record or {}, result or {}
    lines = [f"{TITLE}{file.name}", "", RESEARCH_USE, "", "## What it is", ""]
    lines += _listed(_what(metadata, dim, task))
    lines += ["", "## Data", "", *_listed(_data(metadata, result))]
    lines += ["", "## How it was made", "", *_listed(_made(metadata, record))]
    if settings := _settings(record):
        lines += ["", "```yaml", settings, "```"]
    known = figures or ("None known. Measure it on labelled patients of your own before any use.",)
    lines += ["", "## Figures", "", *_listed(known)]
    lines += ["", "## Intended use", "", "Research on echocardiogram videos: features, comparisons, studies."]
    lines += ["", "## Limits", "", *_listed(LIMITS), "", "## Licence", "", _licence()]
    lines += ["", "## How to load", "", "```python", load or _load(file, metadata), "```"]
    path = _place(file)
    write_text(path, "\n".join(lines) + "\n")
    return path


def _place(file: Path) -> Path:
    path = file.parent / CARD_NAME
    is_of_another = path.is_file() and not path.read_text(encoding="utf-8").startswith(
        f"{TITLE}{file.name}\n"
    )
    return file.parent / f"{file.name}.{CARD_NAME}" if is_of_another else path


def _what(metadata: EncoderMetadata, dim: int | None, task: TaskSettings | None) -> Iterator[str]:
    clip, size = metadata.clip, metadata.size
    vector = "" if dim is None else f", {dim} numbers a clip"
    yield f"Video encoder `{metadata.architecture.name}`{vector}."
    yield (
        f"Clips of {clip.num_frames} frames over {clip.clip_seconds:g} s, {size} x {size} pixels, "
        f"{'grey' if metadata.channels == 1 else 'colour'}; grey values {metadata.grey}, mean "
        f"{metadata.mean:.4g}, deviation {metadata.std:.4g}."
    )
    if task is not None:
        yield f"With a head for the {task.name} task of `{', '.join(task.columns)}`."
        yield from (f"{text}." for text in map(describe, task.columns) if text)


def _data(metadata: EncoderMetadata, result: Mapping[str, Any]) -> Iterator[str]:
    counts = {name: value for name, value in result.items() if name.startswith("num_")}
    counts.pop("num_parameters", None)
    for name, value in metadata.provenance.items():
        if name.rpartition(".")[2] in {"patients", "videos"} and f"num_{name}" not in counts:
            yield f"Pre-training: {value} {name}."
    for name, value in counts.items():
        yield f"{name.removeprefix('num_').replace('_', ' ').capitalize()}: {_plain(value)}."
    yield "Counts only; neither names nor files of the data are kept here."


def _made(metadata: EncoderMetadata, record: Mapping[str, Any]) -> Iterator[str]:
    if "command" in record:
        yield f"Command: `echossl {record['command']}`."
    hidden = {"manifest", "run", "patients", "videos", *(("command",) if record else ())}
    for name, value in metadata.provenance.items():
        if name.rpartition(".")[2] not in hidden:
            # a start may be a path; its name is enough
            yield f"{name}: {Path(value).name if '/' in value else value}."
    versions = record.get("versions", {"echossl": __version__})
    yield f"Versions: {', '.join(f'{name} {value}' for name, value in versions.items())}."
    if record.get("git"):
        yield f"Code: {record['git']}."


def _settings(record: Mapping[str, Any]) -> str:
    config = {name: value for name, value in record.get("config", {}).items() if name not in LEFT_OUT}
    return yaml.safe_dump(config, sort_keys=False).strip() if config else ""


def _load(file: Path, metadata: EncoderMetadata) -> str:
    clip = (metadata.channels, metadata.clip.num_frames, metadata.size, metadata.size)
    return LOAD[file.suffix].format(name=file.name, clip=", ".join(map(str, clip)))


def _licence() -> str:
    return (
        "The code is Apache-2.0. The weights come under the conditions of the data, and of the weights, that "
        "they were made from: look them up before you pass the file on."
    )


def _listed(lines: Sequence[str] | Iterator[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
