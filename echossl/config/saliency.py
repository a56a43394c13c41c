"""Settings of the methods of saliency, one class each, and of their checks."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from echossl.config.base import Config

BaselineName = Literal["blurred", "mean", "black"]
BASELINE = "What stands for nothing to see: the blurred clip, its mean grey, or black (as blood is)."


class CamSettings(Config):
    """Class activation maps: the cells of a layer weighted by the gradient of the score."""

    name: Literal["grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam"] = "grad_cam"


class IntegratedGradientsSettings(Config):
    """Gradients along the way from a baseline to the clip."""

    name: Literal["integrated_gradients"] = "integrated_gradients"
    steps: int = Field(16, ge=1, description="Points of the way at which the gradient is taken.")
    baseline: BaselineName = Field("blurred", description=BASELINE)


class SmoothGradSettings(Config):
    """Gradients averaged over noisy copies of the clip."""

    name: Literal["smooth_grad"] = "smooth_grad"
    samples: int = Field(16, ge=1, description="Noisy copies.")
    noise: float = Field(
        0.1, gt=0, description="Deviation of the noise, as a share of the clip's range of grey values."
    )
    seed: int = Field(0, ge=0, description="Seed of the noise.")


class OcclusionSettings(Config):
    """The fall of the score when a block of space and time is taken out."""

    name: Literal["occlusion"] = "occlusion"
    stretches: int = Field(4, ge=1, description="Blocks along time.")
    squares: int = Field(8, ge=1, description="Blocks along each side of the picture.")
    baseline: BaselineName = Field("blurred", description=BASELINE)


class RolloutSettings(Config):
    """Attention followed through the blocks of a transformer (mvit_v2_s, swin3d_t)."""

    name: Literal["attention_rollout"] = "attention_rollout"
    residual: float = Field(
        0.5, ge=0, lt=1, description="Share of each block that goes past its attention unchanged."
    )


AnyMethod = (
    CamSettings | IntegratedGradientsSettings | SmoothGradSettings | OcclusionSettings | RolloutSettings
)


def _named(value: object) -> object:
    """A name alone stands for the method with its defaults."""
    return {"name": value} if isinstance(value, str) else value


MethodSettings = Annotated[AnyMethod, Field(discriminator="name"), BeforeValidator(_named)]
