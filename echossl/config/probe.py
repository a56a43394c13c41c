"""Settings of the probe: how much frozen features know, for several starts side by side."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from echossl.config.base import Config
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig, EncoderConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig

RANDOM, PIXELS = "random", "pixels"
SEED_WORD = "{seed}"
LATENTS = ("severity", "opening", "heart_rate_per_min", "ejection_fraction", "rv_depth_cm")


class ProbeArm(Config):
    """One line of the result: whose features are probed."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Short name, used in file names and tables.")
    title: str = Field(description="The name that a reader sees.")
    start: str = Field(
        description="A run folder, an encoder file or other weights; random for random weights, pixels for "
        "the 16 x 16 control. {seed} stands for the number of the seed."
    )

    @property
    def has_seeds(self) -> bool:
        """Whether every seed has features of its own."""
        return self.start == RANDOM or SEED_WORD in self.start


class ProbeConfig(Config):
    """``echossl probe``: logistic regression and ridge regression on frozen features, nothing tuned."""

    data: DataConfig = Field(description="Manifest and clip store.")
    out: Path = Field(description="Run folder.")
    arms: tuple[ProbeArm, ...] = Field(
        min_length=1, description="Starts; the first is compared with every other."
    )
    folder: Path | None = Field(
        None, description="Folder that the starts stand below; empty takes them as they are."
    )
    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, description="Seeds: of random weights, and in the place of {seed} of a start."
    )
    encoder: EncoderConfig = Field(Compact3DConfig(), description="The network of random weights.")
    clip: ClipConfig | None = Field(
        None,
        description="Clips that every encoder is given; empty takes those it was trained with, and the "
        "default ones for random weights.",
    )
    clips_per_video: int = Field(2, ge=1, description="Evenly spread clips whose features are averaged.")
    columns: tuple[str, ...] = Field(("severe_as",), description="Label columns of 0, 1 and empty.")
    fractions: tuple[float, ...] = Field(
        (0.01, 0.02, 0.05, 0.1, 1.0), min_length=1, description="Shares of the assessed training patients."
    )
    draws: int = Field(20, ge=1, description="Label draws per fraction, the same for every arm; 1 of all.")
    inverse_regularisation: float = Field(0.1, gt=0, description="C of scikit-learn's LogisticRegression.")
    targets: tuple[str, ...] = Field((), description="Columns of numbers that are predicted (R2).")
    truth: Path | None = Field(
        None, description="Phantom folder whose true causes are predicted (R2); used for scoring only."
    )
    latents: tuple[str, ...] = Field(LATENTS, min_length=1, description="Which of the phantom's causes.")
    train_split: str = Field("train", description="Split that is fitted on.")
    splits: tuple[str, ...] | None = Field(
        None, min_length=1, description="Splits that are scored; empty takes those of val and test there are."
    )
    bootstrap: BootstrapConfig = Field(BootstrapConfig(), description="Intervals.")
    hardware: HardwareConfig = Field(HardwareConfig(), description="Device and precision of the encoders.")

    @model_validator(mode="after")
    def _settings_fit(self) -> "ProbeConfig":
        starts = [arm.start for arm in self.arms]
        _refuse_repeated("arms", [arm.name for arm in self.arms])
        _refuse_repeated("seeds", self.seeds)
        _refuse_repeated("fractions", self.fractions)
        _refuse_repeated("columns, targets and latents", [*self.columns, *self.all_targets])
        if not self.columns and not self.all_targets:
            raise ValueError("nothing to predict: give columns, targets or truth")
        if any(not 0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError("fractions are shares above 0 and at most 1")
        if self.encoder != Compact3DConfig() and RANDOM not in starts:
            raise ValueError("encoder has no effect: no arm starts from random")
        if self.truth is None and self.latents != LATENTS:
            raise ValueError("latents have no effect without truth, the folder of a phantom")
        if len(self.seeds) > 1 and not any(arm.has_seeds for arm in self.arms):
            raise ValueError("seeds have no effect: no start is random or holds {seed}")
        return self

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Everything that ridge regression predicts."""
        return self.targets + (self.latents if self.truth else ())


def _refuse_repeated(what: str, values: Sequence[str | float]) -> None:
    if len(set(values)) < len(values):
        raise ValueError(f"{what} repeat: {', '.join(map(str, values))}")
