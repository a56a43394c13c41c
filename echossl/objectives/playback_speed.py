"""Playback speed objective: how fast is the clip played?"""

import torch
from torch import Tensor, nn

from echossl.config.objective import PlaybackSpeedConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.objectives.base import PartwiseObjective, classification
from echossl.objectives.draws import SPEED_STREAM, draw_classes, draw_shares


class PlaybackSpeed(PartwiseObjective):
    """Classify the speed of a clip (SpeedNet, Benaim et al., arXiv 2004.06130; PRP, arXiv 2006.11476).

    The frames come out of the clip itself. At every speed as many different frames are shown, each held as
    long, so that only the motion between them tells the speed. They make a pass of their own. Chance is 1 /
    number of speeds.

    Args:
        config: the speeds.
        encoder_dim: length of the encoder's vectors.
    """

    speeds: Tensor

    def __init__(self, config: PlaybackSpeedConfig, encoder_dim: int) -> None:
        super().__init__()
        self.register_buffer("speeds", torch.tensor(config.speeds), persistent=False)
        self.fastest = max(config.speeds)
        self.head = nn.Linear(encoder_dim, len(config.speeds))

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """The logits of the items: float32 (items, speeds)."""
        clips = batch.clips[items, 0]  # one clip of each item
        targets, starts = self.draw(len(batch.clips), step=batch.step)
        speeds, starts = self.speeds[targets[items].to(clips.device)], starts[items].to(clips.device)
        logits: Tensor = self.head(encoder(play(clips, speeds, starts, hold=self.fastest)))
        return logits.float()

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and ``accuracy``: how often the right speed has the highest logit."""
        return classification(projections, self.draw(len(batch.clips), step=batch.step)[0])

    def draw(self, items: int, *, step: int) -> tuple[Tensor, Tensor]:
        """Class (items,) int64 and start (items,) in 0..1 of each item, a pure function of seed and step."""
        classes = draw_classes(len(self.speeds), items, stream=SPEED_STREAM, step=step, seed=self.seed)
        return classes, draw_shares(items, stream=SPEED_STREAM, step=step, seed=self.seed)

    def check(self, clip: ClipConfig) -> None:
        """Refuse clips that are too short to show motion at the fastest speed."""
        if clip.num_frames < 2 * self.fastest:
            raise UserError(
                f"objective playback_speed: clips of {clip.num_frames} frames show fewer than two of them at "
                f"{self.fastest} times the speed; make clip.num_frames {2 * self.fastest} or more, or leave "
                "out the fastest of its speeds"
            )


def play(clips: Tensor, speeds: Tensor, starts: Tensor, *, hold: int) -> Tensor:
    """Show a part of each clip at a speed of its own; the number of frames stays.

    Of t frames, ceil(t / hold) different ones are shown, ``speed`` frames apart and ``hold`` times each: at
    ``speed = hold`` the motion is that of the clip, below it is slower.

    Args:
        clips: (n, c, t, h, w).
        speeds: (n,) int64 in 1..hold.
        starts: (n,) in 0..1, where the part begins among the places where it fits.
        hold: how often a frame is shown.

    Returns:
        (n, c, t, h, w).
    """
    num_frames = clips.shape[2]
    steps = torch.arange(num_frames, device=clips.device) // hold  # (t,)
    places = num_frames - speeds * steps[-1]  # (n,) where the part fits
    first = (starts * places).long().clamp(max=places - 1)
    frames = first[:, None] + speeds[:, None] * steps  # (n, t)
    return torch.take_along_dim(clips, frames[:, None, :, None, None], dim=2)
