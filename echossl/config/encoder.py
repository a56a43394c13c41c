"""Settings of the encoders: which network, and its size. One class per family of networks."""

from typing import Annotated, Literal

from pydantic import Field

from echossl.config.base import Config


class R3D18Config(Config):
    """3-D ResNet-18 of torchvision (Tran et al., arXiv 1711.11248)."""

    name: Literal["r3d_18"] = "r3d_18"
    width: int = Field(64, ge=4, description="Channels of the first stage; 64 is the published network.")


class Compact3DConfig(Config):
    """Small 3-D residual network with a space-time-to-depth stem, for training on a CPU."""

    name: Literal["compact3d"] = "compact3d"
    width: int = Field(16, ge=4, description="Channels of the first stage; each later stage doubles them.")


class FactorisedResNetConfig(Config):
    """The other 3-D ResNet-18s of torchvision: mixed 3-D and 2-D, or (2+1)-D (arXiv 1711.11248)."""

    name: Literal["mc3_18", "r2plus1d_18"] = "r2plus1d_18"


class S3DConfig(Config):
    """Separable 3-D Inception of torchvision (Xie et al., arXiv 1712.04851)."""

    name: Literal["s3d"] = "s3d"


class MViTConfig(Config):
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


class Swin3DConfig(Config):
    """Video Swin transformer, tiny, of torchvision (Liu et al., arXiv 2106.13230)."""

    name: Literal["swin3d_t"] = "swin3d_t"
    stochastic_depth: float = Field(
        0.1, ge=0, lt=1, description="Chance that the last block is left out in training; earlier ones less."
    )


class X3DConfig(Config):
    """X3D of pytorchvideo (Feichtenhofer, arXiv 2004.04730): one network, three sizes of published input."""

    name: Literal["x3d_xs", "x3d_s", "x3d_m"] = "x3d_s"


class DeepResNetConfig(Config):
    """Slow-only ResNet-50 (arXiv 1812.03982), channel-separated ResNet-101 (1904.02811); pytorchvideo."""

    name: Literal["slow_r50", "csn_r101"] = "slow_r50"


class SlowFastConfig(Config):
    """SlowFast ResNet-50 of pytorchvideo (Feichtenhofer et al., arXiv 1812.03982)."""

    name: Literal["slowfast_r50"] = "slowfast_r50"
    slow_every: int = Field(
        4, ge=1, description="The slow pathway sees every so many-th frame; 4 is the published network."
    )


EncoderConfig = Annotated[
    R3D18Config
    | Compact3DConfig
    | FactorisedResNetConfig
    | S3DConfig
    | MViTConfig
    | Swin3DConfig
    | X3DConfig
    | DeepResNetConfig
    | SlowFastConfig,
    Field(discriminator="name"),
]
