"""The score of a study as a function of one of its clips, where that is more than the clip's own score.

With studies pooled by mean the score is a sum over clips, and each is explained for itself. With maximum or
attention it depends on all videos at once: a clip is explained with the others held as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from echossl.encoders.attention import GatedAttention
from echossl.encoders.classifier import StudyPooling
from echossl.saliency.output import Output


@dataclass(frozen=True)
class PooledHead:
    """How a study's score comes from the features of its clips.

    Attributes:
        head: of the task, with all its outputs; linear, so that what it says of the mean of some clips is the
            mean of what it says of each.
        pooling: ``max`` or ``attention``.
        output: what is explained.
    """

    head: nn.Module
    pooling: StudyPooling
    output: Output

    def of_clips(self, features: Sequence[Tensor]) -> list[list["InStudy"]]:
        """A head for each clip of each video of a study, of their features, (clips, dim) per video."""
        return [
            [InStudy(self, features, video, clip) for clip in range(len(own))]
            for video, own in enumerate(features)
        ]


class InStudy(nn.Module):
    """The study's score if one of its clips had other features: (batch, dim) to (batch, 1).

    Args:
        pooled: how the score is made.
        features: of the study's clips, (clips, dim) per video.
        video: the place of the clip's video in the study.
        clip: the place of the clip in its video.
    """

    others: Tensor
    rest: Tensor
    itself: Tensor

    def __init__(self, pooled: PooledHead, features: Sequence[Tensor], video: int, clip: int) -> None:
        super().__init__()
        own = features[video]
        self.head, self.attention, self.output = pooled.head, pooled.pooling.attention, pooled.output
        self.num_clips = len(own)
        means = torch.stack([each.mean(dim=0) for each in features])
        without = [place for place in range(len(means)) if place != video]
        self.register_buffer("others", means[without], persistent=False)
        self.register_buffer("rest", own.sum(dim=0) - own[clip], persistent=False)
        self.register_buffer("itself", own[clip], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, dim) to (batch, 1)."""
        video = (self.rest + features) / self.num_clips
        said, of_others = self.head(video), self.head(self.others)
        if self.attention is not None:
            weights = self._weights(self.attention, video)
            return self.output.of(weights[:, :1] * said + weights[:, 1:] @ of_others)
        if len(of_others):
            said = torch.maximum(said, of_others.amax(dim=0))
        return self.output.of(said)

    def share(self) -> float:
        """The video's share of the score, 0..1: its attention, or 1 if its output is the largest, else 0."""
        video = (self.rest + self.itself)[None] / self.num_clips
        with torch.no_grad():
            if self.attention is not None:
                return float(self._weights(self.attention, video)[0, 0])
            said, of_others = (self.head(one)[:, self.output.place] for one in (video, self.others))
            return float(bool((said >= of_others).all()))

    def _weights(self, attention: GatedAttention, video: Tensor) -> Tensor:
        """(batch, videos): of the video first, then of the others."""
        energies = attention.energies(self.others).expand(len(video), -1)
        return torch.cat([attention.energies(video)[:, None], energies], dim=1).softmax(dim=1)
