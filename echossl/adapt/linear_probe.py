"""Recipe ``probe``: a regularised linear model of what the encoder, left as it is, says of studies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from echossl.adapt.batches import LabelledVideos, study_targets
from echossl.adapt.embed import mean_logits
from echossl.adapt.features import VideoFeatures
from echossl.adapt.linear import fit_head
from echossl.adapt.logistic import standardised_logistic
from echossl.adapt.selection import Trainer
from echossl.adapt.study_pooling import pooled_outputs
from echossl.adapt.tasks import Task, resolve_task
from echossl.config.adapt import FinetuneConfig
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.encoders.classifier import StudyPooling
from echossl.training.hardware import Hardware

Floats = npt.NDArray[np.floating]


class ProbeTrainer(Trainer):
    """Fits the head to its optimum; there is nothing random and one update.

    The features of a study are the mean over its videos of the mean over their clips. Each is standardised
    with the labelled studies' own mean and deviation, which is folded into the head.

    Args:
        encoder: the start, already on the device.
        store: the clip store.
        config: clips of a video, task.
        strength: C until another is asked for.
        hardware: device and precision of the encoder.
        pooling: of what is said of the videos of a study.
    """

    def __init__(
        self,
        encoder: Encoder,
        store: ClipStore,
        *,
        config: FinetuneConfig,
        strength: float,
        hardware: Hardware,
        pooling: Literal["mean", "max"] = "mean",
    ) -> None:
        self.encoder = encoder.eval().requires_grad_(requires_grad=False)
        self.features = VideoFeatures(self.encoder, store, config=config, hardware=hardware)
        self.config = config
        self.inverse_regularisation = strength
        self._pooling = pooling
        self.task = resolve_task(config.labels)
        self.head = self.task.make_head(encoder.dim)

    def use(self, settings: Mapping[str, float]) -> None:
        """Take another C from now on."""
        self.inverse_regularisation = settings["inverse_regularisation"]

    def updates(self, videos: pd.DataFrame) -> Iterator[int]:
        """Fit the head to the studies of these videos; see the base class."""
        self.task = LabelledVideos(videos, resolve_task(self.config.labels)).task
        self.head = self.head_for(videos)
        yield 1

    def head_for(self, videos: pd.DataFrame) -> nn.Module:
        """The head of these labelled videos, for features as they are; on the CPU, in float32."""
        task = LabelledVideos(videos, resolve_task(self.config.labels)).task
        codes, _ = pd.factorize(videos["study_id"])
        means = self.features.means(videos["row"].tolist())
        of_studies = pd.DataFrame(means).groupby(codes).mean().to_numpy()
        strength = self.inverse_regularisation
        return fit_linear(task, of_studies, study_targets(videos), inverse_regularisation=strength).float()

    def video_logits(self, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """Mean output over each video's clips."""
        return mean_logits(self.head, self.features.clips(rows))

    def study_outputs(self, videos: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
        """Mean or largest output over the videos of each study; see the base class."""
        features = self.features.clips(videos["row"].tolist())
        return pooled_outputs(videos, features, self.head, pooling=self._pooling)

    def pooling(self) -> StudyPooling:
        """Mean or maximum."""
        return StudyPooling(self._pooling)

    def classifier(self) -> tuple[Encoder, nn.Module]:
        """Encoder, and the head of the last fit."""
        return self.encoder, self.head


def fit_linear(task: Task, features: Floats, targets: Floats, *, inverse_regularisation: float) -> nn.Module:
    """Standardise, fit, and fold the standardisation into the head.

    A binary label is fitted by scikit-learn's logistic regression, other tasks by :func:`fit_head`: softmax
    of classes, cumulative logits of ordered ones, ridge regression of numbers, each with the same penalty.

    Args:
        task: with what it takes from the labels.
        features: (rows, dim).
        targets: (rows, k).
        inverse_regularisation: C.

    Returns:
        A head in float64 on the CPU, for features as they are.
    """
    if task.settings.name == "binary":
        scaler, regression = standardised_logistic(inverse_regularisation).fit(features, targets[:, 0])
        head = task.make_head(features.shape[1]).double().requires_grad_(requires_grad=False)
        head.get_parameter("weight").copy_(torch.from_numpy(regression.coef_))
        head.get_parameter("bias").copy_(torch.from_numpy(regression.intercept_))
    else:
        scaler = StandardScaler().fit(features)
        head = fit_head(
            task, scaler.transform(features), targets, inverse_regularisation=inverse_regularisation
        )
    _fold(head, torch.from_numpy(scaler.mean_), torch.from_numpy(scaler.scale_))
    return head


def _fold(head: nn.Module, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Make a head of ``(x - mean) / deviation`` one of ``x``, in place."""
    parameters = dict(head.named_parameters())
    weight = parameters["weight"].div_(deviation)
    if "bias" in parameters:
        parameters["bias"].sub_(weight @ mean)
    else:  # cumulative logits: score less threshold
        parameters["first"].add_(weight @ mean)
