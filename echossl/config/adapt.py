"""Settings of adaptation with few labels."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from echossl.config.base import Config
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig, EncoderConfig
from echossl.config.recipes import FrozenRecipe, FullRecipe, PixelRecipe, Recipe
from echossl.config.task import TaskName, UncertainPolicy, Unit
from echossl.config.training import AugmentConfig, HardwareConfig
from echossl.config.video import ClipConfig, ClipPolicy, GreyValues

__all__ = ["FinetuneConfig", "FrozenRecipe", "FullRecipe", "LabelBudget", "PixelRecipe", "Recipe"]

DEFAULT_COLUMN = "severe_as"


class LabelBudget(Config):
    """Which labels may be read. Validation patients come out of the same budget."""

    column: str = Field(
        DEFAULT_COLUMN, description="Label column of the manifest; an empty cell is not assessed."
    )
    columns: tuple[str, ...] = Field(
        (), description="Label columns of a multi-label task, 0 or 1 each; `column` is then left out."
    )
    task: Literal["auto"] | TaskName = Field(
        "auto",
        description="What is learned; auto takes the kind of the class map of the column's name, multilabel "
        "with `columns`, multiclass with `classes`, else binary.",
    )
    classes: tuple[str, ...] = Field(
        (),
        description="Classes in order, of a column that is not named like a class map; empty takes those of "
        "the budget's patients, of a multiclass task by video.",
    )
    uncertain: UncertainPolicy = Field(
        "ignore",
        description="What a cell of the word uncertain (or -1) counts as in columns of 0 and 1, in every "
        "split: ignore (not assessed), zero or one.",
    )
    unit: Unit = Field(
        "study",
        description="What has a label and a score: a study, or each video for itself, as of views. Budget, "
        "splits and intervals are by patient in any case.",
    )
    fraction: float = Field(0.01, gt=0, le=1, description="Share of the assessed training patients.")
    draw: int = Field(0, ge=0, description="Which random draw; fractions of one draw are nested.")
    validation_share: float = Field(
        0.25, gt=0, lt=1, description="Share of the budget that is held out to choose the number of steps."
    )

    @property
    def all_columns(self) -> list[str]:
        """The label columns, one but for a multi-label task."""
        return list(self.columns) or [self.column]

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> "LabelBudget":
        if self.columns and self.column != DEFAULT_COLUMN:
            raise ValueError("column has no effect beside columns; leave one of them out")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns name one twice: {', '.join(self.columns)}")
        if self.columns and self.task not in {"auto", "multilabel"}:
            raise ValueError(f"columns are those of a multilabel task, not of {self.task}; give column")
        if self.task == "multilabel" and not self.columns:
            raise ValueError("a multilabel task needs columns")
        if self.classes and (self.columns or self.task in {"binary", "regression"}):
            raise ValueError("classes have no effect but in a multiclass or ordinal task")
        if self.uncertain != "ignore" and self.task in {"multiclass", "ordinal", "regression"}:
            raise ValueError(f"uncertain has no effect on a task {self.task}; leave it out")
        return self


class FinetuneConfig(Config):
    """``echossl finetune``: adapt an encoder with a share of the labels and predict the test split."""

    data: DataConfig = Field(description="Manifest and clip store.")
    out: Path = Field(description="Run folder.")
    start: Path | None = Field(
        None,
        description="encoder.safetensors, a pre-training run, a file of weights or torchvision:NAME; "
        "empty starts from random weights.",
    )
    encoder: EncoderConfig = Field(Compact3DConfig(), description="The network of a random start.")
    clip: ClipConfig = Field(
        ClipConfig(), description="Clips of a random start; a start file brings its own."
    )
    clip_from: Literal["start", "settings"] = Field(
        "start",
        description="Clips of a start file: those it was trained with, or those of `clip`, where the network "
        "takes clips of any length.",
    )
    grey: GreyValues | None = Field(
        None,
        description="Grey values: standardised as a whole, or each clip stretched to 0-1 (clip_min_max); "
        "empty takes those of the start, standardised for a random one.",
    )
    labels: LabelBudget = Field(LabelBudget(), description="Which labels may be read.")
    recipe: Recipe = Field(FrozenRecipe(), description="How the labels are used.")
    augment: AugmentConfig = Field(AugmentConfig(), description="Augmentation of the labelled clips.")
    patients_per_class: int = Field(8, ge=1, description="Patients of each class per update.")
    clips_per_video: int = Field(
        2, ge=1, description="Clips that are averaged to a video's score (policies random and uniform)."
    )
    clip_policy: ClipPolicy = Field(
        "uniform", description="Which clips those are: evenly spread, drawn, the middle one, or end to end."
    )
    train_split: str = Field("train", description="Split the labels are drawn from.")
    test_split: str = Field("test", description="Split that is predicted.")
    seed: int = Field(0, ge=0, description="Seed of weights, batches and augmentation.")
    hardware: HardwareConfig = Field(HardwareConfig(), description="Device, precision, readers.")

    @model_validator(mode="after")
    def _clip_has_an_effect(self) -> "FinetuneConfig":
        if self.clip_from == "settings" and self.start is None:
            raise ValueError("clip_from has no effect without a start: a random one takes `clip` anyway")
        return self

    @model_validator(mode="after")
    def _pooling_has_an_effect(self) -> "FinetuneConfig":
        if self.labels.unit == "video" and getattr(self.recipe, "pooling", "mean") != "mean":
            raise ValueError("recipe.pooling has no effect with labels.unit video; leave it out")
        return self
