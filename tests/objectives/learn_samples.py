"""A few steps of training on one clip per item, for the tests of the objectives."""

from collections.abc import Callable

import torch
from torch import Tensor

from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.objectives import Objective


def batch_of(clips: Tensor, step: int = 0) -> Batch:
    """Clips (items, clips, channels, frames, height, width), each item of a patient of its own."""
    videos = torch.zeros(clips.shape[:2], dtype=torch.int64)
    return Batch(clips=clips, patients=torch.arange(len(clips)), videos=videos, step=step)


def learn(
    objective: Objective, encoder: Encoder, draw_clips: Callable[[], Tensor], *, steps: int
) -> list[float]:
    """Train both; the accuracy at every step."""
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=0.01)
    accuracies = []
    for step in range(steps):
        loss, metrics = objective(encoder, batch_of(draw_clips(), step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        accuracies.append(metrics["accuracy"].item())
    return accuracies
