"""Random draws of the objectives: a function of seed, step and an item's place in the whole batch."""

import torch
from torch import Tensor

from echossl.augment import seeded_generator
from echossl.objectives.gather import share_of_batch

# first words of the random streams, as in echossl.augment, so that no two uses share one
ORDER_STREAM, SEGMENT_STREAM, SPEED_STREAM, KEY_STREAM, RELATIVE_SPEED_STREAM = 3, 31, 32, 33, 34
MASK_STREAM = 35
MATCHING_STREAM, WORD_STREAM, GENERATION_STREAM = 41, 42, 43

__all__ = [
    "GENERATION_STREAM",
    "KEY_STREAM",
    "MASK_STREAM",
    "MATCHING_STREAM",
    "ORDER_STREAM",
    "RELATIVE_SPEED_STREAM",
    "SEGMENT_STREAM",
    "SPEED_STREAM",
    "WORD_STREAM",
    "draw_classes",
    "draw_numbers",
    "draw_shares",
    "generator",
]


def generator(stream: int, step: int, seed: int, *, use: int = 0) -> torch.Generator:
    """The random numbers of one use of a stream at a step."""
    return seeded_generator(stream, step, use, seed)


def draw_classes(num_classes: int, items: int, *, stream: int, step: int, seed: int = 0) -> Tensor:
    """One class for each item of this process: (items,) int64 in 0..num_classes-1, on the CPU."""
    total, own = share_of_batch(items)
    return torch.randint(num_classes, (total,), generator=generator(stream, step, seed))[own]


def draw_shares(items: int, *, stream: int, step: int, seed: int = 0) -> Tensor:
    """One number for each item of this process: (items,) float32, uniform in 0..1, on the CPU."""
    total, own = share_of_batch(items)
    return torch.rand(total, generator=generator(stream, step, seed, use=1))[own]


def draw_numbers(items: int, count: int, *, stream: int, step: int, seed: int = 0) -> Tensor:
    """Several numbers for each item of this process: (items, count) float32, uniform in 0..1, on the CPU."""
    total, own = share_of_batch(items)
    return torch.rand((total, count), generator=generator(stream, step, seed))[own]
