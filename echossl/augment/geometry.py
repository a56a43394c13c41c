"""Where an augmented pixel comes from: crop, zoom, rotation, shift, flip; and the sector that moves along."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.augment.streams import ROTATION, SCALE, SHIFT_X, SHIFT_Y
from echossl.config.training import AugmentConfig

# the sector's opening is measured where it is at least so deep: near the probe angles say nothing
LEAST_DEPTH_OF_OPENING = 0.5


@dataclass(frozen=True)
class Polar:
    """Where each pixel lies as seen from the probe, the middle of the picture's top edge.

    Attributes:
        depth: (height, width) distance from the probe in picture heights.
        angle: (height, width) radians, 0 straight down, positive to the right.
    """

    depth: Tensor
    angle: Tensor

    @classmethod
    def of(cls, sides: torch.Size, device: torch.device) -> "Polar":
        """Made on the CPU, so that every device sees the same numbers."""
        height, width = sides
        down = (torch.arange(height) + 0.5)[:, None] / height
        right = (torch.arange(width) + 0.5 - width / 2)[None, :] / height
        return cls(torch.hypot(right, down).to(device), torch.atan2(right, down).to(device))


def cropped(frames: Tensor, draws: Tensor, pixels: int) -> Tensor:
    """Pad every side with zeros and crop to the size from before, at a place of each clip's own.

    Args:
        frames: (clips, c, height, width).
        draws: (clips, 2) in 0..1 for rows and columns; each place is as likely.
        pixels: width of the padding.

    Returns:
        (clips, c, height, width), every value as it was.
    """
    height, width = frames.shape[-2:]
    padded = F.pad(frames, (pixels, pixels, pixels, pixels))
    tops, lefts = (draws * (2 * pixels + 1)).long().clamp(max=2 * pixels).T.tolist()
    return torch.stack(
        [
            clip[:, top : top + height, left : left + width]
            for clip, top, left in zip(padded, tops, lefts, strict=True)
        ]
    )


def affine(config: AugmentConfig, draws: Tensor, height: int, width: int) -> Tensor:
    """Maps from output to input places, in coordinates of -1..1 on either axis.

    The picture is zoomed and rotated (in pixels, so that one that is not square is not sheared) about its
    centre or the probe, then shifted by shares of half its width.

    Args:
        config: how strong.
        draws: (clips, 6) in -1..1.
        height: of the picture in pixels.
        width: of the picture in pixels.

    Returns:
        (clips, 2, 3).
    """
    zoom = 1 + config.scale * draws[:, SCALE]
    angle = math.radians(config.rotation_degrees) * draws[:, ROTATION]
    aspect = width / height
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    linear = torch.stack((cosine, sine / aspect, -sine * aspect, cosine), dim=1).view(-1, 2, 2)
    shift = config.shift * draws[:, [SHIFT_X, SHIFT_Y]] * torch.tensor([1.0, aspect])
    fixed = torch.tensor([0.0, -1.0 if config.rotation_about == "probe" else 0.0])
    return torch.cat((linear, fixed[:, None] - linear @ (shift + fixed)[:, :, None]), dim=2)


def flipped(theta: Tensor, is_flipped: Tensor) -> Tensor:
    """The same maps, of the mirrored input where ``is_flipped`` (clips,) says so: (clips, 2, 3)."""
    sign = torch.ones(len(theta), 2, 1)
    sign[is_flipped, 0] = -1
    return theta * sign


def resample(frames: Tensor, theta: Tensor) -> Tensor:
    """Bilinear resampling, black outside; frames (clips, c, height, width), theta (clips, 2, 3)."""
    grid = F.affine_grid(theta, list(frames.shape), align_corners=False)
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def sector_mask(frames: Tensor) -> Tensor:
    """Each clip's sector: what lies, in its row or its column, between pixels that are lit in some frame.

    Stored videos are black outside the sector, and a sector is convex.

    Args:
        frames: (clips, c, height, width).

    Returns:
        float 0 or 1, (clips, 1, height, width).
    """
    lit = frames.amax(dim=1, keepdim=True) > 0
    return (_between(lit, -1) | _between(lit, -2)).to(frames.dtype)


def _between(lit: Tensor, dim: int) -> Tensor:
    """True from the first to the last lit pixel along a dimension."""
    counts = lit.to(torch.int32).cumsum(dim)
    return (counts > 0) & ((counts < counts.amax(dim, keepdim=True)) | lit)


def narrowed(sector: Tensor, polar: Polar, shares: Tensor) -> Tensor:
    """Cut a share of its opening off either side of a sector.

    Args:
        sector: (clips, 1, height, width), 0 or 1.
        polar: where the pixels lie.
        shares: (clips, 2) of the opening, on the side of the smallest and of the largest angle.

    Returns:
        The narrower sector, (clips, 1, height, width).
    """
    is_measured = (sector > 0) & (polar.depth >= LEAST_DEPTH_OF_OPENING)
    quarter = math.pi / 2
    smallest = torch.where(is_measured, polar.angle, quarter).amin(dim=(1, 2, 3))
    largest = torch.where(is_measured, polar.angle, -quarter).amax(dim=(1, 2, 3))
    opening = largest - smallest
    low = (smallest + shares[:, 0] * opening)[:, None, None, None]
    high = (largest - shares[:, 1] * opening)[:, None, None, None]
    # a side of which nothing is cut stays as it is, also near the probe, where it may be wider
    is_kept = ((polar.angle >= low) | (low <= smallest[:, None, None, None])) & (
        (polar.angle <= high) | (high >= largest[:, None, None, None])
    )
    return sector * is_kept
