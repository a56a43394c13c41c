"""The attention of a transformer, as it was worked out: every softmax of a forward pass, in order."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from echossl.encoders.base import Encoder

SOFTMAXES = {F.softmax, torch.softmax, torch.Tensor.softmax}


class _Softmaxes(TorchFunctionMode):
    """Lists what every softmax gives; torchvision's blocks hand their attention to nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in SOFTMAXES:
            self.found.append(output)
        return output


def attentions(encoder: Encoder, clips: Tensor) -> list[Tensor]:
    """Mean over the heads of each attention of a forward pass: (batch or windows, queries, keys) each.

    Args:
        encoder: a network whose only softmaxes are those of its attentions, each (batch or windows, heads,
            queries, keys).
        clips: (batch, channels, frames, height, width) in 0..1.
    """
    with torch.no_grad(), _Softmaxes() as softmaxes:
        encoder(clips)
    return [each.mean(dim=1) for each in softmaxes.found]
