"""Files with weights, of whatever tool, as flat tables of tensors; nothing in them is executed."""

import argparse
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from echossl.encoders.base import EncoderMetadata
from echossl.encoders.files import METADATA_KEY, PLAIN_METADATA_KEY, find_file, read_weights
from echossl.errors import UserError

# a safetensors file starts with the length of its header in eight bytes, then the header, which is JSON
SAFETENSORS_BYTE = 8

# what makes a NumPy scalar again; it has had two homes, and files name the one of their day
SCALAR: Any = np.float64(0).__reduce__()[0]

# plain values that training scripts keep beside their weights: best losses as NumPy scalars, their arguments
HARMLESS: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
    argparse.Namespace,
    np.dtype,
    type(np.dtype("float32")),
    type(np.dtype("float64")),
    type(np.dtype("int64")),
    (SCALAR, "numpy.core.multiarray.scalar"),
    (SCALAR, "numpy._core.multiarray.scalar"),
]


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file.

    Attributes:
        tensors: by name; what was nested is joined by dots, as in ``state_dict.module.fc.weight``.
        statistics: mean and standard deviation of the grey values its network is for, if the file says so.
        metadata: all that the file says, if it is one of echossl.
    """

    tensors: dict[str, Tensor]
    statistics: tuple[float, float] | None = None
    metadata: EncoderMetadata | None = None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of weights, or the encoder of a run folder.

    Raises:
        UserError: if there is none, or it is damaged, or holds more than tensors and plain values.
    """
    file = find_file(path)
    if is_own(file):
        metadata, state = read_weights(file)
        return Checkpoint(state, (metadata.mean, metadata.std), metadata)
    if is_safetensors(file):
        with _opened(file) as content:
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
            return Checkpoint(tensors, *_of_export(file, (content.metadata() or {}).get(PLAIN_METADATA_KEY)))
    return Checkpoint(dict(flat_tensors(load_content(file))))


def _of_export(file: Path, text: str | None) -> tuple[tuple[float, float], EncoderMetadata] | tuple[()]:
    """Statistics and metadata that an export of echossl carries; nothing of other files."""
    if text is None:
        return ()
    try:
        metadata = EncoderMetadata.model_validate_json(text)
    except ValidationError as error:
        raise UserError(
            f"{file}: its {PLAIN_METADATA_KEY!r} metadata cannot be read; export it again"
        ) from error
    return (metadata.mean, metadata.std), metadata


def is_own(path: Path) -> bool:
    """Whether a file, or the encoder in a run folder, was written by echossl."""
    file = find_file(path)
    if not is_safetensors(file):
        return False
    with _opened(file) as content:
        return METADATA_KEY in (content.metadata() or {})


def flat_tensors(content: object, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dictionaries with its full name."""
    if isinstance(content, Tensor):
        yield prefix.removesuffix("."), content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from flat_tensors(value, f"{prefix}{name}.")


def is_safetensors(file: Path) -> bool:
    """Whether a file looks like one of safetensors, by its first bytes."""
    with file.open("rb") as stream:
        start = stream.read(SAFETENSORS_BYTE + 1)
    return start[SAFETENSORS_BYTE:] == b"{" and not start.startswith(b"PK")


def _opened(file: Path) -> safe_open:
    try:
        return safe_open(file, framework="pt")
    except SafetensorError as error:
        raise UserError(f"{file}: a damaged safetensors file ({error})") from error


def load_content(file: Path) -> object:
    """All that a PyTorch file holds, tensors on the CPU; nothing but weights and plain values is read.

    Raises:
        UserError: if it is damaged, or holds something else.
    """
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0].partition("Please file")[0].strip()
        raise UserError(
            f"{file}: not a file of weights alone, and what it holds is not run ({reason}); save only "
            "the state_dict with the tool that wrote it, or convert it to safetensors"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(
            f"{file}: found neither a PyTorch nor a safetensors file ({str(error).partition(chr(10))[0]})"
        ) from error
