"""Settings of a study: pre-trainings, arms, fractions, draws, seeds, and sources where there are several."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from echossl.config.across import LabelledSource
from echossl.config.arms import DEFAULT_ARMS, DENSE, RANDOM, SIMCLR, ArmConfig, PretrainingConfig
from echossl.config.base import Config
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig, EncoderConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.logging import WandbConfig
from echossl.config.phantom import PhantomSettings
from echossl.config.training import AugmentConfig, HardwareConfig, OptimiserConfig
from echossl.config.video import ClipConfig

__all__ = [
    "DEMO_PHANTOM",
    "QUICK",
    "ArmConfig",
    "DemoConfig",
    "FamilyConfig",
    "PretrainingConfig",
    "SaliencySettings",
    "StudyConfig",
    "StudySettings",
]


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
            if arm.encoder is not None and arm.pretraining:
                raise ValueError(
                    f"encoder of arm {arm.name} has no effect: it starts from {arm.start}; set that one's"
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
    """A study on given data, of one source or of several."""

    data: DataConfig = Field(description="Manifest and clip store; of several sources the first one's.")
    sources: tuple[LabelledSource, ...] = Field(
        (), description="Two sources or more, in place of data: each is trained on and tested on."
    )
    classes: tuple[str, ...] = Field(
        (),
        description="Of several sources: one list of classes for all, in order; empty takes those of the "
        "class map that the column is named like.",
    )
    out: Path = Field(description="Folder of the study.")

    @model_validator(mode="before")
    @classmethod
    def _data_of_the_first_source(cls, values: Any) -> Any:
        """Data and sources are two ways to say the same; written down again a study holds both."""
        sources = values.get("sources") if isinstance(values, dict) else None
        if not sources or "data" in values:
            return values
        first = sources[0] if isinstance(sources[0], dict) else sources[0].model_dump()
        return values | {"data": {name: first[name] for name in ("manifest", "store") if name in first}}

    @model_validator(mode="after")
    def _sources_fit(self) -> "StudyConfig":
        if not self.sources:
            self._refuse_settings_of_several()
            return self
        if len(self.sources) < 2:
            raise ValueError("sources: found one, expected two or more; give data in its place")
        _refuse_shared_names("sources", [source.name for source in self.sources])
        if (self.data.manifest, self.data.store) != (self.sources[0].manifest, self.sources[0].store):
            raise ValueError("data has no effect beside sources; leave it out")
        if self.question or self.wandb.mode not in {"auto", "disabled"}:
            raise ValueError(
                "question and wandb have no effect in a study of several sources; leave them out"
            )
        for one in self.pretrainings:
            if one.data or one.fusion.sources or one.pairs == "all_pairs":
                raise ValueError(
                    f"pretraining {one.name}: data, fusion and pairs all_pairs are for a study of one source"
                )
        for arm in self.arms:
            if arm.recipe.name == "pixels":
                raise ValueError(f"arm {arm.name}: pixels leaves no classifier to test other sources with")
        return self

    def _refuse_settings_of_several(self) -> None:
        """Raise ValueError if something is set that has an effect in a study of several sources only."""
        found = [f"sources of pretraining {one.name}" for one in self.pretrainings if one.changes_sources]
        found += [f"adapt_on of arm {arm.name}" for arm in self.arms if arm.adapt_on != "each"]
        found += ["classes"] if self.classes else []
        if found:
            raise ValueError(
                f"{found[0]} has no effect without several sources; leave it out, or give sources"
            )


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
