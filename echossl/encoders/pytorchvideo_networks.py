"""Video networks of pytorchvideo (extra ``pytorchvideo``) behind the one face, names as there."""

from importlib import import_module

import torch
from torch import Tensor, nn

from echossl.config.encoder import DeepResNetConfig, SlowFastConfig, X3DConfig
from echossl.encoders.base import EncoderMetadata, settings_of
from echossl.encoders.borrowed import BorrowedEncoder
from echossl.encoders.limits import ClipLimits
from echossl.errors import UserError

# the module of pytorchvideo.models.hub that makes each network and knows where its weights are
HUB = {
    "x3d_xs": "x3d",
    "x3d_s": "x3d",
    "x3d_m": "x3d",
    "slow_r50": "resnet",
    "csn_r101": "csn",
    "slowfast_r50": "slowfast",
}


def hub_module(name: str) -> object:
    """The module that makes the network ``name``.

    Raises:
        UserError: if pytorchvideo is not installed, with the line that installs it.
    """
    try:
        return import_module(f"pytorchvideo.models.hub.{HUB[name]}")
    except ImportError as error:
        raise UserError(
            f"encoder {name}: pytorchvideo cannot be imported ({error}); "
            "pip install 'echossl[pytorchvideo]', or take encoder.name=r3d_18"
        ) from error


def _network(name: str, **changes: object) -> nn.Module:
    network: nn.Module = getattr(hub_module(name), name)(pretrained=False, **changes)
    return network


class X3D(BorrowedEncoder):
    """``x3d_xs``, ``x3d_s``, ``x3d_m``, for clips of any size; time is never shortened.

    The feature map is that of the last convolution before pooling (conv5 of the paper); the two linear
    layers after pooling belong to the classifier.
    """

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, X3DConfig)
        network = _network(settings.name)
        head = network.get_submodule("blocks.5")
        for owner, part in ((head, "proj"), (head.get_submodule("pool"), "post_conv")):
            setattr(owner, part, None)
        super().__init__(metadata, network, dim=432, limits=ClipLimits())

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, 432, t, h/32, w/32), rounded up."""
        for number in range(5):
            clips = self.network.get_submodule(f"blocks.{number}")(clips)
        for part in ("pre_conv", "pre_norm", "pre_act"):
            clips = self.network.get_submodule(f"blocks.5.pool.{part}")(clips)
        return clips


class DeepResNet(BorrowedEncoder):
    """``slow_r50`` and ``csn_r101``, for clips of any size.

    At 16 x 112 x 112 the feature map of ``slow_r50`` is 16 x 4 x 4, that of ``csn_r101`` 2 x 4 x 4.
    """

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, DeepResNetConfig)
        network = _network(settings.name)
        _drop_last(network, 1)
        super().__init__(metadata, network, dim=2048, limits=ClipLimits())

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, 2048, t', h/32, w/32), rounded up."""
        features: Tensor = self.network(clips)
        return features


class SlowFast(BorrowedEncoder):
    """``slowfast_r50``: the slow pathway's every n-th frame and the fast one's whole clip are packed here.

    The feature map holds the slow pathway's 2048 channels and the fast one's 256, the latter averaged over
    the frames that belong to one slow frame. Its mean is what the published classifier sees.
    """

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, SlowFastConfig)
        network = _network(settings.name, slowfast_fusion_conv_stride=(settings.slow_every, 1, 1))
        _drop_last(network, 2)
        super().__init__(metadata, network, dim=2304, limits=ClipLimits(frames_multiple=settings.slow_every))
        self.slow_every = settings.slow_every

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised → (batch, 2304, t/n, h/32, w/32), rounded up.

        Raises:
            UserError: if the number of frames is no multiple of ``slow_every``.
        """
        self.require_fit(clips)
        slow, fast = self.network([clips[:, :, slow_frames(clips.shape[2], self.slow_every)], clips])
        fast = fast.unflatten(2, (-1, self.slow_every)).mean(dim=3)
        return torch.cat([slow, fast], dim=1)


def slow_frames(num_frames: int, every: int) -> list[int]:
    """The frames of the slow pathway, as published: from the first to the last, evenly spread, rounded down.

    In whole numbers, which a graph that is exported can hold.
    """
    gaps = max(num_frames // every - 1, 1)
    return [(num_frames - 1) * number // gaps for number in range(num_frames // every)]


def _drop_last(network: nn.Module, count: int) -> None:
    """Take off the pooling and the classifier, which are the last blocks."""
    blocks = list(network.get_submodule("blocks").children())
    network.blocks = nn.ModuleList(blocks[:-count])
