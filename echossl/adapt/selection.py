"""Training on a part of the label budget or on all of it, and looks at the part that is held out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from echossl.adapt.batches import study_targets
from echossl.adapt.budget import Budget
from echossl.adapt.predictions import scored_studies
from echossl.adapt.scores import study_outputs
from echossl.adapt.tasks import Task
from echossl.encoders import Encoder
from echossl.encoders.classifier import StudyPooling
from echossl.progress import track


class Trainer(ABC):
    """A recipe at work: labelled videos and a number of updates become a classifier.

    Attributes:
        task: what is learned, with what it takes from the labels of the last training.
    """

    task: Task

    def use(self, settings: Mapping[str, float]) -> None:
        """Take other settings of the recipe from the next training on; see :mod:`echossl.adapt.search`.

        Raises:
            ValueError: if the recipe has no such setting that can be changed.
        """
        if settings:
            raise ValueError(f"no setting {', '.join(settings)} that can be changed")

    @abstractmethod
    def updates(self, videos: pd.DataFrame) -> Iterator[int]:
        """Begin again from the same start and train on these videos.

        Args:
            videos: labelled videos of the budget; see :class:`echossl.adapt.budget.Budget`.

        Yields:
            The number of updates done, after each, up to the most that the recipe allows.
        """

    @abstractmethod
    def video_logits(self, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Outputs (videos, outputs) of store rows by the classifier as it is now."""

    def study_outputs(self, videos: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
        """What the classifier as it is now says of studies; see :func:`echossl.adapt.scores.study_outputs`.

        Args:
            videos: ``row, patient_id, study_id`` of their videos.
        """
        return study_outputs(videos, self.video_logits(videos["row"].tolist()))

    def pooling(self) -> StudyPooling:
        """How the videos of a study become one answer, for features as the encoder gives them."""
        return StudyPooling()

    @abstractmethod
    def classifier(self) -> tuple[Encoder, nn.Module]:
        """The classifier as it is now."""


@dataclass(frozen=True)
class Look:
    """How the validation studies fared after a number of updates.

    Attributes:
        step: number of updates.
        loss: of the task, every class weighing the same. Balanced because the recipes train on as many of
            each class: an unbalanced loss would prefer fewer steps for no better reason than the prevalence.
        merit: of the task, higher is better; AUROC of a binary one.
        scored: the validation studies with the task's score columns, by the classifier as it was then.
    """

    step: int
    loss: float
    merit: float
    scored: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)


def looks_of(trainer: Trainer, budget: Budget, *, steps: int, evaluate_every: int) -> list[Look]:
    """Train on the training patients of the budget, looking at its validation patients now and then.

    Args:
        trainer: the recipe.
        budget: the labelled patients; no other label is there to be read.
        steps: most updates.
        evaluate_every: updates between looks; the last update is looked at in any case.
    """
    held_out = budget.validation_videos
    return [
        _look(trainer, held_out, step)
        for step in _updates(trainer, budget.training_videos, steps, "choosing the number of updates")
        if step % evaluate_every == 0 or step == steps
    ]


def most_of_best(looks: Sequence[Look]) -> int:
    """The number of updates with the largest merit; of equal ones the largest number.

    With few validation patients most looks tie. The loss would then take the earliest, only because a
    head that is not sure yet loses less where it is wrong; how well it ranks goes on growing.
    """
    return max(looks, key=lambda look: (look.merit, look.step)).step


def train_on_all(trainer: Trainer, budget: Budget, count: int) -> None:
    """Train on all patients of the budget, for so many updates."""
    for _ in _updates(trainer, budget.videos, count, "training on the whole budget"):
        pass


def _updates(trainer: Trainer, videos: pd.DataFrame, count: int, label: str) -> Iterator[int]:
    return track(islice(trainer.updates(videos), count), label, total=count, unit="updates")


def _look(trainer: Trainer, videos: pd.DataFrame, step: int) -> Look:
    studies, outputs = trainer.study_outputs(videos)
    task, targets = trainer.task, study_targets(videos)
    weights = task.balanced_weights(targets)
    loss = task.loss(torch.tensor(outputs), torch.tensor(targets).double(), class_weights=weights)
    scored = scored_studies(task, studies, outputs)
    return Look(step, float(loss), task.merit(targets, outputs), scored)
