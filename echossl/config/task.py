"""What is learned: kind of task, manifest columns, classes. Kept in the file of every classifier."""

from typing import Literal

from pydantic import Field, model_validator

from echossl.config.base import Config

TaskName = Literal["binary", "multiclass", "ordinal", "multilabel", "regression"]
Unit = Literal["study", "video"]
UncertainPolicy = Literal["ignore", "zero", "one"]
WITH_CLASSES = ("multiclass", "ordinal")


class TaskSettings(Config):
    """A task with everything that its head and its scores need; no table has to be read again."""

    name: TaskName = Field(description="Kind of the task.")
    columns: tuple[str, ...] = Field(min_length=1, description="Label columns; several of multilabel only.")
    classes: tuple[str, ...] = Field((), description="Classes in order, of multiclass and ordinal.")
    mean: float = Field(0.0, description="Mean of the budget's labels, in their unit, of regression.")
    deviation: float = Field(1.0, gt=0, description="Standard deviation of the budget's labels.")
    unit: Unit = Field("study", description="What has a label and a score.")

    @model_validator(mode="after")
    def _fits(self) -> "TaskSettings":
        if self.name != "multilabel" and len(self.columns) > 1:
            raise ValueError(f"{self.name} has one column, found {', '.join(self.columns)}")
        if self.name in WITH_CLASSES and len(self.classes) < 2:
            raise ValueError(f"{self.name} needs two classes or more, found {len(self.classes)}")
        return self

    @property
    def num_outputs(self) -> int:
        """Numbers that the head says of a clip: a logit per class, per column or per cut between classes."""
        match self.name:
            case "multiclass":
                return len(self.classes)
            case "ordinal":
                return len(self.classes) - 1
            case "multilabel":
                return len(self.columns)
        return 1
