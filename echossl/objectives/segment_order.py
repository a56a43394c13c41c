"""Segment order objective: the parts of a clip are seen one by one; in which order were they taken?"""

from itertools import combinations

import torch
from torch import Tensor, nn

from echossl.config.objective import SegmentOrderConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.objectives.base import PartwiseObjective, classification
from echossl.objectives.draws import SEGMENT_STREAM, draw_classes
from echossl.objectives.frame_order import all_orders, frames_per_segment, permute_segments


class SegmentOrder(PartwiseObjective):
    """Classify the k! orders of the k parts of a clip (Xu et al., Video Clip Order Prediction, CVPR 2019).

    Unlike in ``frame_order`` the encoder sees each part as a clip of its own, so that no cut is visible: it
    has to tell the order from what the parts show. Their vectors are compared pair by pair, as in the paper.
    The parts make a pass of their own. Chance is 1 / k!, 1 / 6 for three parts.

    Args:
        config: number of parts, width of the head.
        encoder_dim: length of the encoder's vectors.
    """

    orders: Tensor

    def __init__(self, config: SegmentOrderConfig, encoder_dim: int) -> None:
        super().__init__()
        self.num_segments = config.num_segments
        self.register_buffer("orders", all_orders(config.num_segments), persistent=False)
        self.pairs = list(combinations(range(config.num_segments), 2))
        self.pair_head = nn.Sequential(nn.Linear(2 * encoder_dim, config.hidden_dim), nn.ReLU(inplace=True))
        self.head = nn.Linear(len(self.pairs) * config.hidden_dim, len(self.orders))

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """The logits of the items: float32 (items, k!)."""
        clips = batch.clips[items, 0]  # one clip of each item
        orders = self.orders[self.draw(len(batch.clips), step=batch.step)[items].to(clips.device)]
        parts = split_segments(permute_segments(clips, orders), self.num_segments)
        return self.classify(encoder(parts.flatten(0, 1)).reshape(len(clips), self.num_segments, -1))

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and ``accuracy``: how often the right order has the highest logit."""
        return classification(projections, self.draw(len(batch.clips), step=batch.step))

    def draw(self, items: int, *, step: int) -> Tensor:
        """The order of each item, a pure function of seed and step: (items,) in 0..k!-1."""
        return draw_classes(len(self.orders), items, stream=SEGMENT_STREAM, step=step, seed=self.seed)

    def classify(self, vectors: Tensor) -> Tensor:
        """Vectors of the parts as they are shown, (n, k, dim), → float32 logits (n, k!)."""
        compared = [self.pair_head(torch.cat((vectors[:, i], vectors[:, j]), dim=1)) for i, j in self.pairs]
        logits: Tensor = self.head(torch.cat(compared, dim=1))
        return logits.float()

    def check(self, clip: ClipConfig) -> None:
        """Refuse clips whose frames cannot be split into equal parts."""
        frames_per_segment(clip.num_frames, self.num_segments, objective="segment_order")


def split_segments(clips: Tensor, num_segments: int) -> Tensor:
    """(n, c, t, h, w) → (n, k, c, t/k, h, w), parts in the order of time."""
    return torch.stack(clips.chunk(num_segments, dim=2), dim=1)
