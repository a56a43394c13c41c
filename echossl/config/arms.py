"""Settings of the arms of a study and of the pre-trainings that they start from."""

from typing import Literal

from pydantic import Field

from echossl.config.across import PretrainingSources
from echossl.config.adapt import FrozenRecipe, FullRecipe, PixelRecipe, Recipe
from echossl.config.base import Config
from echossl.config.data import DataConfig, FusionConfig
from echossl.config.encoder import EncoderConfig
from echossl.config.objective import ContrastiveConfig, ObjectiveConfig
from echossl.config.training import AugmentConfig, OptimiserConfig
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
    fusion: FusionConfig = Field(
        FusionConfig(), description="Further sources of this pre-training, in a study of one; as in pretrain."
    )
    sources: PretrainingSources = Field(
        PretrainingSources(), description="Which sources it sees, in a study of several."
    )

    @property
    def changes_sources(self) -> bool:
        """Whether it says anything about several sources."""
        return self.sources != PretrainingSources()


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
    encoder: EncoderConfig | None = Field(
        None, description="The network of an arm that starts from no pre-training; empty takes the study's."
    )
    adapt_on: Literal["each", "all_but_one"] = Field(
        "each",
        description="In a study of several sources: adapted to each alone and tested on all, or to all but "
        "one at a time and tested on that one.",
    )

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
