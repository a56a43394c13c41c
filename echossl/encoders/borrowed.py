"""What the networks of other packages have in common behind the one face."""

import torch
from torch import nn

from echossl.encoders.base import Encoder, EncoderMetadata, parts_with_weights
from echossl.encoders.convolution import Conv3d, take_grey, use_own_convolutions
from echossl.encoders.limits import ClipLimits
from echossl.encoders.motion import input_channels, take_motion
from echossl.errors import UserError

COLOURS = 3


class BorrowedEncoder(Encoder):
    """A network of another package without its classifier; its parts keep their names below ``network.``.

    Args:
        metadata: 1 or 3 channels. For grey, the weights of the first convolution are summed over the
            colours; for motion beside them it gets new ones.
        network: made for three channels.
        dim: channels of the feature map.
        limits: what clips it can take.

    Raises:
        UserError: if the metadata ask for clips that the network cannot take.
    """

    def __init__(
        self, metadata: EncoderMetadata, network: nn.Module, *, dim: int, limits: ClipLimits
    ) -> None:
        name = metadata.architecture.name
        if metadata.channels not in {1, COLOURS}:
            raise UserError(f"encoder {name}: found channels = {metadata.channels}, expected 1 or {COLOURS}")
        limits.require(name, metadata.clip.num_frames, metadata.size, metadata.size)
        super().__init__(metadata, dim=dim)
        self.limits = limits
        use_own_convolutions(network)
        for layer in first_convolutions(network):
            if metadata.channels == 1:
                take_grey(layer)
            if input_channels(metadata.architecture, metadata.channels) > metadata.channels:
                take_motion(layer)
        self.network = network

    def stages(self) -> list[list[nn.Module]]:
        """Those of the network; what it keeps in one list called ``blocks`` are its stages."""
        blocks = getattr(self.network, "blocks", None)
        return parts_with_weights(blocks if isinstance(blocks, nn.Module) else self.network)

    def require_fit(self, clips: torch.Tensor) -> None:
        """Refuse clips that the network cannot take; the first thing that every trunk does.

        Raises:
            UserError: with the nearest clip that works.
        """
        self.limits.require(self.metadata.architecture.name, *clips.shape[2:])


def first_convolutions(network: nn.Module) -> list[Conv3d | nn.Conv2d]:
    """The convolutions that see the picture itself; SlowFast has two."""
    kinds = (Conv3d, nn.Conv2d)
    return [layer for layer in network.modules() if isinstance(layer, kinds) and layer.in_channels == COLOURS]
