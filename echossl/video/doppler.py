"""Colour Doppler: flow painted in red, yellow, blue and cyan over the grey picture."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Colours = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# largest minus smallest of red, green and blue; lossy coding of grey stays far below
LEAST_CHROMA = 48
# colour bleeds over a pixel or two, because lossy coding halves its resolution
BLEED = 2
LEAST_SHARE = 0.002


@dataclass(frozen=True)
class DopplerFound:
    """Whether a video shows colour Doppler.

    Attributes:
        is_doppler: whether it does.
        share: mean share of the lit pixels that are painted, 0..1.
    """

    is_doppler: bool
    share: float


def find_doppler(frames: Colours) -> DopplerFound:
    """Look for colour Doppler.

    Args:
        frames: uint8 (n, height, width, 3), RGB; blank what lies outside the sector before.
    """
    painted = np.stack([_painted(frame) for frame in frames])
    lit = max(1, int((frames.max(axis=-1) > 0).sum()))
    share = float(painted.sum()) / lit
    return DopplerFound(share >= LEAST_SHARE, share)


def blank_doppler(frames: Colours) -> Colours:
    """Set painted pixels, and those around that their colour bleeds into, to black; each frame by itself.

    Args:
        frames: uint8 (n, height, width, 3), RGB.
    """
    blanked = frames.copy()
    for frame in blanked:
        frame[ndimage.binary_dilation(_painted(frame), iterations=BLEED)] = 0
    return blanked


def _painted(frame: Colours) -> Mask:
    painted: Mask = frame.max(axis=-1).astype(np.int16) - frame.min(axis=-1) >= LEAST_CHROMA
    return painted
