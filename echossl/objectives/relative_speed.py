"""Relative speed objective: by how much is one stretch of a clip played faster than another?"""

import math

import torch
from torch import Tensor, nn

from echossl.config.objective import RelativeSpeedConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.encoders.motion import sees_motion
from echossl.errors import UserError
from echossl.objectives.base import PartwiseObjective
from echossl.objectives.draws import RELATIVE_SPEED_STREAM, draw_numbers

# fewer frames do not show a movement going one way and back
LEAST_FRAMES = 4


class RelativeSpeed(PartwiseObjective):
    """Predict the logarithm of the ratio of two speeds, after SpeedNet (Benaim et al., arXiv 2004.06130).

    Two stretches of one clip are shown, each at a speed of its own, by as many frames. Hearts beat at
    different rates, so the speed of a stretch alone cannot be told; how two of one heart compare can, by
    whoever reads the rate. A scalar is read off each vector, and the difference of the two is the prediction.

    All frames are of the clip itself, each shown once: the slowest stretch is of consecutive ones, a faster
    one leaves some out. Nothing is interpolated or repeated, which would give the speed away. They make a
    pass of their own, at ``slowest`` times the frames of the clip.

    An encoder learns nothing of it from grey values alone; it needs ``motion`` beside them or in their place.

    Args:
        config: the slowest speed.
        encoder_dim: length of the encoder's vectors.
    """

    def __init__(self, config: RelativeSpeedConfig, encoder_dim: int) -> None:
        super().__init__()
        self.slowest = config.slowest
        self.head = nn.Linear(encoder_dim, 1, bias=False)  # a bias would cancel

    def attach(self, encoder: Encoder) -> None:
        """Refuse an encoder that sees no motion.

        Raises:
            UserError: saying what to set.
        """
        if not sees_motion(encoder.metadata.architecture):
            name = encoder.metadata.architecture.name
            raise UserError(
                f"objective relative_speed: the encoder {name} sees grey values alone, from which it is not "
                "learned; set encoder.motion to beside or only, as in experiments/pretrain/motion_speed.yaml"
            )

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """The predicted logarithms: float32 (items,)."""
        clips = batch.clips[items, 0]  # one clip of each item
        log_speeds, starts = self.draw(len(batch.clips), step=batch.step)
        speeds, starts = log_speeds[items].exp().to(clips.device), starts[items].to(clips.device)
        stretches = [stretch(clips, speeds[:, i], starts[:, i], slowest=self.slowest) for i in range(2)]
        scalars: Tensor = self.head(encoder(torch.cat(stretches))).float()[:, 0]
        return scalars[: len(clips)] - scalars[len(clips) :]

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The squared error, and ``error_of_chance``, the mean distance from the truth.

        Both are divided by what they are for whoever says that the speeds are the same, so that 1 is chance.
        """
        log_speeds, _ = self.draw(len(batch.clips), step=batch.step)
        errors = projections - (log_speeds[:, 0] - log_speeds[:, 1]).to(projections.device)
        # of the difference of two numbers drawn evenly from a range: its variance, its mean distance from 0
        extent = -math.log(self.slowest)
        variance, distance = extent**2 / 6, extent / 3
        return errors.square().mean() / variance, {"error_of_chance": errors.detach().abs().mean() / distance}

    def draw(self, items: int, *, step: int) -> tuple[Tensor, Tensor]:
        """Logarithms of two speeds, even from the slowest's to 0, and two starts in 0..1: both (items, 2)."""
        numbers = draw_numbers(items, 4, stream=RELATIVE_SPEED_STREAM, step=step, seed=self.seed)
        return math.log(self.slowest) * numbers[:, :2], numbers[:, 2:]

    def check(self, clip: ClipConfig) -> None:
        """Refuse clips of which too few frames would be shown."""
        if num_shown(clip.num_frames, self.slowest) < LEAST_FRAMES:
            raise UserError(
                f"objective relative_speed: of clips of {clip.num_frames} frames, speeds from "
                f"{self.slowest:g} leave {num_shown(clip.num_frames, self.slowest)} to be shown, expected "
                f"{LEAST_FRAMES} or more; make clip.num_frames {math.ceil(LEAST_FRAMES / self.slowest)} or "
                "more, or slowest larger"
            )

    def encoded_clip(self, clip: ClipConfig) -> ClipConfig:
        """As many frames as a stretch has, over the time of a clip: the heart at full speed."""
        return clip.model_copy(update={"num_frames": num_shown(clip.num_frames, self.slowest)})


def num_shown(num_frames: int, slowest: float) -> int:
    """Frames of a stretch: as many as fit at full speed, rounded down to an even number."""
    return 2 * int(num_frames * slowest / 2 + 1e-9)


def stretch(clips: Tensor, speeds: Tensor, starts: Tensor, *, slowest: float) -> Tensor:
    """Show a stretch of each clip at a speed of its own: the nearest frames, ``speed / slowest`` apart.

    Args:
        clips: (n, c, t, h, w).
        speeds: (n,) in ``slowest``..1.
        starts: (n,) in 0..1, where the stretch begins among the places where it fits.
        slowest: speed of consecutive frames.

    Returns:
        (n, c, t', h, w) with t' of :func:`num_shown`; no frame twice.
    """
    num_frames = clips.shape[2]
    apart = (speeds.double() / slowest).clamp(1, 1 / slowest)
    steps = torch.arange(num_shown(num_frames, slowest), device=clips.device)
    first = starts.double() * (num_frames - 1 - apart * steps[-1])
    # rounded up at a half, always, so that steps of one frame or more never stay on one
    frames = (first[:, None] + apart[:, None] * steps + 0.5).long().clamp(0, num_frames - 1)  # (n, t')
    return torch.take_along_dim(clips, frames[:, None, :, None, None], dim=2)
