"""Settings of the encoders: which network, and its size. One class per family of networks."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from echossl.config.base import Config

MOTION_SCALE = 8.0


class NetworkConfig(Config):
    """What every network can be told about its input."""

    motion: Literal["none", "beside", "only"] = Field(
        "none",
        description="What is seen of each pixel besides, or instead of, its grey value: its difference from "
        "its own mean over the clip, times motion_scale, as further channels.",
    )
    motion_scale: float = Field(
        MOTION_SCALE,
        gt=0,
        description="Factor of the motion channels, of grey values 0-1; 8 gives a deviation of 0.2 to 0.7.",
    )

    @model_validator(mode="after")
    def _scale_has_effect(self) -> "NetworkConfig":
        if self.motion == "none" and self.motion_scale != MOTION_SCALE:
            raise ValueError("motion_scale is set, but there is no motion; set motion to beside or only")
        return self


class R3D18Config(NetworkConfig):
    """3-D ResNet-18 of torchvision (Tran et al., arXiv 1711.11248)."""

    name: Literal["r3d_18"] = "r3d_18"
    width: int = Field(64, ge=4, description="Channels of the first stage; 64 is the published network.")


class Compact3DConfig(NetworkConfig):
    """Small 3-D residual network with a space-time-to-depth stem, for training on a CPU."""

    name: Literal["compact3d"] = "compact3d"
    width: int = Field(16, ge=4, description="Channels of the first stage; each later stage doubles them.")


class FactorisedResNetConfig(NetworkConfig):
    """The other 3-D ResNet-18s of torchvision: mixed 3-D and 2-D, or (2+1)-D (arXiv 1711.11248)."""

    name: Literal["mc3_18", "r2plus1d_18"] = "r2plus1d_18"


class S3DConfig(NetworkConfig):
    """Separable 3-D Inception of torchvision (Xie et al., arXiv 1712.04851)."""

    name: Literal["s3d"] = "s3d"


class MViTConfig(NetworkConfig):
    """Multiscale vision transformer, version 2, small, of torchvision (Li et al., arXiv 2112.01526)."""

    name: Literal["mvit_v2_s"] = "mvit_v2_s"
    pooling: Literal["mean", "class_token"] = Field(
        "mean",
        description="A clip's vector: the mean of the feature map, as in all other networks, "
        "so that Grad-CAM works, or the class token, which the Kinetics weights were trained with.",
    )
    stochastic_depth: float = Field(
        0.2, ge=0, lt=1, description="Chance that the last block is left out in training; earlier ones less."
    )


class Swin3DConfig(NetworkConfig):
    """Video Swin transformer, tiny, of torchvision (Liu et al., arXiv 2106.13230)."""

    name: Literal["swin3d_t"] = "swin3d_t"
    stochastic_depth: float = Field(
        0.1, ge=0, lt=1, description="Chance that the last block is left out in training; earlier ones less."
    )


class ViTConfig(NetworkConfig):
    """Plain vision transformer (Dosovitskiy et al., arXiv 2010.11929), for pictures and for clips."""

    name: Literal["vit"] = "vit"
    width: int = Field(384, ge=8, description="Length of a token; published: 192, 384, 768, 1024.")
    depth: int = Field(12, ge=1, description="Blocks.")
    heads: int = Field(6, ge=1, description="Heads of the attention, each of width / heads channels.")
    patch: int = Field(16, ge=1, description="Side of a patch in pixels.")
    patch_frames: int = Field(2, ge=1, description="Frames of a patch; 1 for still pictures.")
    registers: int = Field(0, ge=0, description="Tokens beside the class token (arXiv 2309.16588).")
    layer_scale: float | None = Field(
        None,
        gt=0,
        description="What the factors begin with that each block's outcome is multiplied by, as in DINOv2 "
        "(0.00001); null has no factors.",
    )
    pooling: Literal["mean", "class_token"] = Field(
        "mean", description="A clip's vector: the mean of the feature map, or the class token."
    )
    stochastic_depth: float = Field(
        0.0, ge=0, lt=1, description="Chance that the last block is left out in training; earlier ones less."
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> "ViTConfig":
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of heads {self.heads}; change one of them"
            )
        return self


class ResNet50Config(NetworkConfig):
    """ResNet-50 of torchvision (He et al., arXiv 1512.03385), for still pictures; timm names it alike."""

    name: Literal["resnet50"] = "resnet50"


class SwinV2Config(NetworkConfig):
    """Swin transformer, version 2, of torchvision (Liu et al., arXiv 2111.09883), for still pictures."""

    name: Literal["swin_v2_t", "swin_v2_s", "swin_v2_b"] = "swin_v2_t"
    stochastic_depth: float = Field(
        0.2, ge=0, lt=1, description="Chance that the last block is left out in training; earlier ones less."
    )


class X3DConfig(NetworkConfig):
    """X3D of pytorchvideo (Feichtenhofer, arXiv 2004.04730): one network, three sizes of published input."""

    name: Literal["x3d_xs", "x3d_s", "x3d_m"] = "x3d_s"


class DeepResNetConfig(NetworkConfig):
    """Slow-only ResNet-50 (arXiv 1812.03982), channel-separated ResNet-101 (1904.02811); pytorchvideo."""

    name: Literal["slow_r50", "csn_r101"] = "slow_r50"


class SlowFastConfig(NetworkConfig):
    """SlowFast ResNet-50 of pytorchvideo (Feichtenhofer et al., arXiv 1812.03982)."""

    name: Literal["slowfast_r50"] = "slowfast_r50"
    slow_every: int = Field(
        4, ge=1, description="The slow pathway sees every so many-th frame; 4 is the published network."
    )


StreamConfig = Annotated[
    R3D18Config
    | Compact3DConfig
    | FactorisedResNetConfig
    | S3DConfig
    | MViTConfig
    | Swin3DConfig
    | ViTConfig
    | ResNet50Config
    | SwinV2Config
    | X3DConfig
    | DeepResNetConfig
    | SlowFastConfig,
    Field(discriminator="name"),
]


class TwoStreamConfig(Config):
    """Two networks whose features are joined (after Simonyan and Zisserman, arXiv 1406.2199)."""

    name: Literal["two_stream"] = "two_stream"
    appearance: StreamConfig = Field(Compact3DConfig(), description="The network of the first stream.")
    motion: StreamConfig = Field(
        Compact3DConfig(motion="only"), description="The network of the second stream, which sees motion."
    )

    @model_validator(mode="after")
    def _streams_fit(self) -> "TwoStreamConfig":
        for role, stream in (("appearance", self.appearance), ("motion", self.motion)):
            if isinstance(stream, MViTConfig | ViTConfig) and stream.pooling != "mean":
                raise ValueError(f"{role}: feature maps are joined, set its pooling to mean")
        if self.motion.motion == "none":
            raise ValueError("motion: this stream sees no motion; set its motion to only or beside")
        return self


EncoderConfig = Annotated[StreamConfig | TwoStreamConfig, Field(discriminator="name")]
