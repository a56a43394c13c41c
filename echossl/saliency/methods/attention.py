"""The attention of a transformer, as it was worked out: every softmax of a forward pass, in order."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from echossl.encoders.base import Encoder

SOFTMAXES = {F.softmax, torch.softmax, torch.Tensor.softmax}


class _Attentions(TorchFunctionMode):
    """Lists every attention, (batch or windows, queries, keys) as the mean over the heads.

    The blocks hand theirs to nobody: it is what a softmax gives, or what a fused attention works out without
    showing it, which is then worked out once more.
    """

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
            self.found.append(output.mean(dim=1))
        elif func is F.scaled_dot_product_attention:
            query, key = args[:2]
            # head by head: all of them together would take several times the memory of a pass
            heads = zip(query.unbind(1), key.unbind(1), strict=True)
            self.found.append(torch.stack([_weights(*pair) for pair in heads]).mean(dim=0))
        return output


def _weights(query: Tensor, key: Tensor) -> Tensor:
    """Attention of one head, (batch, queries, keys), of (batch, tokens, channels) each; rows add up to 1."""
    energies = query.float() @ key.float().transpose(1, 2) / math.sqrt(query.shape[-1])
    exponents = (energies - energies.amax(dim=-1, keepdim=True)).exp()
    weights: Tensor = exponents / exponents.sum(dim=-1, keepdim=True)
    return weights


def attentions(encoder: Encoder, clips: Tensor) -> list[Tensor]:
    """Mean over the heads of each attention of a forward pass: (batch or windows, queries, keys) each.

    Args:
        encoder: a network whose only softmaxes are those of its attentions, each (batch or windows, heads,
            queries, keys), or whose attentions are fused, without mask or dropout.
        clips: (batch, channels, frames, height, width) in 0..1.
    """
    attended = _Attentions()
    with torch.no_grad(), attended:
        encoder(clips)
    return attended.found
