"""How many updates? Chosen on patients out of the label budget, then all of the budget is used."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from echossl.adapt.batches import study_targets
from echossl.adapt.budget import Budget
from echossl.adapt.scores import study_outputs
from echossl.adapt.tasks import Task
from echossl.encoders import Encoder
from echossl.progress import track


class Trainer(ABC):
    """A recipe at work: labelled videos and a number of updates become a classifier.

    Attributes:
        task: what is learned, with what it takes from the labels of the last training.
    """

    task: Task

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
    """

    step: int
    loss: float
    merit: float


def train_within_budget(
    trainer: Trainer, budget: Budget, *, steps: int, evaluate_every: int
) -> tuple[int, list[Look]]:
    """Choose the number of updates on the validation patients, then train on the whole budget for as many.

    The second training begins from the same start with the same learning-rate schedule, cut at the chosen
    step. It is done because the validation patients are a quarter of the labels: of 8 patients, leaving 2 out
    for good costs more than it tells.

    Args:
        trainer: the recipe.
        budget: the labelled patients; no other label is there to be read.
        steps: most updates.
        evaluate_every: updates between looks; the last update is looked at in any case. With ``steps`` or
            more there is nothing to choose: the number is fixed, and only the second training is done.

    Returns:
        The chosen number of updates, at least 1, and every look.
    """
    if evaluate_every >= steps:
        _train_on_all(trainer, budget, steps)
        return steps, []
    held_out = budget.validation_videos
    looks = [
        _look(trainer, held_out, step)
        for step in _updates(trainer, budget.training_videos, steps, "choosing the number of updates")
        if step % evaluate_every == 0 or step == steps
    ]
    chosen = most_of_best(looks)
    _train_on_all(trainer, budget, chosen)
    return chosen, looks


def most_of_best(looks: Sequence[Look]) -> int:
    """The number of updates with the largest merit; of equal ones the largest number.

    With few validation patients most looks tie. The loss would then take the earliest, only because a
    head that is not sure yet loses less where it is wrong; how well it ranks goes on growing.
    """
    return max(looks, key=lambda look: (look.merit, look.step)).step


def _train_on_all(trainer: Trainer, budget: Budget, count: int) -> None:
    for _ in _updates(trainer, budget.videos, count, "training on the whole budget"):
        pass


def _updates(trainer: Trainer, videos: pd.DataFrame, count: int, label: str) -> Iterator[int]:
    return track(islice(trainer.updates(videos), count), label, total=count, unit="updates")


def _look(trainer: Trainer, videos: pd.DataFrame, step: int) -> Look:
    _, outputs = study_outputs(videos, trainer.video_logits(videos["row"].tolist()))
    task, targets = trainer.task, study_targets(videos)
    weights = task.balanced_weights(targets)
    loss = task.loss(torch.tensor(outputs), torch.tensor(targets).double(), class_weights=weights)
    return Look(step, float(loss), task.merit(targets, outputs))
