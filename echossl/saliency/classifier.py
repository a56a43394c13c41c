"""A classifier, an encoder with a linear head, and its file: adaptation leaves it, saliency reads it."""

from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.files import METADATA_KEY
from echossl.errors import UserError
from echossl.files import atomic_path

MODEL_NAME = "model.safetensors"
HEAD = "head."


def save_classifier(encoder: Encoder, head: nn.Linear, path: Path) -> None:
    """Write an encoder file that also holds ``head.weight`` (1, dim) and ``head.bias`` (1,)."""
    parts = encoder.state_dict() | {HEAD + name: value for name, value in head.state_dict().items()}
    state = {name: value.detach().cpu().contiguous() for name, value in parts.items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={METADATA_KEY: encoder.metadata.model_dump_json()})


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
    metadata, state = _read(file)
    head_state = {name.removeprefix(HEAD): state.pop(name) for name in list(state) if name.startswith(HEAD)}
    with torch.random.fork_rng(devices=[]):  # the random weights made here are thrown away at once
        encoder = build_encoder(metadata)
        head = nn.Linear(encoder.dim, 1)
    try:
        encoder.load_state_dict(state)
        head.load_state_dict(head_state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file}: not a classifier of echossl finetune ({reason})") from error
    return encoder.eval(), head.eval()


def _read(file: Path) -> tuple[EncoderMetadata, dict[str, Tensor]]:
    try:
        with safe_open(file, framework="pt") as content:
            text = (content.metadata() or {}).get(METADATA_KEY)
            if text is None:
                raise UserError(
                    f"{file}: a safetensors file without {METADATA_KEY!r} metadata; not of echossl"
                )
            return EncoderMetadata.model_validate_json(text), {
                name: content.get_tensor(name)
                for name in content.keys()  # noqa: SIM118 - not a mapping
            }
    except SafetensorError as error:
        raise UserError(f"{file}: not a safetensors file, or a damaged one ({error})") from error
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise UserError(f"{file}: its metadata cannot be used ({key}: {fault['msg']})") from error
