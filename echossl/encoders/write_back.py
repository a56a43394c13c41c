"""An encoder back into the layout of the file it started from, for the tool that the file is of."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from echossl.encoders.base import Encoder
from echossl.encoders.card import write_card
from echossl.encoders.checkpoints import is_own, is_safetensors, load_content, read_checkpoint
from echossl.encoders.export import clip_shape
from echossl.encoders.files import load_encoder
from echossl.encoders.matching import Match, match, unfit
from echossl.encoders.motion import motion_of
from echossl.encoders.start import require_share
from echossl.errors import UserError, first_names
from echossl.files import atomic_path

CHECKED_CLIPS = 2


@dataclass(frozen=True)
class WrittenBack:
    """What became of the weights.

    Attributes:
        path: the file.
        like: whose layout it has.
        num_written: tensors of the file that are the encoder's now.
        kept: names of those that are as they were: heads, decoders, other copies.
        left_out: the encoder's weights that the layout has no place for.
        deviation: largest difference of a feature between the encoder and the file read again, over that of
            the features themselves, on random clips.
        mean: of grey values, which the encoder takes off first.
        std: their deviation, by which it divides then.
    """

    path: Path
    like: str
    num_written: int
    kept: tuple[str, ...]
    left_out: tuple[str, ...]
    deviation: float
    mean: float
    std: float

    def as_text(self) -> str:
        """One line, then one for what is not the encoder's, if there is any."""
        grey = f"for grey values less {self.mean:.4f}, over {self.std:.4f}"
        again = f"read again, features differ by {self.deviation:.1e} at most"
        lines = [f"{self.path}: {self.num_written} tensors in the layout of {self.like}; {again}; {grey}"]
        if self.kept:
            lines.append(f"  {len(self.kept)} tensors as they were: {first_names(self.kept)}")
        if self.left_out:
            lines.append(f"  no place for: {first_names(self.left_out)}")
        return "\n".join(lines)


def write_back(source: str | Path, like: Path, out: Path) -> WrittenBack:
    """Write an encoder with the names, shapes, types and nesting of a file of another tool.

    What of the file is no weight of the encoder stays as it is. Where the encoder's shape is another
    (one channel for grey, frames of a kernel, other positions), the file's tensor is changed such that
    reading it gives the encoder's; positions that were resized come back nearly.

    Args:
        source: encoder file or run folder.
        like: the file that the encoder started from; any file of its layout will do.
        out: the file to write, of the same kind; whole or absent.

    Raises:
        UserError: if there is no such file, it is of echossl, fits less than 90 % of the encoder, or the
            encoder sees motion, which other tools do not.
    """
    encoder = load_encoder(source)
    _require_other_tool(encoder, like, out)
    tensors = read_checkpoint(like).tensors
    found = match(encoder, tensors)
    require_share(encoder, str(like), found)
    changed = changed_tensors(encoder, tensors, found)
    with atomic_path(out) as temporary:
        _write(like, changed, temporary)
    names = set(found.places.values())
    left_out = tuple(name for name, value in encoder.state_dict().items() if name not in names and value.ndim)
    write_card(out, encoder.metadata, dim=encoder.dim, load=f"# as {like.name}, whose layout it has")
    return WrittenBack(
        path=out,
        like=like.name,
        num_written=len(changed),
        kept=tuple(name for name in tensors if name not in changed),
        left_out=left_out,
        deviation=_deviation(encoder, out),
        mean=encoder.metadata.mean,
        std=encoder.metadata.std,
    )


def changed_tensors(encoder: Encoder, tensors: Mapping[str, Tensor], found: Match) -> dict[str, Tensor]:
    """The encoder's weights by the names of a file, in its shapes and types.

    Args:
        encoder: whose weights are taken.
        tensors: those of the file.
        found: what of them fits the encoder.
    """
    state = encoder.state_for({own: tensors[name].shape for name, own in found.places.items()})
    changed = {}
    for name, own in found.places.items():
        old, new = tensors[name], state[own]
        if old.shape != new.shape:
            change = encoder.refit_back(own, new - found.weights[own].to(new.dtype), old.shape)
            new = old.to(new.dtype) + unfit(change, old.shape)
        changed[name] = new.to(old.dtype).contiguous()
    return changed


def _require_other_tool(encoder: Encoder, like: Path, out: Path) -> None:
    if not like.is_file():
        raise UserError(f"{like}: no such file; give the file that the encoder started from")
    if is_own(like):
        raise UserError(f"{like}: is of echossl, whose layout the encoder's own file has; leave --like out")
    if out.suffix != like.suffix:
        raise UserError(f"{out}: found suffix {out.suffix!r}, expected {like.suffix!r} as of {like.name}")
    if motion_of(encoder.metadata.architecture) is not None:
        raise UserError(f"{like}: the encoder sees motion, which files of other tools have no place for")


def _write(like: Path, changed: Mapping[str, Tensor], path: Path) -> None:
    if is_safetensors(like):
        with safe_open(like, framework="pt") as content:
            whole = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no mapping
            metadata = content.metadata()
        save_file(whole | dict(changed), path, metadata=metadata)
        return
    torch.save(_replaced(load_content(like), changed), path)


def _replaced(content: object, changed: Mapping[str, Tensor], prefix: str = "") -> object:
    """Nested dictionaries with some tensors replaced, by their full names."""
    if isinstance(content, Tensor):
        return changed.get(prefix.removesuffix("."), content)
    if isinstance(content, Mapping):
        return {name: _replaced(value, changed, f"{prefix}{name}.") for name, value in content.items()}
    return content


def _deviation(encoder: Encoder, out: Path) -> float:
    """Of features of random clips, of the encoder and of the file as a start; over the largest feature."""
    again = deepcopy(encoder)
    again.load_state_dict(match(again, read_checkpoint(out).tensors).weights, strict=False)
    clips = torch.rand(CHECKED_CLIPS, *clip_shape(encoder), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted, found = encoder(clips), again(clips)
    return float((wanted - found).abs().max() / wanted.abs().max())
