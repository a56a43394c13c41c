"""What ties pictures to texts, beside the encoder: what objectives that read reports have learned of them.

``alignment.safetensors`` holds their weights and, as JSON, what else is needed to build them again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from echossl.errors import UserError
from echossl.files import atomic_path

FILE_NAME = "alignment.safetensors"
METADATA_KEY = "echossl_alignment"


@dataclass(frozen=True)
class Alignment:
    """An objective that reads reports, as it is kept.

    Attributes:
        state: its weights.
        metadata: what else is needed to build it, as text: settings, tokenizer.
    """

    state: dict[str, Tensor]
    metadata: dict[str, str]


def save_alignments(alignments: Mapping[str, Alignment], path: Path) -> None:
    """Write what :meth:`echossl.objectives.Objective.artifacts` gave; the file is whole or absent."""
    # one layout for every device, and a copy of its own for weights that two layers share
    state = {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, alignment in alignments.items()
        for key, value in alignment.state.items()
    }
    texts = {name: alignment.metadata for name, alignment in alignments.items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={METADATA_KEY: json.dumps(texts, ensure_ascii=False)})


def read_alignments(path: str | Path) -> dict[str, Alignment]:
    """Read what :func:`save_alignments` wrote; nothing is unpickled.

    Args:
        path: the file, or a run folder that holds one.

    Returns:
        By name of the objective.

    Raises:
        UserError: if there is no such file, or it is another kind of file.
    """
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{file}: no such file; give the folder of a finished pre-training with an objective that reads "
            "reports"
        )
    try:
        with safe_open(file, framework="pt") as content:
            text = (content.metadata() or {}).get(METADATA_KEY)
            if text is None:
                raise UserError(
                    f"{file}: a safetensors file, but it ties no pictures to texts: it has no "
                    f"{METADATA_KEY!r} metadata; give the {FILE_NAME} of a pre-training"
                )
            state = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise UserError(f"{file}: not a safetensors file, or a damaged one ({error})") from error
    return {name: Alignment(_below(state, name), metadata) for name, metadata in json.loads(text).items()}


def _below(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
