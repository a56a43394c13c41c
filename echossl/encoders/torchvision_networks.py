"""Video networks of torchvision behind the one face: everything before the classifier, names as there."""

from importlib import import_module

from torch import Tensor, nn

from echossl.config.encoder import FactorisedResNetConfig, MViTConfig, S3DConfig, Swin3DConfig
from echossl.encoders.base import EncoderMetadata, parts_with_weights, settings_of
from echossl.encoders.borrowed import BorrowedEncoder
from echossl.encoders.limits import ClipLimits


def _network(name: str, **changes: object) -> nn.Module:
    # imported here, because torchvision takes a second that the small networks need not wait for
    network: nn.Module = getattr(import_module("torchvision.models.video"), name)(weights=None, **changes)
    return network


class FactorisedResNet(BorrowedEncoder):
    """``mc3_18`` and ``r2plus1d_18``, for clips of any size.

    At 16 x 112 x 112 the feature map of ``r2plus1d_18`` is 2 x 7 x 7, that of ``mc3_18`` 16 x 7 x 7.
    """

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, FactorisedResNetConfig)
        network = _network(settings.name)
        network.fc = nn.Identity()
        super().__init__(metadata, network, dim=512, limits=ClipLimits())

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, 512, t' , h/16, w/16), rounded up."""
        for name in ("stem", "layer1", "layer2", "layer3", "layer4"):
            clips = self.network.get_submodule(name)(clips)
        return clips


class S3D(BorrowedEncoder):
    """``s3d``; its last pooling has no padding, so that a clip has 5 frames of 17 x 17 pixels or more."""

    def __init__(self, metadata: EncoderMetadata) -> None:
        network = _network(settings_of(metadata, S3DConfig).name)
        network.classifier = nn.Identity()
        super().__init__(metadata, network, dim=1024, limits=ClipLimits(least_frames=5, least_pixels=17))

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, 1024, t/8, h/32, w/32).

        Raises:
            UserError: if the clips are too small.
        """
        self.require_fit(clips)
        features: Tensor = self.network.get_submodule("features")(clips)
        return features

    def stages(self) -> list[list[nn.Module]]:
        """The separable convolutions of the stem, then the inception blocks."""
        return parts_with_weights(self.network.get_submodule("features"))


class Swin3D(BorrowedEncoder):
    """``swin3d_t``, for clips of any size, which it pads to whole patches of 2 x 4 x 4 and whole windows."""

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, Swin3DConfig)
        network = _network(settings.name)
        scale_stochastic_depth(network, settings.stochastic_depth)
        network.head = nn.Identity()
        super().__init__(metadata, network, dim=768, limits=ClipLimits())

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, 768, t/2, h/32, w/32), rounded up."""
        for name in ("patch_embed", "pos_drop", "features", "norm"):
            clips = self.network.get_submodule(name)(clips)
        return clips.permute(0, 4, 1, 2, 3)  # (batch, t/2, h/32, w/32, 768) before

    def stages(self) -> list[list[nn.Module]]:
        """Patches, then every block; what merges patches goes with the block before it, the norm likewise."""
        stages = [[self.network.get_submodule("patch_embed")]]
        for part in self.network.get_submodule("features").children():
            if isinstance(part, nn.Sequential):
                stages += parts_with_weights(part)
            else:
                stages[-1].append(part)
        stages[-1].append(self.network.get_submodule("norm"))
        return stages


class MViT(BorrowedEncoder):
    """``mvit_v2_s``, for clips of any size.

    The tables of relative positions are those of 16 x 224 x 224, so that published weights fit; the
    network itself resizes them to the clip at hand, as its authors do.
    """

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, MViTConfig)
        network = _network(settings.name, stochastic_depth_prob=settings.stochastic_depth)
        network.head = nn.Identity()
        super().__init__(metadata, network, dim=768, limits=ClipLimits())
        self.class_token = settings.pooling == "class_token"

    def _tokens(self, clips: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
        """Normalised clips → (batch, 1 + t' h' w', 768), class token first, and (t', h', w')."""
        patches: Tensor = self.network.get_submodule("conv_proj")(clips)
        # torchvision's own forward takes the size from the constructor, and so knows one size only
        grid = (patches.shape[2], patches.shape[3], patches.shape[4])
        tokens = self.network.get_submodule("pos_encoding")(patches.flatten(2).transpose(1, 2))
        for block in self.network.get_submodule("blocks").children():
            tokens, grid = block(tokens, grid)
        return self.network.get_submodule("norm")(tokens), grid

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, 768, t/2, h/32, w/32), rounded up."""
        tokens, grid = self._tokens(clips)
        return tokens[:, 1:].transpose(1, 2).reshape(clips.shape[0], self.dim, *grid)

    def forward(self, clips: Tensor) -> Tensor:
        """The mean of the feature map, or the class token: float32 (batch, 768)."""
        if not self.class_token:
            return super().forward(clips)
        return self._tokens(self.normalised(clips))[0][:, 0].float()

    def vectors_and_tokens(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` and :meth:`tokens` give, of one pass: (batch, 768), (batch, tokens, 768)."""
        if not self.class_token:
            return super().vectors_and_tokens(clips)
        tokens = self._tokens(self.normalised(clips))[0].float()
        return tokens[:, 0], tokens[:, 1:]

    def stages(self) -> list[list[nn.Module]]:
        """Patches with their positions, then every block; the norm goes with the last."""
        stem = [self.network.get_submodule(name) for name in ("conv_proj", "pos_encoding")]
        stages = [stem, *parts_with_weights(self.network.get_submodule("blocks"))]
        stages[-1].append(self.network.get_submodule("norm"))
        return stages


def scale_stochastic_depth(network: nn.Module, last: float) -> None:
    """Set the last block's chance of being left out, and in proportion those of the blocks before it."""
    layers = [layer for layer in network.modules() if type(layer).__name__ == "StochasticDepth"]
    for number, layer in enumerate(layers):
        vars(layer)["p"] = last * number / (len(layers) - 1)
