"""Occlusion: how far the score falls when a block of space and time is taken out of the clip."""

from collections.abc import Iterator
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.config.saliency import OcclusionSettings
from echossl.saliency.methods.baseline import baseline
from echossl.saliency.methods.score import Score, to_clip_size

Block = tuple[slice, slice, slice]
# small networks take half the time per clip in batches; large clips fit into memory still
BLOCKS_PER_PASS = 8


def blocks(size: tuple[int, int, int], settings: OcclusionSettings) -> Iterator[Block]:
    """The blocks that tile frames, height and width; as many as asked for, or one per cell."""
    parts = (settings.stretches, settings.squares, settings.squares)
    edges = [_edges(length, min(length, count)) for length, count in zip(size, parts, strict=True)]
    for corners in product(*(list(pairwise(own)) for own in edges)):
        times, rows, columns = (slice(*ends) for ends in corners)
        yield times, rows, columns


def _edges(length: int, parts: int) -> list[int]:
    return [round(length * part / parts) for part in range(parts + 1)]


def occlusion(score: Score, clips: Tensor, settings: OcclusionSettings) -> Tensor:
    """After Zeiler and Fergus, arXiv 1311.2901, in space and time; no gradient is needed.

    Args:
        score: with the layer; ``input`` takes pixels out, another layer its cells.
        clips: (batch, channels, frames, height, width) in 0..1.
        settings: number of blocks, and what takes the place of one.

    Returns:
        (batch, frames, height, width) float32: the fall of the logit without the block that a place is in; 0
        where it rises.
    """
    cells = score.cells(clips)
    empty = score.cells(baseline(clips, settings.baseline))
    whole = score.of(clips)
    falls = torch.zeros(cells.shape[0], *cells.shape[2:], device=cells.device)
    times, rows, columns = cells.shape[2:]
    every = list(blocks((times, rows, columns), settings))
    for start in range(0, len(every), BLOCKS_PER_PASS):
        own = every[start : start + BLOCKS_PER_PASS]
        without = torch.stack([cells] * len(own))  # (blocks, batch, channels, frames', height', width')
        for one, block in zip(without, own, strict=True):
            one[:, :, *block] = empty[:, :, *block]
        scores = score.of_cells(clips.repeat(len(own), 1, 1, 1, 1), without.flatten(0, 1))
        for block, found in zip(own, scores.reshape(len(own), -1), strict=True):
            falls[:, *block] = (whole - found)[:, None, None, None]
    return to_clip_size(F.relu(falls), clips)
