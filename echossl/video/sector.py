"""The ultrasound sector: the part of the picture that moves like tissue; text, scales and ECG lie outside."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from echossl.video.sampling import spread_indices
from echossl.video.tissue import Mask, Outline, fill, find_tissue, hull_outline, shrink

Grey = npt.NDArray[np.uint8]

# the search works on pictures of about this many pixels along the longer side, whatever the video's size
SEARCH_PIXELS = 256
MOST_FRAMES = 32
LEAST_CORNERS = 3
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
        outline: (x, y) corners of the mask, from which ``sector_from_outline`` makes it again; empty where
            the sector is the whole frame.
    """

    mask: Mask
    top: int
    left: int
    height: int
    width: int
    outline: Outline = ()


@dataclass(frozen=True)
class Placement:
    """A window of a frame that shows a square of the body, and the size that it is resized to.

    Attributes:
        top: first row of the window in the frame; may be negative.
        left: first column of the window; may be negative.
        height: rows of the window; it may stick out of the frame, which counts as black.
        width: columns of the window; as many as rows where pixels are square.
        source_height: rows of the frame.
        source_width: columns of the frame.
        size: rows and columns after resizing.
    """

    top: int
    left: int
    height: int
    width: int
    source_height: int
    source_width: int
    size: int


def full_sector(height: int, width: int) -> Sector:
    """The whole frame as sector, for videos that were cropped before or are to be kept as they are."""
    return Sector(np.ones((height, width), dtype=np.bool_), 0, 0, height, width)


def sector_from_outline(outline: Outline, height: int, width: int) -> Sector:
    """The sector of which ``outline`` was kept.

    Args:
        outline: (x, y) corners in pixels of the frame, in order; empty for the whole frame.
        height: rows of the frame.
        width: columns of the frame.

    Raises:
        ValueError: if the outline has one or two corners, or none of it lies in the frame.
    """
    if not outline:
        return full_sector(height, width)
    if len(outline) < LEAST_CORNERS:
        raise ValueError(f"an outline of {len(outline)} corners encloses nothing")
    mask = fill(outline, height, width)
    if not mask.any():
        raise ValueError(f"the outline lies outside the frame of {height} x {width} pixels")
    return Sector(mask, *_box(mask), outline)


def search_indices(num_frames: int) -> list[int]:
    """The frames, spread over the whole video, that the sector is searched in."""
    return [int(index) for index in spread_indices(num_frames, MOST_FRAMES)]


def find_sector(frames: Grey) -> Sector:
    """Find the sector from frames spread over the whole video.

    What moves in most frames is found on small pictures; thin lines and small parts are dropped; fainter and
    static tissue that touches it is added; the convex hull of it all is the sector.

    A picture that was cut out of the screen before keeps the full frame: it reaches an edge, and no lettering
    or tick is outside it. So does one in which nothing is found.

    Args:
        frames: uint8 (n, height, width), grey; those of ``search_indices`` are looked at.
    """
    height, width = frames.shape[1:]
    spread = frames[search_indices(len(frames))]
    factor = max(1, round(max(height, width) / SEARCH_PIXELS))
    tissue = find_tissue(shrink(spread, factor), factor)
    if tissue is None:
        return full_sector(height, width)
    sector = sector_from_outline(hull_outline(tissue, factor, height, width), height, width)
    bottom, right = sector.top + sector.height, sector.left + sector.width
    margin = min(sector.top, sector.left, height - bottom, width - right)
    if margin <= CUT_OUT_MARGIN * max(height, width) and not _has_marks(spread.mean(axis=0), sector.mask):
        return full_sector(height, width)
    return sector


def placement(sector: Sector, size: int, *, pixel_aspect: float = 1.0) -> Placement:
    """The square around the sector's box, centred on it, so that what is shown keeps its aspect.

    Args:
        sector: from ``find_sector`` or ``full_sector``.
        size: height and width of a placed frame in pixels.
        pixel_aspect: height of a source pixel divided by its width; the window is square in cm.

    Raises:
        ValueError: if the aspect is not a number above 0.
    """
    if not 0 < pixel_aspect < np.inf:
        raise ValueError(f"pixel_aspect is {pixel_aspect}, expected a number above 0")
    window_height = max(sector.height, round(sector.width / pixel_aspect))
    window_width = max(sector.width, round(sector.height * pixel_aspect))
    height, width = sector.mask.shape
    return Placement(
        top=sector.top - (window_height - sector.height) // 2,
        left=sector.left - (window_width - sector.width) // 2,
        height=window_height,
        width=window_width,
        source_height=height,
        source_width=width,
        size=size,
    )


def place(frames: Grey, placement: Placement) -> Grey:
    """Cut the placement's window out of frames and resize it, with averaging where it gets smaller.

    Args:
        frames: uint8 (n, source height, source width); blank what lies outside the sector before.
        placement: which window, and to what size. What sticks out of the frame is black.

    Returns:
        uint8 (n, size, size).

    Raises:
        ValueError: if the frames do not have the placement's source size.
    """
    source = (placement.source_height, placement.source_width)
    if frames.shape[1:] != source:
        raise ValueError(f"frames have {frames.shape[1:]} pixels, the placement is for {source}")
    size = placement.size
    bottom, right = placement.top + placement.height, placement.left + placement.width
    rows = slice(max(placement.top, 0), min(bottom, source[0]))
    columns = slice(max(placement.left, 0), min(right, source[1]))
    window = np.zeros((placement.height, placement.width), dtype=np.uint8)
    inside = window[
        rows.start - placement.top : rows.stop - placement.top,
        columns.start - placement.left : columns.stop - placement.left,
    ]
    placed = np.empty((len(frames), size, size), dtype=np.uint8)
    for frame, out in zip(frames, placed, strict=True):
        inside[...] = frame[rows, columns]
        # Pillow's bilinear filter widens with the scale: an average over the pixels that become one
        out[...] = np.asarray(Image.fromarray(window).resize((size, size), Image.Resampling.BILINEAR))
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
