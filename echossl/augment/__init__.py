"""Clip augmentation on the device: one random draw per clip, the same for all its frames."""

from echossl.augment.pipeline import Augmentation, to_float
from echossl.augment.streams import DRAW_STREAM, seed_of, seeded_generator

__all__ = ["DRAW_STREAM", "Augmentation", "seed_of", "seeded_generator", "to_float"]
