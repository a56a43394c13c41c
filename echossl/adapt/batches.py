"""Labelled batches of every task: which clips, by the strata of the budget, and their targets."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from echossl.adapt.budget import targets_of
from echossl.adapt.tasks import Task
from echossl.config.adapt import FinetuneConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import BalancedSampler


class LabelledVideos:
    """The targets of some videos of a budget, found by their store row.

    Args:
        videos: labelled videos of a budget.
        task: their task, as the settings say it.

    Attributes:
        task: the task with what it takes from these videos' labels.
    """

    def __init__(self, videos: pd.DataFrame, task: Task) -> None:
        self.task = task.fitted(targets_of(videos.drop_duplicates("study_id")))
        self._places = {row: place for place, row in enumerate(videos["row"].tolist())}
        self._targets = torch.tensor(targets_of(videos))

    def targets(self, rows: Iterable[int]) -> Tensor:
        """(rows, k) float32."""
        return self._targets[[self._places[row] for row in rows]]


def labelled_sampler(
    videos: pd.DataFrame, config: FinetuneConfig, clip: ClipConfig, *, balanced: bool = True
) -> BalancedSampler:
    """Batches with as many patients of each stratum, or as large ones of all patients alike.

    Args:
        videos: labelled videos of a budget.
        config: patients of each class, seed.
        clip: which frames make a clip.
        balanced: as many patients of each stratum.
    """
    return BalancedSampler(
        videos,
        patients_per_class=config.patients_per_class,
        clip=clip,
        seed=config.seed,
        balanced=balanced,
    )


def study_targets(videos: pd.DataFrame) -> npt.NDArray[np.float32]:
    """The targets of each study in the order of first appearance: (studies, k)."""
    return targets_of(videos.drop_duplicates("study_id"))
