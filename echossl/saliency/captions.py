"""Words around pictures: whose they are, what was said of them, and when each frame was."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

LINE_HEIGHT_PIXELS = 20
LARGEST_FONT, SMALLEST_FONT = 14, 9
MARGIN_PIXELS = 6


def text_line(text: str, width: int) -> NDArray[np.uint8]:
    """One line of white words on black, (20, width, 3); smaller, then cut, if it is too long."""
    canvas = Image.new("RGB", (width, LINE_HEIGHT_PIXELS))
    draw = ImageDraw.Draw(canvas)
    room = width - 2 * MARGIN_PIXELS
    size = LARGEST_FONT
    while size > SMALLEST_FONT and _length(draw, text, size) > room:
        size -= 1
    shown = text
    while len(shown) > 1 and _length(draw, shown, size) > room:
        shown = shown.removesuffix("…")[:-1] + "…"
    place = (MARGIN_PIXELS, (LINE_HEIGHT_PIXELS - size) // 2 - 1)
    draw.text(place, shown, fill="white", font=ImageFont.load_default(size=size))
    return np.asarray(canvas)


def with_heading(pictures: NDArray[np.uint8], lines: Sequence[str]) -> NDArray[np.uint8]:
    """The same lines above every picture.

    Args:
        pictures: (..., height, width, 3).
        lines: from the top.

    Returns:
        (..., height + 20 per line, width, 3).
    """
    return _stacked([*(text_line(line, pictures.shape[-2]) for line in lines), pictures])


def with_notes(pictures: NDArray[np.uint8], notes: Sequence[str]) -> NDArray[np.uint8]:
    """A line of its own below every picture: (frames, height, width, 3) gets 20 rows more."""
    width = pictures.shape[2]
    return np.concatenate([pictures, np.stack([text_line(note, width) for note in notes])], axis=1)


def moments(seconds: NDArray[np.floating], phase: NDArray[np.floating] | None) -> list[str]:
    """When each frame was: in its video, and in the beat where that is known (0 % is the R wave)."""
    times = [f"{second:.2f} s" for second in seconds]
    if phase is None:
        return times
    return [f"{time}, {place:.0%} of the beat" for time, place in zip(times, phase, strict=True)]


def _stacked(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    *_, last = parts
    shapes = [(*last.shape[:-3], *part.shape[-3:]) for part in parts]
    return np.concatenate(
        [np.broadcast_to(part, shape) for part, shape in zip(parts, shapes, strict=True)], axis=-3
    )


def _length(draw: ImageDraw.ImageDraw, text: str, size: int) -> float:
    return draw.textlength(text, font=ImageFont.load_default(size=size))
