"""Picture networks of torchvision behind the one face, for clips of one frame; names as there."""

from importlib import import_module

from torch import Tensor, nn

from echossl.config.encoder import ResNet50Config, SwinV2Config
from echossl.encoders.base import EncoderMetadata, parts_with_weights, settings_of
from echossl.encoders.borrowed import BorrowedEncoder
from echossl.encoders.limits import ClipLimits
from echossl.encoders.torchvision_networks import scale_stochastic_depth

PICTURE_NETWORKS = ("resnet50", "swin_v2_t", "swin_v2_s", "swin_v2_b")
STILL = ClipLimits(most_frames=1)
SWIN_WIDTHS = {"swin_v2_t": 768, "swin_v2_s": 768, "swin_v2_b": 1024}


def _network(name: str) -> nn.Module:
    # imported here, because torchvision takes a second that the small networks need not wait for
    network: nn.Module = getattr(import_module("torchvision.models"), name)(weights=None)
    return network


class ResNet50(BorrowedEncoder):
    """``resnet50``, for pictures of any size."""

    def __init__(self, metadata: EncoderMetadata) -> None:
        network = _network(settings_of(metadata, ResNet50Config).name)
        network.fc = nn.Identity()
        super().__init__(metadata, network, dim=2048, limits=STILL)

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, 1, h, w), normalised, to (batch, 2048, 1, h/32, w/32), rounded up.

        Raises:
            UserError: if the clips have more than one frame.
        """
        self.require_fit(clips)
        pictures = clips[:, :, 0]
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            pictures = self.network.get_submodule(name)(pictures)
        return pictures[:, :, None]

    def stages(self) -> list[list[nn.Module]]:
        """The stem, then the four stages of the network."""
        stem = [self.network.get_submodule(name) for name in ("conv1", "bn1")]
        return [stem, *([self.network.get_submodule(f"layer{number}")] for number in range(1, 5))]


class SwinV2(BorrowedEncoder):
    """``swin_v2_t``, ``swin_v2_s`` and ``swin_v2_b``, for pictures of any size, padded to whole windows."""

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, SwinV2Config)
        network = _network(settings.name)
        scale_stochastic_depth(network, settings.stochastic_depth)
        network.head = nn.Identity()
        super().__init__(metadata, network, dim=SWIN_WIDTHS[settings.name], limits=STILL)

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, 1, h, w), normalised, to (batch, dim, 1, h/32, w/32), rounded up.

        Raises:
            UserError: if the clips have more than one frame.
        """
        self.require_fit(clips)
        pictures = clips[:, :, 0]
        for name in ("features", "norm"):
            pictures = self.network.get_submodule(name)(pictures)
        return pictures.permute(0, 3, 1, 2)[:, :, None]  # (batch, h/32, w/32, dim) before

    def stages(self) -> list[list[nn.Module]]:
        """Patches, then every block; what merges patches goes with the block before it, the norm likewise."""
        patches, *parts = self.network.get_submodule("features").children()
        stages = [[patches]]
        for part in parts:
            if isinstance(part, nn.Sequential):
                stages += parts_with_weights(part)
            else:
                stages[-1].append(part)
        stages[-1].append(self.network.get_submodule("norm"))
        return stages
