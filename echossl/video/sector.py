"""The ultrasound sector: the part of the picture that moves like tissue; text, scales and ECG lie outside."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from echossl.video.tissue import Mask, fill_hull, find_tissue, shrink

Grey = npt.NDArray[np.uint8]

# the search works on pictures of about this many pixels along the longer side, whatever the video's size
SEARCH_PIXELS = 256
MOST_FRAMES = 32
# lettering and lines are thinner than this share of the picture, and stand out by so many grey levels
THIN = 0.015
MARK_CONTRAST = 20
# a picture that reaches an edge of the frame within this share of its size may have been cut out before
CUT_OUT_MARGIN = 0.03


@dataclass(frozen=True)
class Sector:
    """Where the ultrasound picture is in a frame.

    Attributes:
        mask: bool (frame height, frame width), True inside the sector.
        top: first row of the mask's box.
        left: first column of the mask's box.
        height: rows of the box.
        width: columns of the box.
    """

    mask: Mask
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Placement:
    """A square window of a frame and the size that it is resized to.

    Attributes:
        top: first row of the window in the frame; may be negative.
        left: first column of the window; may be negative.
        side: rows and columns of the window; it may stick out of the frame, which counts as black.
        source_height: rows of the frame.
        source_width: columns of the frame.
        size: rows and columns after resizing.
    """

    top: int
    left: int
    side: int
    source_height: int
    source_width: int
    size: int


def full_sector(height: int, width: int) -> Sector:
    """The whole frame as sector, for videos that were cropped before or are to be kept as they are."""
    return Sector(np.ones((height, width), dtype=np.bool_), 0, 0, height, width)


def find_sector(frames: Grey) -> Sector:
    """Find the sector from frames spread over the whole video.

    What moves in most frames is found on small pictures; thin lines and small parts are dropped; fainter and
    static tissue that touches it is added; the convex hull of it all is the sector.

    A picture that was cut out of the screen before keeps the full frame: it reaches an edge, and no lettering
    or tick is outside it. So does one in which nothing is found.

    Args:
        frames: uint8 (n, height, width), grey.
    """
    height, width = frames.shape[1:]
    spread = frames[np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).astype(int)]
    factor = max(1, round(max(height, width) / SEARCH_PIXELS))
    tissue = find_tissue(shrink(spread, factor), factor)
    if tissue is None:
        return full_sector(height, width)
    mask = fill_hull(tissue, factor, height, width)
    top, left, box_height, box_width = _box(mask)
    margin = min(top, left, height - top - box_height, width - left - box_width)
    if margin <= CUT_OUT_MARGIN * max(height, width) and not _has_marks(spread.mean(axis=0), mask):
        return full_sector(height, width)
    return Sector(mask, top, left, box_height, box_width)


def placement(sector: Sector, size: int) -> Placement:
    """The square around the sector's box, centred on it, so that the picture keeps its aspect.

    Args:
        sector: from ``find_sector`` or ``full_sector``.
        size: height and width of a placed frame in pixels.
    """
    side = max(sector.height, sector.width)
    height, width = sector.mask.shape
    return Placement(
        top=sector.top - (side - sector.height) // 2,
        left=sector.left - (side - sector.width) // 2,
        side=side,
        source_height=height,
        source_width=width,
        size=size,
    )


def place(frames: Grey, placement: Placement) -> Grey:
    """Cut the placement's square out of frames and resize it, with averaging where it gets smaller.

    Args:
        frames: uint8 (n, source height, source width); blank what lies outside the sector before.
        placement: which square, and to what size. What sticks out of the frame is black.

    Returns:
        uint8 (n, size, size).

    Raises:
        ValueError: if the frames do not have the placement's source size.
    """
    source = (placement.source_height, placement.source_width)
    if frames.shape[1:] != source:
        raise ValueError(f"frames have {frames.shape[1:]} pixels, the placement is for {source}")
    side, size = placement.side, placement.size
    bottom, right = placement.top + side, placement.left + side
    rows = slice(max(placement.top, 0), min(bottom, source[0]))
    columns = slice(max(placement.left, 0), min(right, source[1]))
    square = np.zeros((side, side), dtype=np.uint8)
    inside = square[
        rows.start - placement.top : rows.stop - placement.top,
        columns.start - placement.left : columns.stop - placement.left,
    ]
    placed = np.empty((len(frames), size, size), dtype=np.uint8)
    for frame, out in zip(frames, placed, strict=True):
        inside[...] = frame[rows, columns]
        # Pillow's bilinear filter widens with the scale: an average over the pixels that become one
        out[...] = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))
    return placed


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """Top, left, height and width of the True part."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1


def _has_marks(mean: npt.NDArray[np.floating], mask: Mask) -> bool:
    """Whether thin bright things rest outside the sector (lettering, ticks, dots); speckle averages out."""
    size = 2 * max(2, round(max(mask.shape) * THIN / 2)) + 1
    is_mark = mean - ndimage.grey_opening(mean, size=(size, size)) > MARK_CONTRAST
    nearby = ndimage.maximum_filter(mask, size=size)
    return bool((is_mark & ~nearby).any())
