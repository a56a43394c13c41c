"""Settings of a label-efficiency study: pre-trainings, arms, fractions, draws, seeds."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from echossl.config.adapt import FrozenRecipe, FullRecipe, PixelRecipe, Recipe
from echossl.config.base import Config
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig, EncoderConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.logging import WandbConfig
from echossl.config.objective import ContrastiveConfig, ObjectiveConfig
from echossl.config.phantom import PhantomSettings
from echossl.config.training import AugmentConfig, HardwareConfig, OptimiserConfig
from echossl.config.video import ClipConfig, GreyValues

RANDOM = "random"


class PretrainingConfig(Config):
    """One way of pre-training; repeated for every seed of the study. What is empty is as in the study."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Short name, used in folder names.")
    objectives: tuple[ObjectiveConfig, ...] = Field(min_length=1, description="Losses that are added up.")
    start: str = Field(
        RANDOM,
        description="random, torchvision:NAME, pytorchvideo:NAME, a file of weights, or a run folder.",
    )
    clip: ClipConfig | None = Field(None, description="Which frames make a clip of this pre-training.")
    encoder: EncoderConfig | None = Field(None, description="The network of this pre-training.")
    augment: AugmentConfig | None = Field(None, description="Augmentation of this pre-training.")
    optimiser: OptimiserConfig | None = Field(None, description="Optimiser of this pre-training.")
    batch_size: int | None = Field(None, ge=2, description="Patients per update of this pre-training.")
    pairs: Literal["patients", "all_pairs"] = Field(
        "patients", description="What a batch holds: patients, or pairs out of all pairs of a study's videos."
    )
    grey: GreyValues = Field("standardised", description="How this pre-training normalises grey values.")
    data: DataConfig | None = Field(
        None, description="Manifest and store of this pre-training, such as another data set's, of one size."
    )


class ArmConfig(Config):
    """One line of the result: where the weights come from and how the labels are used."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Short name, used in folder names and tables.")
    title: str = Field(description="The name that a reader sees.")
    start: str = Field(
        RANDOM,
        description="Name of a pre-training, 'random', or given weights: torchvision:NAME, pytorchvideo:NAME "
        "or a path with a slash.",
    )
    recipe: Recipe = Field(description="How the labels are used.")
    clip_from: Literal["start", "settings"] = Field(
        "start", description="Clips of the adaptation: those of the pre-training, or those of the study."
    )
    seeds: int | None = Field(None, ge=1, description="Seeds of this arm; empty takes those of the study.")

    @property
    def is_given(self) -> bool:
        """Whether it starts from weights that the study does not make."""
        return ":" in self.start or "/" in self.start

    @property
    def pretraining(self) -> str | None:
        """Name of the pre-training that it starts from, or None."""
        return None if self.is_given or self.start == RANDOM else self.start


# what won on the validation patients of three phantoms: experiments/results/objectives_valve_probe
DENSE = PretrainingConfig(name="dense", objectives=(ContrastiveConfig(positives="two_videos", dense_grid=3),))
SIMCLR = PretrainingConfig(name="simclr", objectives=(ContrastiveConfig(positives="two_clips"),))

DEFAULT_ARMS = (
    ArmConfig(
        name="default",
        title="Two videos of a patient, cell by cell, frozen",
        start="dense",
        recipe=FrozenRecipe(),
    ),
    ArmConfig(name="simclr", title="SimCLR on one video, frozen", start="simclr", recipe=FrozenRecipe()),
    ArmConfig(
        name="random_start",
        title="Random start, all layers trained",
        # a fixed number of updates: two validation patients would stop a random start far too early
        recipe=FullRecipe(steps=300, evaluate_every=300, learning_rate=2e-3, warmup_steps=30),
        seeds=1,
    ),
    ArmConfig(name="frozen_random", title="Random network, frozen", recipe=FrozenRecipe()),
    ArmConfig(name="pixels", title="16 x 16 pixels, logistic regression", recipe=PixelRecipe(), seeds=1),
)


class FamilyConfig(Config):
    """Comparisons with the first arm that are judged together, declared before any p-value is seen."""

    arms: tuple[str, ...] = Field((), description="Arms that the first is compared with; empty takes all.")
    fractions: tuple[float, ...] = Field((), description="At these shares; empty takes all of the study.")
    correction: Literal["holm", "benjamini_hochberg"] = Field(
        "holm",
        description="holm bounds the chance of any false finding, benjamini_hochberg the share of them.",
    )


class StudySettings(Config):
    """The grid of a study, without its data."""

    clip: ClipConfig = Field(ClipConfig(), description="Which frames make a clip.")
    encoder: EncoderConfig = Field(Compact3DConfig(), description="The network of every arm.")
    augment: AugmentConfig = Field(AugmentConfig(), description="Augmentation of every arm.")
    pretrainings: tuple[PretrainingConfig, ...] = Field((DENSE, SIMCLR), description="Pre-trainings.")
    optimiser: OptimiserConfig = Field(OptimiserConfig(), description="Optimiser of every pre-training.")
    batch_size: int = Field(32, ge=2, description="Patients per update of every pre-training.")
    arms: tuple[ArmConfig, ...] = Field(
        DEFAULT_ARMS, min_length=1, description="Arms; the first is the default."
    )
    column: str = Field("severe_as", description="Label column.")
    question: str | None = Field(
        None,
        description="What is evaluated of a column of several classes, such as as_grade_at_least_severe; "
        "empty for a column of 0 and 1.",
    )
    fractions: tuple[float, ...] = Field(
        (0.01,), min_length=1, description="Shares of the training patients."
    )
    validation_share: float = Field(
        0.25, gt=0, lt=1, description="Share of each label budget that is held out to choose settings on."
    )
    draws: int = Field(3, ge=1, description="Label draws per fraction, the same for every arm.")
    seeds: int = Field(1, ge=1, description="Pre-training seeds; a random start gets as many.")
    first_seed: int = Field(0, ge=0, description="Number of the first seed.")
    bootstrap: BootstrapConfig = Field(BootstrapConfig(), description="Intervals.")
    family: FamilyConfig = Field(
        FamilyConfig(), description="Which comparisons share one adjustment of their p-values."
    )
    jobs: int = Field(0, ge=0, description="Processes, one thread each; 0 takes one per core.")
    hardware: HardwareConfig = Field(HardwareConfig(), description="Device and precision.")
    wandb: WandbConfig = Field(
        WandbConfig(),
        description="Weights & Biases of pre-trainings, grouped by name, and of cells, grouped by arm, "
        "if mode is not auto; group and job_type are the study's.",
    )

    @model_validator(mode="after")
    def _names_fit(self) -> "StudySettings":
        own_clips = {pretraining.name: pretraining.clip for pretraining in self.pretrainings}
        known = own_clips.keys() | {RANDOM}
        for arm in self.arms:
            if arm.is_given:
                continue
            if arm.start not in known:
                raise ValueError(
                    f"arm {arm.name} starts from {arm.start!r}; known are {', '.join(sorted(known))}, "
                    "or give torchvision:NAME or a path with a slash"
                )
            if arm.clip_from == "settings" and own_clips.get(arm.start) is None:
                raise ValueError(
                    f"clip_from of arm {arm.name} has no effect: its start has the clips of the study anyway"
                )
        _refuse_shared_names("arms", [arm.name for arm in self.arms])
        _refuse_shared_names("pretrainings", [pretraining.name for pretraining in self.pretrainings])
        if self.wandb.group or self.wandb.job_type != WandbConfig().job_type:
            raise ValueError("wandb.group and wandb.job_type have no effect: runs are grouped by arm")
        return self

    @property
    def evaluated(self) -> str:
        """Name of the binary question that every figure answers."""
        return self.question or self.column

    @model_validator(mode="after")
    def _family_fits(self) -> "StudySettings":
        others, shares = [arm.name for arm in self.arms[1:]], list(self.fractions)
        for name in self.family.arms:
            if name not in others:
                raise ValueError(f"family.arms: {name!r} is not compared with the first arm; {others} are")
        for fraction in self.family.fractions:
            if fraction not in shares:
                raise ValueError(f"family.fractions: {fraction:g} is none of the study's; they are {shares}")
        return self


def _refuse_shared_names(what: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(f"{what} share a name: {', '.join(names)}")


class StudyConfig(StudySettings):
    """A study on given data."""

    data: DataConfig = Field(description="Manifest and clip store.")
    out: Path = Field(description="Folder of the study.")


class SaliencySettings(Config):
    """The saliency part of a study's report."""

    studies: int = Field(6, ge=2, description="Test studies that are shown, half of them positive.")


# small enough to be written and decoded on two cores in two minutes
DEMO_PHANTOM = PhantomSettings(
    patients=1000,
    seed=11,
    videos_per_study=(2, 2),
    beats=(1.2, 1.6),
    frames_per_second=(25, 30),
    image_height=(96, 112),
)


class DemoConfig(Config):
    """``echossl demo``: phantom patients, pre-training, adaptation, intervals, saliency, one page."""

    out: Path = Field(description="Folder of the demo.")
    phantom: PhantomSettings = Field(DEMO_PHANTOM, description="The synthetic patients.")
    train_share: float = Field(0.8, gt=0, lt=1, description="Share of the patients in the training split.")
    size: int = Field(48, ge=16, description="Height and width of a stored frame in pixels.")
    study: StudySettings = Field(StudySettings(), description="The grid of arms, fractions, draws and seeds.")
    saliency: SaliencySettings = Field(SaliencySettings(), description="Saliency maps of the default arm.")
    title: str = Field("Phantom study", description="Title of the page.")


# what `echossl demo --quick` sets
QUICK = (
    "phantom.patients=150",
    "phantom.seed=7",
    "study.fractions=[0.1]",
    "study.draws=1",
    "study.optimiser.steps=60",
    "saliency.studies=2",
)
