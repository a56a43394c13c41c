"""Encoder files: weights and everything needed to use them in one safetensors file; nothing is unpickled."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.files import atomic_path

FILE_NAME, MODEL_NAME = "encoder.safetensors", "model.safetensors"
# what a model of fine-tuning holds beside its encoder
HEAD, ATTENTION = "head.", "attention."
METADATA_KEY = "echossl"
# of weights exported with other names; not METADATA_KEY, as the file is no encoder file
PLAIN_METADATA_KEY = "echossl_encoder"


def save_encoder(encoder: Encoder, path: Path) -> None:
    """Write weights and metadata; the file is whole or absent."""
    write_weights(encoder.metadata, encoder.state_dict(), path)


def load_encoder(path: str | Path) -> Encoder:
    """Read an encoder file, or the encoder of a model that fine-tuning left.

    Args:
        path: the file, or a run folder that holds one.

    Returns:
        The encoder on the CPU in evaluation mode.

    Raises:
        UserError: if there is no such file, or it is not an encoder file, or its weights do not fit.
    """
    file = find_file(Path(path))
    metadata, state = read_weights(file)
    with torch.random.fork_rng(devices=[]):  # the random weights made here are thrown away at once
        encoder = build_encoder(metadata)
    expected = encoder.state_dict()
    own = {
        name: value
        for name, value in state.items()
        if name in expected or not name.startswith((HEAD, ATTENTION))
    }
    require_match(file, expected, own)
    encoder.load_state_dict(own)
    return encoder.eval()


def find_file(path: Path) -> Path:
    """The file itself, or the encoder file in a run folder, or the model that fine-tuning left there.

    Raises:
        UserError: if there is none.
    """
    if path.is_dir():
        found = [path / name for name in (FILE_NAME, MODEL_NAME) if (path / name).is_file()]
        if not found:
            raise UserError(f"{path}: no {FILE_NAME} here; give the folder of a finished pre-training run")
        return found[0]
    if not path.is_file():
        raise UserError(f"{path}: no such file; give an {FILE_NAME} or the folder of a pre-training run")
    return path


def write_weights(
    metadata: EncoderMetadata,
    state: dict[str, Tensor],
    path: Path,
    *,
    more: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write any weights beside an encoder's metadata, and ``more`` of it; the file is whole or absent."""
    # one layout for every device and memory format, which safetensors asks for
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata={METADATA_KEY: metadata.model_dump_json(), **more})


def read_weights(file: Path) -> tuple[EncoderMetadata, dict[str, Tensor]]:
    """Read what :func:`write_weights` wrote.

    Raises:
        UserError: if it is another kind of file.
    """
    try:
        with safe_open(file, framework="pt") as content:
            text = (content.metadata() or {}).get(METADATA_KEY)
            if text is None:
                raise UserError(
                    f"{file}: a safetensors file, but not of echossl: it has no {METADATA_KEY!r} metadata"
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
        raise UserError(
            f"{file}: its metadata cannot be used by this version of echossl ({key}: {fault['msg']})"
        ) from error


def read_metadata(file: Path) -> dict[str, str]:
    """All metadata of a file that :func:`write_weights` wrote."""
    with safe_open(file, framework="pt") as content:
        return dict(content.metadata() or {})


def require_match(file: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Every weight has to be there, in its shape, and nothing else: no layer stays untrained in silence.

    Raises:
        UserError: naming the first few that do not fit.
    """
    faults = [f"{name} is missing" for name in expected.keys() - found.keys()]
    faults += [f"{name} is unknown" for name in found.keys() - expected.keys()]
    faults += [
        f"{name} has shape {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}"
        for name in expected.keys() & found.keys()
        if expected[name].shape != found[name].shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise UserError(
            f"{file}: the weights do not fit the network that the file names: "
            f"{', '.join(sorted(faults)[:3])}{more}"
        )
