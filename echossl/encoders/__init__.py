"""Encoders: one interface for every network that turns a clip into a vector, and their files.

A new network is one new file and one line in ``ENCODERS``.
"""

from collections.abc import Callable

from echossl.encoders.base import Encoder, EncoderMetadata
from echossl.encoders.compact3d import Compact3D
from echossl.encoders.picture_networks import ResNet50, SwinV2
from echossl.encoders.pytorchvideo_networks import X3D, DeepResNet, SlowFast
from echossl.encoders.r3d import R3D18
from echossl.encoders.torchvision_networks import S3D, FactorisedResNet, MViT, Swin3D
from echossl.encoders.two_stream import TwoStream, stream_metadata
from echossl.encoders.vit import VisionTransformer


def _two_stream(metadata: EncoderMetadata) -> Encoder:
    appearance, motion = (build_encoder(stream) for stream in stream_metadata(metadata))
    return TwoStream(metadata, appearance, motion)


ENCODERS: dict[str, Callable[[EncoderMetadata], Encoder]] = {
    "r3d_18": R3D18,
    "compact3d": Compact3D,
    "mc3_18": FactorisedResNet,
    "r2plus1d_18": FactorisedResNet,
    "s3d": S3D,
    "mvit_v2_s": MViT,
    "swin3d_t": Swin3D,
    "vit": VisionTransformer,
    "resnet50": ResNet50,
    "swin_v2_t": SwinV2,
    "swin_v2_s": SwinV2,
    "swin_v2_b": SwinV2,
    "x3d_xs": X3D,
    "x3d_s": X3D,
    "x3d_m": X3D,
    "slow_r50": DeepResNet,
    "csn_r101": DeepResNet,
    "slowfast_r50": SlowFast,
    "two_stream": _two_stream,
}


def build_encoder(metadata: EncoderMetadata) -> Encoder:
    """Make the network that the metadata describe, with random weights from torch's global generator.

    Raises:
        UserError: if it cannot take clips of that size, or needs a package that is not installed.
    """
    return ENCODERS[metadata.architecture.name](metadata)


__all__ = ["ENCODERS", "Encoder", "EncoderMetadata", "build_encoder"]
