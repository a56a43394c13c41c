"""Films and stills of the gallery, made small enough to lie inside the page: MP4 with a poster, JPEG."""

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from echossl.errors import UserError

POSTER_QUALITY = 70
STRIP_QUALITY = 78
WIDEST_STRIP_PIXELS = 1440
# H.264 quality and size of each try; the first is what the film was written with, or nearly
TRIES = ((23, 1.0), (28, 1.0), (30, 0.75), (32, 0.5))


@dataclass(frozen=True)
class Film:
    """A film of the page.

    Attributes:
        content: MP4; empty where it could not be made small enough.
        poster: JPEG of its middle picture, as large as the film.
    """

    content: bytes
    poster: bytes


def small_film(film: Path | bytes, *, most_bytes: int) -> Film:
    """A film of at most so many bytes: as it is, or encoded again, or none at all.

    Args:
        film: MP4, a file or its bytes.
        most_bytes: its largest size; the poster comes on top.

    Raises:
        UserError: if the file is not there or is no film.
    """
    content = content_of(film)
    try:
        pictures, rate = _decoded(content)
    except av.error.FFmpegError as error:
        name = film if isinstance(film, Path) else "film"
        raise UserError(f"{name}: not a film that can be read ({error}); make it again") from error
    poster = _jpeg(pictures[len(pictures) // 2], POSTER_QUALITY)
    if len(content) <= most_bytes:
        return Film(content, poster)
    for crf, scale in TRIES:
        again = _encoded(pictures, rate, crf=crf, scale=scale)
        if len(again) <= most_bytes:
            return Film(again, poster)
    return Film(b"", poster)


def small_strip(strip: Path | bytes) -> bytes:
    """Stills as a JPEG of at most 1440 pixels in width.

    Raises:
        UserError: if the file is not there.
    """
    with Image.open(io.BytesIO(content_of(strip))) as opened:
        picture = opened.convert("RGB")
    if picture.width > WIDEST_STRIP_PIXELS:
        height = round(picture.height * WIDEST_STRIP_PIXELS / picture.width)
        picture = picture.resize((WIDEST_STRIP_PIXELS, height), Image.Resampling.LANCZOS)
    return _jpeg(picture, STRIP_QUALITY)


def content_of(file: Path | bytes) -> bytes:
    """The bytes of a file that may be bytes already.

    Raises:
        UserError: if the file is not there.
    """
    if isinstance(file, bytes):
        return file
    if not file.is_file():
        raise UserError(f"{file}: no such file; make the pictures of the page first")
    return file.read_bytes()


def _decoded(content: bytes) -> tuple[list[Image.Image], Fraction]:
    with av.open(io.BytesIO(content), "r", format="mp4") as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or Fraction(25)
        return [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)], rate


def _encoded(pictures: list[Image.Image], rate: Fraction, *, crf: int, scale: float) -> bytes:
    """H.264 that every browser plays; sides are even."""
    width, height = (2 * round(side * scale / 2) for side in pictures[0].size)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            sized = np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
            film.mux(stream.encode(av.VideoFrame.from_ndarray(sized, format="rgb24")))
        film.mux(stream.encode(None))
    return buffer.getvalue()


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
