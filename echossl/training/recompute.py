"""Activations that are computed again in the backward pass instead of being kept: memory for time."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.training.scratch import scratch_buffers

# of each network the parts between which activations are kept; stems are known by their name
BLOCKS = frozenset(
    {
        "ResidualBlock",  # compact3d, r3d_18
        "BasicBlock",  # torchvision: mc3_18, r2plus1d_18
        "TemporalSeparableConv",  # torchvision: s3d
        "SepInceptionBlock3D",
        "MultiscaleBlock",  # torchvision: mvit_v2_s
        "SwinTransformerBlock",  # torchvision: swin3d_t
        "PatchMerging",
        "SwinTransformerBlockV2",  # torchvision: swin_v2_t and larger
        "PatchMergingV2",
        "Bottleneck",  # torchvision: resnet50
        "TransformerBlock",  # vit
        "ResNetBasicStem",  # pytorchvideo
        "ResBlock",
    }
)
STEM = "stem"


class _Recomputed(nn.Module):
    """Mixed into the class of a block: forward keeps its input only (Chen et al., arXiv 1604.06174)."""

    def forward(self, *inputs: Any) -> Any:
        """As the block's own. Its second run draws the same random numbers and leaves statistics alone."""
        if not torch.is_grad_enabled():
            return super().forward(*inputs)
        return checkpoint(super().forward, *inputs, use_reentrant=False, context_fn=self._contexts)

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), scratch_buffers(self)


def recompute_activations(module: nn.Module) -> None:
    """Let the blocks of every encoder in a module compute their activations again, in place.

    Values, gradients, statistics and the names of weights stay as they are.

    Raises:
        UserError: if an encoder has no block that is known.
    """
    for encoder in [part for part in module.modules() if isinstance(part, Encoder)]:
        blocks = _blocks(encoder)
        if not blocks:
            name = encoder.metadata.architecture.name
            raise UserError(
                f"hardware.checkpoint_activations: the blocks of {name} are not known; set it to false"
            )
        for block in blocks:
            if not isinstance(block, _Recomputed):
                block.__class__ = type(type(block).__name__, (_Recomputed, type(block)), {})


def _blocks(module: nn.Module) -> list[nn.Module]:
    """The outermost blocks, in the order of the network."""
    blocks = []
    for name, child in module.named_children():
        is_block = name == STEM or type(child).__name__ in BLOCKS
        blocks += [child] if is_block else _blocks(child)
    return blocks
