"""Gaussian blur with a width per clip, as a sum of shifted pictures.

No convolution or matrix product: their rounding depends on the device's settings and on how many clips are
processed at once, a sum in a fixed order does not.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# below this many pixels the weights beside the middle are nothing
LEAST_DEVIATION_PIXELS = 1e-2


def gaussian_blur(frames: Tensor, deviations: Tensor, *, most: float) -> Tensor:
    """Blur every clip.

    Args:
        frames: (clips, c, height, width).
        deviations: (clips,) standard deviations in pixels, at most ``most``.
        most: the largest deviation that is ever drawn; decides how far the sum reaches.

    Returns:
        The same shape; the picture's edge pixels are repeated beyond it.
    """
    weights = gaussian_weights(deviations, math.ceil(3 * most))
    return shifted_sum(shifted_sum(frames, weights, -1, "replicate"), weights, -2, "replicate")


def gaussian_weights(deviations: Tensor, radius: int) -> Tensor:
    """(clips, 2 x radius + 1) weights that add up to one, for (clips,) deviations in pixels."""
    offsets = torch.arange(-radius, radius + 1, device=deviations.device)
    scaled = offsets / deviations.clamp(min=LEAST_DEVIATION_PIXELS)[:, None]
    weights = torch.exp(-0.5 * scaled.square())
    return weights / weights.sum(dim=1, keepdim=True)


def shifted_sum(frames: Tensor, weights: Tensor, dim: int, beyond: str) -> Tensor:
    """Filter along one dimension.

    Args:
        frames: (clips, c, height, width).
        weights: (clips, 2 x radius + 1), the same backwards.
        dim: -1 along the rows, -2 along the columns.
        beyond: what lies beyond the edge, as ``torch.nn.functional.pad`` names it.

    Returns:
        The same shape.
    """
    radius, side = weights.shape[1] // 2, frames.shape[dim]
    padding = (radius, radius, 0, 0) if dim == -1 else (0, 0, radius, radius)
    padded = F.pad(frames, padding, mode=beyond)
    out = torch.zeros_like(frames)
    for offset in range(2 * radius + 1):
        out.addcmul_(padded.narrow(dim, offset, side), weights[:, offset, None, None, None])
    return out
