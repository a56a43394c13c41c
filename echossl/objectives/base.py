"""Objectives: what an encoder is pre-trained on. Each owns its heads; the encoder is passed in."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.objective import ObjectiveConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.data.samplers import Positives
from echossl.encoders import Encoder
from echossl.objectives.alignment import Alignment


class Objective(nn.Module, ABC):
    """A loss on a batch of clips.

    Attributes:
        num_clips: clips it wants of every item of the batch.
        positives: how the clips of an item are chosen ("two_videos", "two_clips" or "patient"), None if it
            is all the same to this objective.
        reads_reports: whether the batch has to have reports. Its items are then studies.
        slots: views or sides of a study that are the clips of such an item, in this order; of any if empty.
        slot_column: of the manifest, which says what slot a video belongs to.
        seed: of the run; what an objective draws depends on it, on the step and on nothing else.
    """

    num_clips: int = 1
    positives: Positives | None = None
    reads_reports: bool = False
    slots: tuple[str, ...] = ()
    slot_column: str = "view"
    seed: int = 0

    @abstractmethod
    def forward(self, encoder: Encoder, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss.

        Args:
            encoder: the network that is being trained.
            batch: clips are float32 in 0..1, (items, clips, channels, frames, height, width).

        Returns:
            The loss, a scalar with gradient, and figures to log, detached scalars.
        """

    def check(self, clip: ClipConfig) -> None:
        """Raise UserError if clips of this kind cannot be used, before any work is done."""

    def encoded_clip(self, clip: ClipConfig) -> ClipConfig:
        """The clips that the encoder is shown of those of a run: the ones it is at home with afterwards."""
        return clip

    def attach(self, encoder: Encoder) -> None:
        """Make what mirrors the encoder; called once, before training and before a checkpoint is read.

        Raises:
            UserError: if the objective can learn nothing with this encoder.
        """

    def after_update(self, encoder: Encoder) -> None:
        """Follow an update of the weights; called after every step of the optimiser."""

    def artifacts(self) -> dict[str, Alignment]:
        """What is to be kept beside the encoder when training is done, by name of the objective."""
        return {}


class PartwiseObjective(Objective):
    """An objective that can encode a few items at a time, so that a large batch fits the device.

    It is cut in two: what is computed of each item alone, and what needs the whole batch.
    """

    @abstractmethod
    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """What the loss needs of some items; of each alone, but for batch norms.

        Args:
            encoder: the network that is being trained.
            batch: the whole batch of this process; random draws are made for all of it.
            items: which of its items.

        Returns:
            With gradient, float (items, ...).
        """

    @abstractmethod
    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics, as of :meth:`forward`, of what :meth:`project` made of all items of the batch."""

    def forward(self, encoder: Encoder, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """All items at once."""
        return self.compare(self.project(encoder, batch, slice(None)), batch)


def classification(logits: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross entropy of logits (items, classes) with targets (items,), and ``accuracy``."""
    targets = targets.to(logits.device)
    accuracy = (logits.detach().argmax(1) == targets).float().mean()
    return F.cross_entropy(logits, targets), {"accuracy": accuracy}


class WeightedSum(Objective):
    """Several objectives on the same batch, added up with the weights of their settings.

    Args:
        parts: settings and objective, in the order of the settings; names are different.
    """

    def __init__(self, parts: Sequence[tuple[ObjectiveConfig, Objective]]) -> None:
        super().__init__()
        self.weights: dict[str, float] = {config.name: config.weight for config, _ in parts}
        self.parts = nn.ModuleDict({config.name: objective for config, objective in parts})
        self.num_clips = max(objective.num_clips for _, objective in parts)
        self.positives = next((part.positives for _, part in parts if part.positives is not None), None)
        # all of them alike, or none; see the settings of pre-training
        self.reads_reports = any(part.reads_reports for _, part in parts)
        self.slots, self.slot_column = parts[0][1].slots, parts[0][1].slot_column

    def forward(self, encoder: Encoder, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum; the metrics of each part carry its name, as in ``contrastive/loss``."""
        return self.add_up((name, *part(encoder, batch)) for name, part in self.parts.items())

    def add_up(
        self, results: Iterable[tuple[str, Tensor, dict[str, Tensor]]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Name, loss and metrics of each part → the weighted sum of the losses, and all metrics."""
        losses: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        for name, loss, figures in results:
            losses.append(self.weights[name] * loss)
            metrics |= {f"{name}/{key}": value for key, value in {"loss": loss.detach(), **figures}.items()}
        return reduce(torch.add, losses), metrics

    def named_parts(self) -> Iterator[tuple[str, Objective]]:
        """Name and objective of every part."""
        for name, part in self.parts.items():
            if isinstance(part, Objective):
                yield name, part

    def check(self, clip: ClipConfig) -> None:
        """Ask every part."""
        for _, objective in self.named_parts():
            objective.check(clip)

    def encoded_clip(self, clip: ClipConfig) -> ClipConfig:
        """What all parts show, or else the whole clip, which one of them or a later task can."""
        shown = {objective.encoded_clip(clip) for _, objective in self.named_parts()}
        return shown.pop() if len(shown) == 1 else clip

    def attach(self, encoder: Encoder) -> None:
        """Tell every part."""
        for _, objective in self.named_parts():
            objective.attach(encoder)

    def after_update(self, encoder: Encoder) -> None:
        """Tell every part."""
        for _, objective in self.named_parts():
            objective.after_update(encoder)

    def artifacts(self) -> dict[str, Alignment]:
        """Those of all parts."""
        return {name: kept for _, part in self.named_parts() for name, kept in part.artifacts().items()}
