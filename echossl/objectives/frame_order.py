"""Frame order objective: in which order are the parts of a shuffled clip?"""

import itertools
import math

import torch
from torch import Tensor, nn

from echossl.config.objective import FrameOrderConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.objectives.base import PartwiseObjective, classification
from echossl.objectives.draws import ORDER_STREAM, draw_classes


class FrameOrder(PartwiseObjective):
    """Classify which of the k! orders the k parts of a clip are in (Holste et al., arXiv 2207.11581).

    The shuffled clip makes a pass through the encoder of its own, so that other objectives see ordered
    frames; :class:`echossl.objectives.SharedPass` is the other way. Chance is 1 / k!, 1 / 24 for four parts.

    Args:
        config: number of parts.
        encoder_dim: length of the encoder's vectors.
    """

    orders: Tensor

    def __init__(self, config: FrameOrderConfig, encoder_dim: int) -> None:
        super().__init__()
        self.num_segments = config.num_segments
        self.head = nn.Linear(encoder_dim, math.factorial(config.num_segments))
        self.register_buffer("orders", all_orders(config.num_segments), persistent=False)

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """The logits of the items: float32 (items, k!)."""
        clips = batch.clips[items, 0]  # one clip of each item
        orders = self.orders[self.draw(len(batch.clips), step=batch.step)[items].to(clips.device)]
        logits: Tensor = self.head(encoder(permute_segments(clips, orders)))
        return logits.float()

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and ``accuracy``: how often the right order has the highest logit."""
        return classification(projections, self.draw(len(batch.clips), step=batch.step))

    def draw(self, items: int, *, step: int) -> Tensor:
        """The order of each item, a pure function of seed and step: (items,) in 0..k!-1."""
        return draw_classes(len(self.orders), items, stream=ORDER_STREAM, step=step, seed=self.seed)

    def check(self, clip: ClipConfig) -> None:
        """Refuse clips whose frames cannot be split into equal parts."""
        frames_per_segment(clip.num_frames, self.num_segments, objective="frame_order")


def all_orders(num_segments: int) -> Tensor:
    """The k! permutations of 0..k-1, the identity first: (k!, k) int64."""
    return torch.tensor(list(itertools.permutations(range(num_segments))))


def permute_segments(clips: Tensor, orders: Tensor) -> Tensor:
    """Put the parts of each clip into an order of its own.

    Args:
        clips: (n, c, t, h, w).
        orders: (n, k) permutations of 0..k-1; part i of the result is part ``orders[:, i]`` of the clip.

    Raises:
        UserError: if t is not a multiple of k.
    """
    length = frames_per_segment(clips.shape[2], orders.shape[1], objective="frame_order")
    frames = orders[:, :, None] * length + torch.arange(length, device=orders.device)  # (n, k, t/k)
    picked = frames.flatten(1)[:, None, :, None, None]  # (n, 1, t, 1, 1)
    return torch.take_along_dim(clips, picked, dim=2)


def frames_per_segment(num_frames: int, num_segments: int, *, objective: str) -> int:
    """How long each of the equal parts of a clip is.

    Raises:
        UserError: naming the objective, if the clip cannot be split evenly.
    """
    if num_frames % num_segments:
        raise UserError(
            f"objective {objective}: clips of {num_frames} frames cannot be split into {num_segments} equal "
            f"parts; make clip.num_frames a multiple of {num_segments}, change num_segments, or leave the "
            "objective out"
        )
    return num_frames // num_segments
