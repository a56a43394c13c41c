"""A classifier, an encoder with a linear head, and its file: adaptation leaves it, saliency reads it."""

from pathlib import Path

import torch
from torch import nn

from echossl.encoders import Encoder, build_encoder
from echossl.encoders.files import read_weights, require_match, write_weights
from echossl.errors import UserError

MODEL_NAME = "model.safetensors"
HEAD = "head."


def save_classifier(encoder: Encoder, head: nn.Linear, path: Path) -> None:
    """Write an encoder file that also holds ``head.weight`` (1, dim) and ``head.bias`` (1,)."""
    parts = encoder.state_dict() | {HEAD + name: value for name, value in head.state_dict().items()}
    write_weights(encoder.metadata, parts, path)


def load_classifier(path: Path) -> tuple[Encoder, nn.Linear]:
    """Read what fine-tuning left.

    Args:
        path: a fine-tuning run, or its ``model.safetensors``.

    Returns:
        Encoder and head on the CPU in evaluation mode; ``head(encoder(clips))`` are logits (batch, 1).

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
    with torch.random.fork_rng(devices=[]):  # the random weights made here are thrown away at once
        encoder = build_encoder(metadata)
        head = nn.Linear(encoder.dim, 1)
    head_state = {name: state.pop(name) for name in list(state) if name.startswith(HEAD)}
    expected_head = {HEAD + name: value for name, value in head.state_dict().items()}
    require_match(file, encoder.state_dict() | expected_head, state | head_state)
    encoder.load_state_dict(state)
    head.load_state_dict({name.removeprefix(HEAD): value for name, value in head_state.items()})
    return encoder.eval(), head.eval()
