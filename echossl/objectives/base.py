"""Objectives: what an encoder is pre-trained on. Each owns its heads; the encoder is passed in."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from echossl.config.objective import ObjectiveConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.data.samplers import Positives
from echossl.encoders import Encoder


class Objective(nn.Module, ABC):
    """A loss on a batch of clips.

    Attributes:
        num_clips: clips it wants of every item of the batch.
        positives: how the clips of an item are chosen ("two_videos", "two_clips" or "patient"), None if it
            is all the same to this objective.
    """

    num_clips: int = 1
    positives: Positives | None = None

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

    def attach(self, encoder: Encoder) -> None:
        """Make what mirrors the encoder; called once, before training and before a checkpoint is read."""

    def after_update(self, encoder: Encoder) -> None:
        """Follow an update of the weights; called after every step of the optimiser."""


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

    def forward(self, encoder: Encoder, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum; the metrics of each part carry its name, as in ``contrastive/loss``."""
        total = batch.clips.new_zeros(())
        metrics: dict[str, Tensor] = {}
        for name, objective in self.parts.items():
            loss, figures = objective(encoder, batch)
            total = total + self.weights[name] * loss
            metrics |= {f"{name}/{key}": value for key, value in {"loss": loss.detach(), **figures}.items()}
        return total, metrics

    def check(self, clip: ClipConfig) -> None:
        """Ask every part."""
        for objective in self._objectives():
            objective.check(clip)

    def attach(self, encoder: Encoder) -> None:
        """Tell every part."""
        for objective in self._objectives():
            objective.attach(encoder)

    def after_update(self, encoder: Encoder) -> None:
        """Tell every part."""
        for objective in self._objectives():
            objective.after_update(encoder)

    def _objectives(self) -> list[Objective]:
        return [part for part in self.parts.values() if isinstance(part, Objective)]
