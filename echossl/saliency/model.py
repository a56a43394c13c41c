"""A fine-tuned run, made ready to be explained: its networks, its settings, and what of it is explained."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from echossl.config.adapt import FinetuneConfig
from echossl.config.explain import ExplainConfig
from echossl.config.task import TaskSettings
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.encoders.classifier import UNNAMED, StudyPooling, load_classifier, load_pooling
from echossl.errors import RunFolderError, UserError
from echossl.runs import RunFolder
from echossl.saliency.controls import Classifier, random_weights
from echossl.saliency.in_study import PooledHead
from echossl.saliency.maps import Explainer
from echossl.saliency.output import OneOutput, Output, choose_output
from echossl.saliency.region import Regions


@dataclass(frozen=True)
class Model:
    """What fine-tuning left.

    Attributes:
        settings: of the run.
        encoder: in evaluation mode.
        head: of the task, with all its outputs.
        task: what was learned.
        pooling: how the videos of a study become one answer.
        output: what is explained.
    """

    settings: FinetuneConfig
    encoder: Encoder
    head: nn.Module
    task: TaskSettings
    pooling: StudyPooling
    output: Output

    @property
    def column(self) -> str:
        """The label column of the manifest."""
        return self.task.columns[self.output.place if len(self.task.columns) > 1 else 0]

    @classmethod
    def load(cls, run: Path, output: str | None = None) -> "Model":
        """Read a run of ``echossl finetune``.

        Raises:
            UserError: if the run is something else, has no encoder or scores single videos; if there is no
                such output.
        """
        settings = finetune_config(run)
        encoder, head, task = load_classifier(run)
        if task == UNNAMED:
            task = TaskSettings(name="binary", columns=(settings.labels.column,))
        if task.unit == "video":
            raise UserError(
                f"{run}: learned labels of single videos; saliency is of runs with labels.unit study"
            )
        return cls(settings, encoder, head, task, load_pooling(run), choose_output(task, output, run))

    def one(self, head: nn.Module) -> nn.Module:
        """A head of the task as one of the output alone."""
        plain = self.task.num_outputs == 1 and not self.output.is_number
        return head if plain else OneOutput(head, self.output)


def finetune_config(run: Path) -> FinetuneConfig:
    """The settings of a fine-tuning run.

    Raises:
        RunFolderError: if the folder holds something else.
    """
    record = RunFolder(run).record
    if record["command"] != "finetune":
        raise RunFolderError(f"{run}: holds a run of {record['command']}; give one of echossl finetune")
    return FinetuneConfig.model_validate(record["config"])


def explainer_of(model: Model, config: ExplainConfig) -> Explainer:
    """Everything that is the same for all videos, with methods that were tried on an empty clip.

    Raises:
        UserError: if a method or the layer does not fit the network, or the device is not there.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: found cuda, but torch sees no GPU; take cpu")
    of_score, device = config.clips == "score", config.device
    settings, encoder = model.settings, model.encoder
    trained = Classifier(encoder, model.one(model.head)).to(device)
    _try_methods(trained, config)
    return Explainer(
        ClipStore.open(settings.data.store),
        trained,
        Classifier(*random_weights(encoder, seed=config.seed)).to(device),
        config.methods,
        layer=config.layer,
        regions=None if config.region is None else Regions.open(config.region),
        policy=settings.clip_policy if of_score else "centre",
        clips_per_video=settings.clips_per_video if of_score else 1,
        policy_seed=settings.seed,
        device=device,
        pooled=_pooled(model, device),
    )


def _pooled(model: Model, device: str) -> PooledHead | None:
    if model.pooling.name == "mean":
        return None
    attention = model.pooling.attention
    moved = StudyPooling(model.pooling.name, None if attention is None else attention.to(device))
    return PooledHead(model.head.to(device), moved, model.output)


def _try_methods(trained: Classifier, config: ExplainConfig) -> None:
    """What cannot be explained is refused before a folder is made or a head trained."""
    clip = empty_clip(trained.encoder, config.device)
    for method in config.methods:
        fewest = {name: 1 for name in ("steps", "samples", "stretches", "squares") if hasattr(method, name)}
        trained.map(clip, method.model_copy(update=fewest), config.layer)


def empty_clip(encoder: Encoder, device: str) -> torch.Tensor:
    """A black clip as the encoder wants it: (1, channels, frames, height, width)."""
    metadata = encoder.metadata
    size = (metadata.clip.num_frames, metadata.size, metadata.size)
    return torch.zeros(1, metadata.channels, *size, device=device)
