"""Networks that learned less: what a map shows of them was not learned (Adebayo et al., arXiv 1810.03292)."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from echossl.config.saliency import AnyMethod
from echossl.encoders import Encoder, build_encoder
from echossl.saliency.methods import saliency_map


@dataclass(frozen=True)
class Classifier:
    """An encoder with the head of one logit, both in evaluation mode."""

    encoder: Encoder
    head: nn.Module

    def map(self, clips: Tensor, settings: AnyMethod, layer: str | None) -> Tensor:
        """The map of a method: (batch, frames, height, width), at least 0, not normalised."""
        return saliency_map(self.encoder, self.head, clips, settings, layer=layer)

    def map_of_either_sign(self, clips: Tensor, settings: AnyMethod, layer: str | None) -> Tensor:
        """The same where the sign of the score means nothing: one that finds anything is taken."""
        maps = self.map(clips, settings, layer)
        if maps.any():
            return maps
        return saliency_map(self.encoder, lambda features: -self.head(features), clips, settings, layer=layer)

    def score(self, clips: Tensor) -> Tensor:
        """Logits (batch,) of clips (batch, channels, frames, height, width) in 0..1."""
        with torch.no_grad():
            logits: Tensor = self.head(self.encoder(clips))
        return logits[:, 0]

    def to(self, device: str) -> "Classifier":
        """Moved to a device."""
        return Classifier(self.encoder.to(device), self.head.to(device))


def random_weights(encoder: Encoder, *, seed: int) -> tuple[Encoder, nn.Linear]:
    """The same network with fresh weights and a fresh head: what a map shows that nothing was learned for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_encoder(encoder.metadata).eval(), nn.Linear(encoder.dim, 1)


def cascade(trained: Classifier, fresh: Classifier, steps: int) -> Iterator[tuple[str, Classifier]]:
    """Networks whose layers are fresh from the head downwards: first the head alone, at last everything.

    Args:
        trained: the classifier.
        fresh: the same network with fresh weights.
        steps: networks, at most one more than the encoder has stages.

    Yields:
        What is fresh (``head``, ``2 of 5 stages``, ..., ``all``), and the network.
    """
    count = len(trained.encoder.stages())
    depths = sorted({round(depth) for depth in np.linspace(0, count, steps)} | {count})
    for depth in depths:
        encoder = copy.deepcopy(trained.encoder)
        pairs = list(zip(encoder.stages(), fresh.encoder.stages(), strict=True))
        for own, other in pairs[count - depth :]:
            for part, source in zip(own, other, strict=True):
                part.load_state_dict(source.state_dict())
        name = "head" if depth == 0 else f"{depth} of {count} stages" if depth < count else "all"
        yield name, Classifier(encoder, fresh.head)
