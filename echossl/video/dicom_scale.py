"""The size of a pixel of a DICOM picture, from the ultrasound regions or the spacings it states."""

import math
from collections.abc import Iterator
from typing import Any

from echossl.video.dicom_header import READING_ERRORS, value_of

SCALE_TAGS = ("SequenceOfUltrasoundRegions", "PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing")
TWO_DIMENSIONAL = 1  # Region Spatial Format, PS3.3 C.8.5.5.1.1
TISSUE, COLOUR_FLOW = 1, 2  # Region Data Type, PS3.3 C.8.5.5.1.2
CENTIMETRES = 3  # Physical Units, PS3.3 C.8.5.5.1.15
# an ultrasound picture is neither a hair nor a room high
PICTURE_CM = (0.5, 40.0)
LARGEST_ASPECT = 4.0
# some makers count the last row and column from 1, or round
MARGIN_PIXELS = 2


def pixel_scale(tags: Any, height: int, width: int) -> tuple[float | None, float]:
    """Height of a pixel in cm, and its height divided by its width.

    Trust: the first two-dimensional ultrasound region in centimetres, tissue before colour flow, if it lies
    within the picture (it does not where somebody changed the picture's size and kept the header); Pixel
    Aspect Ratio (vertical, horizontal); Pixel Spacing and Imager Pixel Spacing (rows, columns; mm).

    Args:
        tags: the data set (only the elements of ``SCALE_TAGS`` are read).
        height: rows of the picture.
        width: columns of the picture.

    Returns:
        None where nothing plausible is stated (a picture of 0.5 to 40 cm), and 1.0 (pixels of at most four
        times the height or width of the other side).
    """
    stated = list(_stated(tags, height, width))
    lowest, highest = PICTURE_CM
    heights = [cm for cm, _ in stated if cm is not None and lowest <= cm * height <= highest]
    aspects = [aspect for _, aspect in stated if aspect and 1 / LARGEST_ASPECT <= aspect <= LARGEST_ASPECT]
    return heights[0] if heights else None, aspects[0] if aspects else 1.0


def _stated(tags: Any, height: int, width: int) -> Iterator[tuple[float | None, float | None]]:
    """Height of a pixel in cm and its aspect as far as stated, in order of trust."""
    region = _region(tags, height, width)
    if region is not None:
        pixel_height, pixel_width = region
        yield pixel_height, pixel_height / pixel_width
    for keyword, cm_per_unit in (
        ("PixelAspectRatio", None),
        ("PixelSpacing", 0.1),
        ("ImagerPixelSpacing", 0.1),
    ):
        pair = _numbers(value_of(tags, keyword))
        if len(pair) == 2 and min(pair) > 0:
            yield pair[0] * cm_per_unit if cm_per_unit else None, pair[0] / pair[1]


def _region(tags: Any, height: int, width: int) -> tuple[float, float] | None:
    """Height and width in cm of a pixel of the first region that tells both."""
    regions = value_of(tags, "SequenceOfUltrasoundRegions")
    found = []
    try:
        for region in regions or ():
            kind = region.get("RegionDataType")
            size = _numbers([region.get("PhysicalDeltaY"), region.get("PhysicalDeltaX")])
            if (
                region.get("RegionSpatialFormat") == TWO_DIMENSIONAL
                and kind in {TISSUE, COLOUR_FLOW}
                and region.get("PhysicalUnitsYDirection") == CENTIMETRES
                and region.get("PhysicalUnitsXDirection") == CENTIMETRES
                and len(size) == 2
                and 0 not in size
                and _is_within(region, height, width)
            ):
                found.append((kind, abs(size[0]), abs(size[1])))
    except READING_ERRORS:
        return None
    # sorted keeps the file's order within a kind
    best = sorted(found, key=lambda entry: entry[0])
    return best[0][1:] if best else None


def _is_within(region: Any, height: int, width: int) -> bool:
    right, bottom = region.get("RegionLocationMaxX1"), region.get("RegionLocationMaxY1")
    return (right or 0) < width + MARGIN_PIXELS and (bottom or 0) < height + MARGIN_PIXELS


def _numbers(values: Any) -> list[float]:
    """The values as finite numbers; empty if one is none."""
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        return []
    return found if all(map(math.isfinite, found)) else []
