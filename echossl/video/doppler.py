"""Colour Doppler: flow painted in red, yellow, blue and cyan over the picture of the tissue."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Colours = npt.NDArray[np.uint8]
Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# grey levels between a pixel's colour and that of tissue as bright as it; lossy coding stays well below
LEAST_CHROMA = 45
# a tinted picture has one colour for each brightness, and beside flow there is tissue as bright as it: the
# tint is the colour of the least coloured of the pixels of a brightness
TINT_QUANTILE = 0.2
LEVELS_PER_BIN = 16
TINT_PIXELS = 400
# a tint varies with the brightness by up to this share of it
MORE_TINT = 0.35
# what is thinner than this share of the picture is lettering, a trace or a frame around the region
THIN = 0.006
# what is darker than this is black
LEAST_LIT = 23
# painted share of what is lit in a frame that shows flow
LEAST_SHARE = 0.003
# share of the frames that show it; a flash in one of many is an artefact
LEAST_FRAMES_SHARE = 0.15
# a colour bar or logo rests; with fewer different frames that cannot be told
LEAST_DIFFERENT = 4
# mean grey levels between frames that differ
LEAST_STEP = 0.1
# colour bleeds over a pixel or two, because lossy coding halves its resolution
BLEED_PIXELS = 2


@dataclass(frozen=True)
class DopplerFound:
    """Whether a video shows colour Doppler.

    Attributes:
        is_doppler: whether it does.
        share: mean share of the lit pixels that are painted, 0..1.
        frames_share: share of the frames that show it, 0..1.
    """

    is_doppler: bool
    share: float
    frames_share: float


def find_doppler(frames: Colours) -> DopplerFound:
    """Look for areas whose colour is not that of tissue as bright, and that come and go.

    A tint of the whole picture is no flow, nor is what is thin or never changes.

    Args:
        frames: uint8 (n, height, width, 3), RGB, spread over a video; what lies outside the sector is black.
    """
    frames = _different(frames)
    painted = np.stack([_thick(painted_pixels(frame)) for frame in frames])
    if len(frames) >= LEAST_DIFFERENT:
        painted &= ~painted.all(axis=0)
    lit = np.maximum(1, (_brightest_and_darkest(frames)[0] >= LEAST_LIT).sum(axis=(1, 2)))
    shares = painted.sum(axis=(1, 2)) / lit
    share, frames_share = float(shares.mean()), float((shares >= LEAST_SHARE).mean())
    return DopplerFound(frames_share >= LEAST_FRAMES_SHARE, share, frames_share)


def blank_doppler(frames: Colours) -> Colours:
    """Set painted pixels, and those around that their colour bleeds into, to black; tissue stays as it is.

    Each frame is treated by itself. The frame around the region and coloured marks go too.

    Args:
        frames: uint8 (n, height, width, 3), RGB, of a video that shows colour Doppler.

    Returns:
        A copy, uint8 (n, height, width, 3).
    """
    blanked = frames.copy()
    for frame in blanked:
        frame[ndimage.binary_dilation(painted_pixels(frame), iterations=BLEED_PIXELS)] = 0
    return blanked


def painted_pixels(frame: Colours) -> Mask:
    """Where the colour of a frame (height, width, 3) is not that of its tissue, (height, width)."""
    brightness, darkest = _brightest_and_darkest(frame)
    painted: Mask = brightness - darkest >= LEAST_CHROMA
    if painted.any():
        # every so many pixels are enough to learn the tint from
        step = -(-max(painted.shape) // TINT_PIXELS)
        tints = _tints(frame[::step, ::step])
        away = frame[painted] - tints[brightness[painted] // LEVELS_PER_BIN]
        painted[painted] = away.max(axis=-1) - away.min(axis=-1) >= LEAST_CHROMA
    return painted


def _tints(frame: Colours) -> npt.NDArray[np.float64]:
    """Colour of tissue, less its grey, at each level of brightness: (levels, 3), at most 0."""
    brightness, darkest = _brightest_and_darkest(frame)
    chroma = brightness - darkest
    levels = brightness // LEVELS_PER_BIN
    tints = np.zeros((256 // LEVELS_PER_BIN, 3))
    # a level of which flow is nearly all must not pass for tinted tissue
    most_share = _pale_share(brightness, chroma) + MORE_TINT
    for level in np.unique(levels[brightness >= LEAST_CHROMA]):
        here = levels == level
        tint = _tint(frame[here], chroma[here])
        if -tint.min() <= most_share * (level + 0.5) * LEVELS_PER_BIN:
            tints[level] = tint
    return tints


def _brightest_and_darkest(colours: Colours) -> tuple[Grey, Grey]:
    """Largest and smallest of red, green and blue; numpy reduces over three values slowly."""
    red, green, blue = np.moveaxis(colours, -1, 0)
    return np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)


def _pale_share(brightness: Grey, chroma: Grey) -> float:
    """Chroma as a share of the brightness, 0..1, of the least coloured lit pixels."""
    is_lit = brightness >= LEAST_CHROMA
    return float(np.quantile(chroma[is_lit] / brightness[is_lit], TINT_QUANTILE)) if is_lit.any() else 0.0


def _tint(colours: Colours, chroma: Grey) -> npt.NDArray[np.float64]:
    """Colour of tissue, (3,), less its grey, out of pixels (n, 3) that are equally bright."""
    pale = chroma <= np.quantile(chroma, TINT_QUANTILE)
    tint: npt.NDArray[np.float64] = np.median(colours[pale], axis=0)
    tint -= tint.max()
    return tint


def _thick(painted: Mask) -> Mask:
    """Without what is thin."""
    if not painted.any():
        return painted
    radius = max(1, round(THIN * max(painted.shape) / 2))
    core = np.ones((2 * radius + 1, 2 * radius + 1), dtype=np.bool_)
    opened: Mask = ndimage.binary_opening(painted, core)
    return opened


def _different(frames: Colours) -> Colours:
    """The frames that are not the same as the one before."""
    return frames[[True, *(_step(before, after) > LEAST_STEP for before, after in pairwise(frames))]]


def _step(before: Colours, after: Colours) -> float:
    return float((np.maximum(before, after) - np.minimum(before, after)).mean())
