"""Which places and moments of a clip raise the score of a classifier."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.encoders.base import Encoder
from echossl.errors import UserError


def grad_cam(
    encoder: Encoder, head: Callable[[Tensor], Tensor], clips: Tensor, *, layer: str | None = None
) -> Tensor:
    """3-D Grad-CAM (Selvaraju et al., arXiv 1610.02391) of the score of one class.

    With activations ``A`` of one layer (channel c, place p) and the logit ``y``, the weight of a channel is
    ``w_c = mean_p dy/dA_cp`` and the map is ``max(0, sum_c w_c A_cp)``: evidence *for* the class only, in
    negative studies as well. The normalisation hides how much evidence there is; look at the score for that.

    The gradient is that of the logit which ``encoder.forward`` leads to, whatever stands between the layer
    and the vector (mean, attention, a nonlinear pool): the layer's output is caught and cut out of the graph
    while ``forward`` runs. The gradients of the parameters are left alone.

    Args:
        encoder: the encoder in evaluation mode (batch statistics would mix the clips).
        head: maps (batch, dim) to (batch, 1) logits.
        clips: (batch, channels, frames, height, width) in 0..1.
        layer: name of a submodule of the encoder with a five-dimensional output; None takes
            ``encoder.feature_map``. Earlier layers have finer cells and mean less.

    Returns:
        (batch, frames, height, width) float32 in 0..1, each clip divided by its own largest value; a clip
        without any evidence for the class stays all zero.

    Raises:
        UserError: if the layer does not exist, is not used, or its output has no time and place.
        ValueError: if the encoder is in training mode.
    """
    if encoder.training:
        raise ValueError("the encoder is in training mode; call encoder.eval() first")
    with torch.enable_grad(), _caught(encoder, layer) as activations:
        logits = head(encoder(clips))
        if not activations:
            name = layer or "feature_map"
            raise UserError(f"layer {name}: forward does not go through it; choose another layer")
        (gradient,) = torch.autograd.grad(logits.sum(), activations[-1])
    weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
    # (batch, 1, frames', height', width')
    evidence = F.relu((weights * activations[-1].detach()).sum(dim=1, keepdim=True))
    size = tuple(clips.shape[-3:])
    resized = F.interpolate(evidence.float(), size=size, mode="trilinear", align_corners=False)
    return _largest_to_one(resized[:, 0])


def cell_pixels(encoder: Encoder, clips: Tensor, *, layer: str | None = None) -> float:
    """Height of one cell of the map in pixels of the clip: how coarse a map of this layer is at best."""
    with torch.no_grad(), _caught(encoder, layer) as activations:
        encoder(clips[:1])
    return float(clips.shape[-2] / activations[-1].shape[-2])


def _largest_to_one(maps: Tensor) -> Tensor:
    largest = maps.amax(dim=(1, 2, 3), keepdim=True)
    return torch.where(largest > 0, maps / largest.clamp_min(torch.finfo(maps.dtype).tiny), 0.0)


@contextmanager
def _caught(encoder: Encoder, layer: str | None) -> Iterator[list[Tensor]]:
    """While open, the layer's output is replaced by a leaf that needs a gradient, and listed."""
    activations: list[Tensor] = []

    def catch(output: Tensor) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 5:
            found = f"{output.ndim} dimensions" if isinstance(output, Tensor) else type(output).__name__
            raise UserError(f"layer {layer}: found an output of {found}, expected five; choose another layer")
        activations.append(output.detach().requires_grad_())
        # a copy goes on, because what follows may work in place, which a leaf does not allow
        return activations[-1].clone()

    if layer is None:
        # not a submodule, so no hook can be set: the method of this one object is replaced for a moment
        original = encoder.feature_map
        encoder.__dict__["feature_map"] = lambda clips: catch(original(clips))
        try:
            yield activations
        finally:
            del encoder.__dict__["feature_map"]
    else:
        hook = _part(encoder, layer).register_forward_hook(lambda _module, _inputs, output: catch(output))
        try:
            yield activations
        finally:
            hook.remove()


def _part(encoder: Encoder, layer: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(encoder.named_modules())
    if layer not in modules:
        known = ", ".join(name for name, _ in encoder.named_children())
        raise UserError(f"layer {layer}: the encoder has no such part; the outermost are {known}")
    return modules[layer]
