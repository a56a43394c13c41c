"""What a classifier says of clips, as a function of the clips themselves or of the cells of a layer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.encoders.base import Encoder
from echossl.errors import UserError
from echossl.saliency.methods.layers import INPUT, LAST, changed

Head = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Score:
    """The logit of a clip and its derivatives; the gradients of parameters are left alone.

    A study's score is the mean of this logit over the clips of a video and the videos of a study: what raises
    the one raises the other, by the clip's share of the mean.

    Attributes:
        encoder: in evaluation mode (batch statistics would mix the clips).
        head: maps (batch, dim) to (batch, 1) logits.
        layer: ``input``, ``feature_map``, or the name of a part of the encoder whose output has five
            dimensions (or is the tokens and the grid of a multiscale transformer). Earlier layers have finer
            cells and mean less.

    Raises:
        ValueError: if the encoder is in training mode.
    """

    encoder: Encoder
    head: Head
    layer: str = LAST

    def __post_init__(self) -> None:
        if self.encoder.training:
            raise ValueError("the encoder is in training mode; call encoder.eval() first")

    def of(self, clips: Tensor) -> Tensor:
        """Logits (batch,) of clips (batch, channels, frames, height, width) in 0..1."""
        with torch.no_grad():
            return self.head(self.encoder(clips))[:, 0]

    def cells(self, clips: Tensor) -> Tensor:
        """What the layer gives: (batch, channels, frames', height', width')."""
        with torch.no_grad():
            return self._run(clips, lambda cells: cells)[0]

    def of_cells(self, clips: Tensor, cells: Tensor) -> Tensor:
        """Logits (batch,) if the layer gave these cells instead."""
        with torch.no_grad():
            return self._run(clips, lambda _: cells)[1]

    def gradient(self, clips: Tensor, cells: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The cells, or these instead of them, and the logit's gradient by them.

        The gradient is that of the logit which ``encoder.forward`` leads to, whatever stands between the
        layer and the vector (mean, attention, a nonlinear pool).

        Raises:
            UserError: if the layer does not exist, is not used, or its output has no time and place.
        """
        leaves: list[Tensor] = []

        def leaf(found: Tensor) -> Tensor:
            leaves.append((found if cells is None else cells).detach().requires_grad_())
            # a copy goes on, because what follows may work in place, which a leaf does not allow
            return leaves[-1].clone()

        with torch.enable_grad():
            _, logits = self._run(clips, leaf)
            (gradient,) = torch.autograd.grad(logits.sum(), leaves[-1])
        return leaves[-1].detach(), gradient

    def _run(self, clips: Tensor, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """The layer's cells as they were before the change, and the logits after it."""
        if self.layer == INPUT:
            return clips, self.head(self.encoder(change(clips)))[:, 0]
        seen: list[Tensor] = []

        def noted(cells: Tensor) -> Tensor:
            seen.append(cells)
            return change(cells)

        with changed(self.encoder, self.layer, noted):
            logits = self.head(self.encoder(clips))[:, 0]
        if not seen:
            raise UserError(f"layer {self.layer}: forward does not go through it; choose another layer")
        return seen[-1], logits


def to_clip_size(maps: Tensor, clips: Tensor) -> Tensor:
    """Maps (batch, frames', height', width') at the cells of a layer → (batch, frames, height, width)."""
    if maps.shape[1:] == clips.shape[2:]:
        return maps.float()
    size = tuple(clips.shape[-3:])
    resized = F.interpolate(maps[:, None].float(), size=size, mode="trilinear", align_corners=False)
    return resized[:, 0]


def largest_to_one(maps: Tensor) -> Tensor:
    """Each map divided by its own largest value; one that is zero all over stays so."""
    largest = maps.amax(dim=(1, 2, 3), keepdim=True)
    return torch.where(largest > 0, maps / largest.clamp_min(torch.finfo(maps.dtype).tiny), 0.0)
