"""Contrast and frame order from one pass of the encoder: both see the shuffled clips, as published."""

import torch
from torch import Tensor

from echossl.config.objective import ContrastiveConfig, FrameOrderConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.objectives.base import PartwiseObjective, classification
from echossl.objectives.contrastive import Contrastive
from echossl.objectives.draws import ORDER_STREAM, draw_classes
from echossl.objectives.frame_order import FrameOrder, permute_segments


class SharedPass(PartwiseObjective):
    """Every clip is shuffled in an order of its own; its vector is both contrasted and classified.

    This is EchoCLR (Holste et al., arXiv 2207.11581). A pair takes two passes of a clip instead of three, but
    the encoder is trained on shuffled clips alone.

    Args:
        contrastive: settings and objective, of whole clips.
        frame_order: settings and objective.
    """

    def __init__(
        self,
        contrastive: tuple[ContrastiveConfig, Contrastive],
        frame_order: tuple[FrameOrderConfig, FrameOrder],
    ) -> None:
        super().__init__()
        (contrast_settings, self.contrastive), (order_settings, self.frame_order) = contrastive, frame_order
        self.weights = {"contrastive": contrast_settings.weight, "frame_order": order_settings.weight}
        self.num_clips = self.contrastive.num_clips
        self.positives = self.contrastive.positives

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """Projection and logits of each clip of the items: (items, num_clips, projection_dim + k!)."""
        clips = batch.clips[items, : self.num_clips]
        orders = self.frame_order.orders[self.draw(batch)[items].flatten().to(clips.device)]
        vectors = encoder(permute_segments(clips.flatten(0, 1), orders))  # (items x k, dim)
        both = self.contrastive.projection_head(vectors), self.frame_order.head(vectors)
        return torch.cat([values.float() for values in both], dim=1).reshape(*clips.shape[:2], -1)

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of both losses, over all clips; metrics as in ``contrastive/loss``."""
        dim = projections.shape[-1] - len(self.frame_order.orders)
        results = {
            "contrastive": self.contrastive.compare(projections[:, :, None, :dim], batch),
            "frame_order": classification(projections[..., dim:].flatten(0, 1), self.draw(batch).flatten()),
        }
        metrics = {
            f"{name}/{key}": value
            for name, (loss, figures) in results.items()
            for key, value in {"loss": loss.detach(), **figures}.items()
        }
        total = torch.stack([self.weights[name] * loss for name, (loss, _) in results.items()]).sum()
        return total, metrics

    def draw(self, batch: Batch) -> Tensor:
        """The order of each clip, a pure function of seed and step: (items, num_clips) in 0..k!-1."""
        items, count = len(batch.clips), len(self.frame_order.orders)
        drawn = draw_classes(
            count, items * self.num_clips, stream=ORDER_STREAM, step=batch.step, seed=self.seed
        )
        return drawn.view(items, self.num_clips)

    def check(self, clip: ClipConfig) -> None:
        """Refuse clips whose frames cannot be split into equal parts."""
        self.frame_order.check(clip)

    def after_update(self, encoder: Encoder) -> None:
        """Keep a learned temperature within its bounds."""
        self.contrastive.after_update(encoder)
