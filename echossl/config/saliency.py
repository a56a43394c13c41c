"""Settings of the methods of saliency, one class each, and of their checks."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from echossl.config.base import Config

BaselineName = Literal["blurred", "mean", "black"]
CheckName = Literal["model_randomisation", "label_randomisation", "deletion_insertion"]
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
    stretches: int = Field(3, ge=1, description="Blocks along time.")
    squares: int = Field(6, ge=1, description="Blocks along each side of the picture.")
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


METHOD_NAMES = tuple(
    name for kind in get_args(AnyMethod) for name in get_args(kind.model_fields["name"].annotation)
)


def _named(value: object) -> object:
    """A name alone stands for the method with its defaults."""
    return {"name": value} if isinstance(value, str) else value


MethodSettings = Annotated[AnyMethod, Field(discriminator="name"), BeforeValidator(_named)]


# the settings of checks, and which checks read them
NEEDED: dict[str, set[CheckName]] = {
    "cascade": {"model_randomisation"},
    "fractions": {"deletion_insertion"},
    "baseline": {"deletion_insertion"},
    "most_correlation": {"model_randomisation", "label_randomisation"},
}


class ChecksSettings(Config):
    """Checks that take many maps or a training; the region is checked in any case, if there is one."""

    which: tuple[CheckName, ...] = Field(
        (),
        description="Maps of networks whose layers are random from the top down; maps of a head that learned "
        "shuffled labels (recipe frozen); the score as the clip is taken away or built up by the map.",
    )
    cascade: int = Field(4, ge=1, description="Random networks, from the head alone to all layers.")
    fractions: int = Field(8, ge=2, description="Steps in which a clip is taken away or built up.")
    baseline: BaselineName = Field("blurred", description=BASELINE)
    most_correlation: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Largest rank correlation with the map of random weights or labels that passes.",
    )

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> "ChecksSettings":
        for name, checks in NEEDED.items():
            changed = getattr(self, name) != type(self).model_fields[name].default
            if changed and not checks & set(self.which):
                raise ValueError(f"{name} has no effect without {' or '.join(sorted(checks))} in which")
        return self
