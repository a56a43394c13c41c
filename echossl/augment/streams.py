"""Random numbers of augmentation: a pure function of seed, step and the clip's number in the batch.

All are drawn on the CPU, so that every device, process and resumed run sees the same ones. Each effect has a
stream of its own: one that is switched on, or added later, changes nothing of the others.
"""

import numpy as np
import torch
from torch import Tensor

# columns of the first stream, one row per clip
SCALE, SHIFT_X, SHIFT_Y, ROTATION, GAMMA, GAIN = range(6)
NUM_DRAWS = 6
# first words of the random streams, so that no two uses share one
DRAW_STREAM, NOISE_STREAM, GRAIN_STREAM = 1, 2, 100
TIME_GAIN_KNOTS = 8
# first word of the stream and how many numbers a clip takes from it
EFFECTS = {
    "flip": (101, 1),
    "time_gain": (102, TIME_GAIN_KNOTS),
    "attenuation": (103, 1),
    "speckle": (104, 1),
    "shadow": (105, 4),
    "blur": (106, 1),
    "narrow": (107, 2),
    "crop": (108, 2),
}


def seed_of(*key: int) -> int:
    """A seed that depends on all numbers of ``key`` and on nothing else."""
    (seed,) = np.random.SeedSequence(key).generate_state(1)
    return int(seed)


def seeded_generator(*key: int) -> torch.Generator:
    """A CPU generator that depends on all numbers of ``key`` and on nothing else."""
    return torch.Generator().manual_seed(seed_of(*key))


def base_draws(seed: int, step: int, clips: range) -> Tensor:
    """Uniform numbers in -1..1 for zoom, shift, rotation, gamma and gain: (clips, 6)."""
    generator = seeded_generator(DRAW_STREAM, seed, step)
    return (torch.rand((clips.stop, NUM_DRAWS), generator=generator) * 2 - 1)[clips.start :]


def effect_draws(effect: str, seed: int, step: int, clips: range) -> Tensor:
    """Uniform numbers in 0..1 of one effect: (clips, numbers of ``EFFECTS``)."""
    stream, columns = EFFECTS[effect]
    generator = seeded_generator(stream, seed, step)
    return torch.rand((clips.stop, columns), generator=generator)[clips.start :]


def normal_pictures(stream: int, seed: int, step: int, clips: range, shape: torch.Size) -> Tensor:
    """Standard normal numbers from a generator per clip: (clips, *shape)."""
    keys = [(stream, seed, step, clip) for clip in clips]
    return torch.stack([torch.randn(shape, generator=seeded_generator(*key)) for key in keys])
