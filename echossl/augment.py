"""Clip augmentation on the device: one random draw per clip, the same for all its frames."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.config.training import AugmentConfig

# columns of the uniform draws, one row per clip
SCALE, SHIFT_X, SHIFT_Y, ROTATION, GAMMA, GAIN = range(6)
NUM_DRAWS = 6
# first words of the random streams, so that no two uses share one
DRAW_STREAM, NOISE_STREAM = 1, 2
# as many as fit into a processor's cache: should not affect results, only speed (twice as fast)
CLIPS_AT_A_TIME_ON_CPU = 4


def to_float(clips: Tensor) -> Tensor:
    """Grey values 0..255 (uint8, any shape) as float32 in 0..1.

    Raises:
        TypeError: if the clips are not uint8, so that nothing is divided by 255 twice.
    """
    if clips.dtype != torch.uint8:
        raise TypeError(f"clips must be uint8, found {clips.dtype}")
    return clips.to(torch.float32).div_(255.0)


class Augmentation:
    """Random zoom, rotation, shift, gamma, gain and noise of whole clips; never a flip.

    The draws are a pure function of (seed, step, index of the clip in the batch) and are made on the CPU, so
    that every device, process and resumed run sees the same ones.

    Args:
        config: how strong.
        seed: seed of the run.
    """

    def __init__(self, config: AugmentConfig, *, seed: int) -> None:
        self.config = config
        self.seed = seed

    def __call__(self, clips: Tensor, *, step: int) -> Tensor:
        """Augment a batch.

        Args:
            clips: uint8 (..., channels, frames, height, width), on any device.
            step: which update this batch belongs to.

        Returns:
            float32 in 0..1 of the same shape, also under autocast.
        """
        num_clips, device = math.prod(clips.shape[:-4]), clips.device
        # time and channels folded together: one two-dimensional resampling serves all frames of a clip
        frames = clips.reshape(num_clips, -1, *clips.shape[-2:])
        generator = seeded_generator(DRAW_STREAM, self.seed, step)
        draws = torch.rand((num_clips, NUM_DRAWS), generator=generator) * 2 - 1
        at_a_time = CLIPS_AT_A_TIME_ON_CPU if device.type == "cpu" else max(num_clips, 1)
        out = torch.empty(frames.shape, dtype=torch.float32, device=device)
        with torch.autocast(device.type, enabled=False):
            theta = self._affine(draws, *clips.shape[-2:]).to(device)
            draws = draws.to(device)
            for first in range(0, num_clips, at_a_time):
                part = slice(first, first + at_a_time)
                moved = self._grey_values_(_resample(to_float(frames[part]), theta[part]), draws[part])
                if self.config.noise:
                    moved += self.config.noise * self._noise(moved.shape, step, first).to(device)
                out[part] = moved.clamp_(0, 1)
        return out.view(clips.shape)

    def _affine(self, draws: Tensor, height: int, width: int) -> Tensor:
        """Maps from output to input places, in coordinates of -1..1 on either axis: (clips, 2, 3).

        The picture is zoomed, rotated about its centre (in pixels, so that a picture that is not square is
        not sheared), then shifted by shares of half its width.
        """
        zoom = 1 + self.config.scale * draws[:, SCALE]
        angle = math.radians(self.config.rotation_degrees) * draws[:, ROTATION]
        aspect = width / height
        cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        linear = torch.stack((cosine, sine / aspect, -sine * aspect, cosine), dim=1).view(-1, 2, 2)
        shift = self.config.shift * draws[:, [SHIFT_X, SHIFT_Y]] * torch.tensor([1.0, aspect])
        return torch.cat((linear, -linear @ shift[:, :, None]), dim=2)

    def _grey_values_(self, frames: Tensor, draws: Tensor) -> Tensor:
        """Gamma, then gain, in place; frames (clips, channels x frames, height, width)."""
        if self.config.gamma:
            exponent = torch.exp(self.config.gamma * draws[:, GAMMA])
            frames.pow_(exponent[:, None, None, None])
        if self.config.gain:
            frames *= (1 + self.config.gain * draws[:, GAIN])[:, None, None, None]
        return frames

    def _noise(self, shape: torch.Size, step: int, first: int) -> Tensor:
        """Normal noise for every pixel of every frame, from a generator per clip; ``first`` is an index."""
        keys = [(NOISE_STREAM, self.seed, step, first + index) for index in range(shape[0])]
        return torch.stack([torch.randn(shape[1:], generator=seeded_generator(*key)) for key in keys])


def seeded_generator(*key: int) -> torch.Generator:
    """A CPU generator that depends on all numbers of ``key`` and on nothing else."""
    (seed,) = np.random.SeedSequence(key).generate_state(1)
    return torch.Generator().manual_seed(int(seed))


def _resample(frames: Tensor, theta: Tensor) -> Tensor:
    """Bilinear resampling, black outside; frames (clips, c, height, width), theta (clips, 2, 3)."""
    grid = F.affine_grid(theta, list(frames.shape), align_corners=False)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
