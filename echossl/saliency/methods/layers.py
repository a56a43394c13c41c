"""The cells of one layer: caught on their way through an encoder, looked at, and put back, changed or not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, cat, nn

from echossl.encoders.base import Encoder
from echossl.encoders.torchvision_networks import Swin3D
from echossl.errors import UserError

# what stands for a layer without being a part of the encoder
INPUT, LAST = "input", "feature_map"
Change = Callable[[Tensor], Tensor]


@contextmanager
def changed(encoder: Encoder, layer: str, change: Change) -> Iterator[None]:
    """While open, the cells of a layer are what ``change`` makes of them.

    Args:
        encoder: any encoder.
        layer: name of a part of the encoder, or ``feature_map``.
        change: gets and gives (batch, channels, frames', height', width').

    Raises:
        UserError: if the layer does not exist, or its output has no time and place.
    """
    if layer == LAST:
        # not a submodule, so no hook can be set: the method of this one object is replaced for a moment
        original = encoder.feature_map
        encoder.__dict__["feature_map"] = lambda clips: change(original(clips))
        try:
            yield
        finally:
            del encoder.__dict__["feature_map"]
        return
    part, last = _part(encoder, layer), _is_channels_last(encoder, layer)

    def replace(_module: nn.Module, _inputs: object, output: Any) -> Any:
        cells, put_back = _cells(output, layer, channels_last=last)
        return put_back(change(cells))

    hook = part.register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()


def _cells(output: Any, layer: str, *, channels_last: bool) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """(batch, channels, frames', height', width') of an output, and how they become such an output again."""
    match output:
        case Tensor(ndim=5) if channels_last:
            return output.permute(0, 4, 1, 2, 3), lambda cells: cells.permute(0, 2, 3, 4, 1)
        case Tensor(ndim=5):
            return output, lambda cells: cells
        case (Tensor(ndim=3) as tokens, (int(), int(), int()) as grid):
            # multiscale transformers: a class token, then the cells row by row
            cells = tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, *grid)
            return cells, lambda cells: (cat([tokens[:, :1], cells.flatten(2).transpose(1, 2)], dim=1), grid)
    found = f"{output.ndim} dimensions" if isinstance(output, Tensor) else type(output).__name__
    raise UserError(f"layer {layer}: found an output of {found}, expected five; choose another layer")


def _part(encoder: Encoder, layer: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(encoder.named_modules())
    if layer not in modules:
        known = ", ".join(name for name, _ in encoder.named_children())
        raise UserError(f"layer {layer}: the encoder has no such part; the outermost are {known}")
    return modules[layer]


def _is_channels_last(encoder: Encoder, layer: str) -> bool:
    """Whether a part of a window transformer, all of which but its convolution has the channels last."""
    modules: dict[str, nn.Module] = dict(encoder.named_modules())
    words = layer.split(".")
    above = [modules[".".join(words[:count])] for count in range(len(words))]
    owner = [part for part in above if isinstance(part, Encoder)][-1]
    return isinstance(owner, Swin3D) and not isinstance(modules[layer], nn.Conv3d)
