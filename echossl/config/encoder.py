"""Settings of the encoders: which network, and its size. One class per network."""

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


EncoderConfig = Annotated[R3D18Config | Compact3DConfig, Field(discriminator="name")]
