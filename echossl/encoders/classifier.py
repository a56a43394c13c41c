"""A classifier, an encoder with the head of a task, and its file: adaptation leaves it, saliency reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError
from torch import nn

from echossl.config.task import TaskSettings
from echossl.encoders import Encoder, build_encoder
from echossl.encoders.attention import GatedAttention
from echossl.encoders.files import (
    ATTENTION,
    HEAD,
    MODEL_NAME,
    read_metadata,
    read_weights,
    require_match,
    write_weights,
)
from echossl.encoders.heads import build_head
from echossl.encoders.use import USE_KEY, use_of_run
from echossl.errors import UserError

TASK_KEY = "echossl_task"
POOLING_KEY = "echossl_pooling"
# files of earlier versions do not say what they were trained for; it was always a binary column
UNNAMED = TaskSettings(name="binary", columns=("label",))


@dataclass(frozen=True)
class StudyPooling:
    """How the videos of a study become one answer.

    Attributes:
        name: ``mean``, ``max`` or ``attention``.
        attention: for features as the encoder gives them; None without attention.
    """

    name: Literal["mean", "max", "attention"] = "mean"
    attention: GatedAttention | None = None


def save_classifier(
    encoder: Encoder, head: nn.Module, task: TaskSettings, path: Path, pooling: StudyPooling | None = None
) -> None:
    """Write an encoder file that also holds the head (``head.weight``, ...), the task and the pooling.

    In the folder of a run it also says how the videos of the run became clips; see
    :mod:`echossl.encoders.use`.
    """
    parts = encoder.state_dict() | {HEAD + name: value for name, value in head.state_dict().items()}
    # left out where it is a study, so that such files stay readable for earlier versions
    more = {TASK_KEY: task.model_dump_json(exclude={"unit"} if task.unit == "study" else None)}
    if (use := use_of_run(path.parent)) is not None:
        more[USE_KEY] = use.model_dump_json()
    if pooling is not None and pooling.name != "mean":
        more[POOLING_KEY] = pooling.name
        if pooling.attention is not None:
            weights = pooling.attention.state_dict()
            parts |= {ATTENTION + name: value for name, value in weights.items()}
    write_weights(encoder.metadata, parts, path, more=more)


def load_pooling(path: Path) -> StudyPooling:
    """Read how the videos of a study become one answer; the mean, where the file says nothing.

    Args:
        path: a fine-tuning run, or its ``model.safetensors``.

    Raises:
        UserError: if the pooling is one that this version does not know.
    """
    file = path / MODEL_NAME if path.is_dir() else path
    name = read_metadata(file).get(POOLING_KEY, "mean")
    match name:
        case "mean" | "max":
            return StudyPooling(name)
        case "attention":
            _, state = read_weights(file)
            weights = {key.removeprefix(ATTENTION): state[key] for key in state if key.startswith(ATTENTION)}
            width, dim = weights["gate.weight"].shape
            attention = GatedAttention(dim, width)
            attention.load_state_dict(weights)
            return StudyPooling(name, attention.eval())
    raise UserError(f"{file}: pooling {name!r} is not known by this version of echossl")


def load_classifier(path: Path) -> tuple[Encoder, nn.Module, TaskSettings]:
    """Read what fine-tuning left.

    Args:
        path: a fine-tuning run, or its ``model.safetensors``.

    Returns:
        Encoder and head on the CPU in evaluation mode, ``head(encoder(clips))`` being (batch, outputs), and
        the task; of a file without one it is binary, of an unnamed column. How the videos of a study are
        put together is in :func:`load_pooling`.

    Raises:
        UserError: if there is no model (a run of the pixel recipe has none), or the file is something else.
    """
    file = path / MODEL_NAME if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{path}: no {MODEL_NAME} here; give a finished run of echossl finetune whose recipe has an "
            "encoder (frozen or full)"
        )
    metadata, state = read_weights(file)
    task = _task(file)
    with torch.random.fork_rng(devices=[]):  # the random weights made here are thrown away at once
        encoder = build_encoder(metadata)
    head = build_head(task, encoder.dim)
    for name in [name for name in state if name.startswith(ATTENTION)]:
        del state[name]  # see load_pooling
    head_state = {name: state.pop(name) for name in list(state) if name.startswith(HEAD)}
    expected_head = {HEAD + name: value for name, value in head.state_dict().items()}
    require_match(file, encoder.state_dict() | expected_head, state | head_state)
    encoder.load_state_dict(state)
    head.load_state_dict({name.removeprefix(HEAD): value for name, value in head_state.items()})
    return encoder.eval(), head.eval(), task


def _task(file: Path) -> TaskSettings:
    text = read_metadata(file).get(TASK_KEY)
    if text is None:
        return UNNAMED
    try:
        return TaskSettings.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(
            f"{file}: its task cannot be used by this version of echossl ({fault['msg']})"
        ) from error
