"""Saliency as a person looks at it: a film with colours over the grey picture, and a strip of stills."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from echossl.files import atomic_path
from echossl.saliency.captions import with_notes

SMALLEST_SIDE_PIXELS = 240
REGION_COLOUR = (60, 220, 255)
LEGEND_HEIGHT_PIXELS = 36
NARROWEST_WITH_REGION = 350
TITLE_HEIGHT_PIXELS = 24
LARGEST = "largest"
# of the colour where saliency is largest; walls must still be seen below it
OPACITY = 0.5


def colours(saliency: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The inferno colour map: (...) in 0..1 becomes (..., 3) red, green, blue."""
    steps = np.clip(np.rint(np.asarray(saliency) * 255), 0, 255).astype(np.uint8)
    picture: NDArray[np.uint8] = _inferno()[steps]
    return picture


def overlay(
    frames: NDArray[np.uint8],
    saliency: NDArray[np.floating],
    *,
    region: NDArray[np.bool_] | None = None,
    smallest_side: int = SMALLEST_SIDE_PIXELS,
) -> NDArray[np.uint8]:
    """Lay the colours over the grey frames, the stronger the saliency the less of the picture is left.

    Args:
        frames: (frames, height, width) grey.
        saliency: (frames, height, width) in 0..1.
        region: (frames, height, width); its outline is drawn.
        smallest_side: pixels.

    Returns:
        (frames, height x factor, width x factor, 3), the factor being the smallest whole number that makes
        both sides at least that many pixels (and even, as H.264 wants them). Where saliency is 0 the picture
        is the untouched grey one.
    """
    factor = _factor(frames.shape[-2:], smallest_side)
    grey = np.repeat(_enlarge(frames, factor)[..., None], 3, axis=-1)
    # the smooth map is enlarged smoothly, the picture is not: its pixels are the data
    smooth = np.stack([_enlarge_smoothly(one, factor) for one in saliency])
    opacity = (OPACITY * smooth)[..., None]
    mixed = np.rint((1 - opacity) * grey + opacity * colours(smooth)).astype(np.uint8)
    return mixed if region is None else _outlined(mixed, region, factor)


def strip(
    frames: NDArray[np.uint8],
    saliency: NDArray[np.floating],
    *,
    region: NDArray[np.bool_] | None = None,
    columns: int = 8,
    top: str = LARGEST,
    notes: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """Stills spread over the clip, raw above overlay, with a legend below.

    Args:
        frames: (frames, height, width) grey.
        saliency: (frames, height, width) in 0..1.
        region: (frames, height, width); its outline is drawn over the saliency, never over the raw picture.
        columns: number of stills, first and last frame included.
        top: what 1 means.
        notes: a line below each frame, such as its time.

    Returns:
        (picture height, picture width, 3).
    """
    chosen = _spread(len(frames), columns)
    below = overlay(frames[chosen], saliency[chosen], region=None if region is None else region[chosen])
    below = with_notes(below, [notes[place] for place in chosen]) if notes else below
    raw = _raw(frames[chosen])
    rows = [np.concatenate(list(pictures), axis=1) for pictures in (raw, below)]
    return np.concatenate([*rows, legend(rows[0].shape[1], with_region=region is not None, top=top)], axis=0)


def strips(
    frames: NDArray[np.uint8],
    maps: Mapping[str, NDArray[np.floating]],
    *,
    region: NDArray[np.bool_] | None = None,
    columns: int = 8,
    notes: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """One row of stills per map under the raw ones, each with its name.

    Args:
        frames: (frames, height, width) grey.
        maps: (frames, height, width) in 0..1 by name.
        region: (frames, height, width); its outline is drawn over the saliency.
        columns: number of stills, first and last frame included.
        notes: a line below each raw frame, such as its time.

    Returns:
        (picture height, picture width, 3).
    """
    chosen = _spread(len(frames), columns)
    inside = None if region is None else region[chosen]
    raw = _raw(frames[chosen])
    raw = with_notes(raw, [notes[place] for place in chosen]) if notes else raw
    rows = [raw, *(overlay(frames[chosen], one[chosen], region=inside) for one in maps.values())]
    lines = []
    for name, pictures in zip(["", *maps], rows, strict=True):
        line = np.concatenate(list(pictures), axis=1)
        lines += [_title(name, line.shape[1]), line] if name else [line]
    return np.concatenate([*lines, legend(lines[0].shape[1], with_region=region is not None)], axis=0)


def _spread(count: int, columns: int) -> NDArray[np.intp]:
    return np.linspace(0, count - 1, min(columns, count)).round().astype(np.intp)


def _raw(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = _factor(frames.shape[-2:], SMALLEST_SIDE_PIXELS)
    return np.repeat(_enlarge(frames, factor)[..., None], 3, axis=-1)


def _title(name: str, width: int) -> NDArray[np.uint8]:
    canvas = Image.new("RGB", (width, TITLE_HEIGHT_PIXELS))
    ImageDraw.Draw(canvas).text((8, 3), name, fill="white", font=ImageFont.load_default(size=14))
    return np.asarray(canvas)


def legend(width: int, *, with_region: bool, top: str = LARGEST) -> NDArray[np.uint8]:
    """What the colours mean: (36, width, 3)."""
    bar = 120
    canvas = Image.new("RGB", (max(width, 240), LEGEND_HEIGHT_PIXELS))
    ramp = colours(np.tile(np.linspace(0, 1, bar), (12, 1)))
    canvas.paste(Image.fromarray(ramp), (24, 12))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=14)
    draw.text((8, 9), "0", fill="white", font=font)
    draw.text((24 + bar + 6, 9), f"1 = {top}", fill="white", font=font)
    if with_region and width >= NARROWEST_WITH_REGION:
        start = 40 + bar + round(draw.textlength(f"1 = {top}", font=font))
        draw.line((start, 18, start + 24, 18), fill=REGION_COLOUR, width=3)
        draw.text((start + 30, 9), "region", fill="white", font=font)
    return np.asarray(canvas)[:, :width]


def with_legend(pictures: NDArray[np.uint8], *, with_region: bool, top: str = LARGEST) -> NDArray[np.uint8]:
    """The same legend below every picture: (frames, height, width, 3) gets 36 rows more."""
    one = legend(pictures.shape[2], with_region=with_region, top=top)
    return np.concatenate([pictures, np.repeat(one[None], len(pictures), axis=0)], axis=1)


def write_png(picture: NDArray[np.uint8], path: Path) -> None:
    """Write (height, width, 3) as a PNG file, whole or not at all."""
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def write_mp4(pictures: NDArray[np.uint8], path: Path, *, frames_per_second: float) -> None:
    """Write (frames, height, width, 3) as an H.264 film that every browser plays (yuv420p, even sides).

    Args:
        pictures: at least one picture; an odd last row or column is repeated.
        path: the .mp4 file, whole or not at all.
        frames_per_second: of the film; the clip's own rate shows it in real time.
    """
    odd = [(0, side % 2) for side in pictures.shape[1:3]]
    even = np.pad(pictures, [(0, 0), *odd, (0, 0)], mode="edge")
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as film:
        rate = Fraction(frames_per_second).limit_denominator(1000)
        stream = film.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.height, stream.width = even.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in even:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode(None))


def write_gif(pictures: NDArray[np.uint8], path: Path, *, frames_per_second: float) -> None:
    """Write (frames, height, width, 3) as a GIF that repeats, for slides; its rate is in whole 1/100 s."""
    palette = [Image.fromarray(picture).quantize(128, dither=Image.Dither.NONE) for picture in pictures]
    milliseconds = 10 * max(2, round(100 / frames_per_second))
    with atomic_path(path) as temporary:
        first, *rest = palette
        first.save(temporary, format="GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)


def _factor(sides: tuple[int, ...], smallest: int) -> int:
    factor = -(-smallest // min(sides))
    odd = any(side % 2 for side in sides)
    return factor + 1 if odd and factor % 2 else factor


def _enlarge(frames: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    return frames.repeat(factor, axis=-2).repeat(factor, axis=-1)


def _enlarge_smoothly(one: NDArray[np.floating], factor: int) -> NDArray[np.float32]:
    # grid_mode aligns pixel areas rather than centres, so that map and picture stay on top of each other
    smooth = ndimage.zoom(one.astype(np.float32), factor, order=1, mode="nearest", grid_mode=True)
    return np.clip(smooth, 0, 1)


def _outlined(pictures: NDArray[np.uint8], region: NDArray[np.bool_], factor: int) -> NDArray[np.uint8]:
    drawn = pictures.copy()
    for picture, inside in zip(drawn, region.repeat(factor, axis=1).repeat(factor, axis=2), strict=True):
        picture[inside & ~ndimage.binary_erosion(inside, iterations=2)] = REGION_COLOUR
    return drawn


@cache
def _inferno() -> NDArray[np.uint8]:
    from matplotlib import colormaps

    table: NDArray[np.uint8] = (colormaps["inferno"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    return table
