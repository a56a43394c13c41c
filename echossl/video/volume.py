"""Frames of volumes that lie in a file as plain numbers, x fastest, then y, then time; brought to 8 bits.

Values become grey levels by one rule for the whole video, so that no frame is brightened against another:

1. whole values within 0 to 255 stay as they are (8-bit pictures and label masks pass);
2. other values within 0 to 1.1 are fractions of white, times 255; interpolation makes some a little whiter;
3. other values within 0 to 255 that reach 16 stay as they are, rounded to whole levels (8-bit pictures that
   were interpolated; one that stays below is none that a person would have kept);
4. any other range is stretched: the lowest value becomes 0, the highest 255.

Values that are not finite are black (+infinity white).
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError
from echossl.video.limits import check_num_frames, check_picture_size, check_unpacked_size
from echossl.video.reader import VideoReader
from echossl.video.sampling import unknown_seconds

CHUNK_BYTES = 2**18
# unpacked frames beyond this lie in a temporary file
SPOOL_BYTES = 2**26
# height of a picture for which a spacing without a unit is taken for millimetres
PLAUSIBLE_HEIGHT_CM = (1.0, 50.0)
MOST_ASPECT = 10.0
# largest value of fractions of white, and smallest one of a picture in 8 bits that was interpolated
MOST_FRACTION, LEAST_WHITE = 1.1, 16.0


@dataclass(frozen=True)
class Layout:
    """Where the values of the frames lie in a file.

    Attributes:
        width: columns.
        height: rows.
        num_frames: frames.
        channels: 1 or 3, side by side for every pixel.
        dtype: type of a value, with its byte order.
        offset: bytes before the first value.
        slope: a stored number times this ...
        intercept: ... plus this is its value.
    """

    width: int
    height: int
    num_frames: int
    channels: int
    dtype: np.dtype[Any]
    offset: int
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame."""
        return self.width * self.height * self.channels * self.dtype.itemsize

    @property
    def is_bytes(self) -> bool:
        """Whether the stored numbers are grey levels already."""
        return self.dtype == np.uint8 and (self.slope, self.intercept) == (1.0, 0.0)


@dataclass(frozen=True)
class Levels:
    """Values to grey levels: ``(value - low) * gain``, rounded."""

    low: float
    gain: float

    @classmethod
    def of_range(cls, low: float, high: float, *, is_whole: bool) -> Self:
        """The rule of this module, for values from ``low`` to ``high``."""
        if low >= 0 and high <= 255 and (is_whole or high >= LEAST_WHITE):
            return cls(0.0, 1.0)
        if low >= 0 and high <= MOST_FRACTION:
            return cls(0.0, 255.0)
        return cls(low, 255 / (high - low) if high > low else 0.0)

    def of(self, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
        """Grey levels of values of any shape."""
        with np.errstate(all="ignore"):
            levels = np.rint((values - self.low) * self.gain)
        finite = np.nan_to_num(levels, nan=0, posinf=255, neginf=0)
        return np.asarray(np.clip(finite, 0, 255), dtype=np.uint8)


class VolumeReader(VideoReader):
    """A reader of frames that lie in a file as plain numbers; frames are read one at a time when asked for.

    They are read and not mapped into memory, as a mapped file that is cut meanwhile kills the process.

    Args:
        path: the file that the user named.
        file: the open file with the frames, which the reader closes.
        layout: where they lie.
        pixel_size: height of a pixel in cm or None, and height by width.
        step_seconds: time from frame to frame, or None if it is not known.
    """

    def __init__(
        self,
        path: Path,
        file: IO[bytes],
        layout: Layout,
        *,
        pixel_size: tuple[float | None, float],
        step_seconds: float | None = None,
    ) -> None:
        self.path, self._file, self._layout = path, file, layout
        self.num_frames, self.channels = layout.num_frames, layout.channels
        self.height, self.width = layout.height, layout.width
        self.cm_per_pixel, self.pixel_aspect = pixel_size
        self.fps = 1 / step_seconds if step_seconds else None
        times = np.arange(layout.num_frames, dtype=np.float64)
        self.frame_seconds = times * step_seconds if step_seconds else unknown_seconds(layout.num_frames)
        self._levels: Levels | None = None

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        layout = self._layout
        frames = np.empty((len(wanted), layout.height, layout.width, layout.channels), dtype=np.uint8)
        if not layout.is_bytes and self._levels is None:
            self._levels = self._find_levels()
        for frame in np.unique(wanted):
            stored = self._stored(int(frame))
            frames[wanted == frame] = self._levels.of(self._values(stored)) if self._levels else stored
        return frames

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _stored(self, frame: int) -> npt.NDArray[Any]:
        """The numbers of a frame as they are stored, (height, width, channels)."""
        layout = self._layout
        self._file.seek(layout.offset + frame * layout.frame_bytes)
        data = self._file.read(layout.frame_bytes)
        if len(data) < layout.frame_bytes:
            raise DecodeError(self.path, f"frame {frame} was cut off while the file was read; run again")
        return np.frombuffer(data, dtype=layout.dtype).reshape(layout.height, layout.width, layout.channels)

    def _values(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
        exact = np.result_type(stored.dtype, np.float32)
        with np.errstate(all="ignore"):
            values = stored.astype(exact)
            if (self._layout.slope, self._layout.intercept) != (1.0, 0.0):
                values = values * self._layout.slope + self._layout.intercept
        return values

    def _find_levels(self) -> Levels:
        """Go once through all frames for the range of their values."""
        low, high, is_whole = math.inf, -math.inf, True
        for frame in range(self.num_frames):
            values = self._values(self._stored(frame))
            finite = values[np.isfinite(values)]
            if finite.size:
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
                is_whole = is_whole and bool((finite == np.rint(finite)).all())
        return Levels.of_range(low, high, is_whole=is_whole) if low <= high else Levels(0.0, 0.0)


def frame_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Width, height and number of frames of a volume whose axes are x, y and time (or x, y, 1, time).

    A stack of slices cannot be told from frames where there are three axes; echo is written as frames.

    Raises:
        DecodeError: if there are slices as well as frames, or the picture is empty or too large.
    """
    axes = " x ".join(map(str, shape))
    if len(shape) < 2 or min(shape) < 1:
        raise DecodeError(path, f"holds no pictures (its axes are {axes or 'none'}); export it again")
    width, height, *rest = shape
    if sum(size > 1 for size in rest) > 1:
        raise DecodeError(
            path, f"has more than rows, columns and frames (its axes are {axes}); save one plane of it"
        )
    check_picture_size(path, height, width)
    num_frames = math.prod(rest)
    check_num_frames(path, num_frames)
    return width, height, num_frames


def pixel_size(spacing: tuple[float, float], *, cm: float | None, height: int) -> tuple[float | None, float]:
    """Height of a pixel in cm (None if unknown), and its height by its width.

    A spacing of exactly 1 both ways is what programs write that know none.

    Args:
        spacing: distance of columns (x) and of rows (y).
        cm: the unit in cm, or None if it is not stated: then millimetres, where that makes a picture of 1 to
            50 cm.
        height: rows of the picture.
    """
    across, down = spacing
    if not (0 < across < math.inf and 0 < down < math.inf and 1 / MOST_ASPECT < down / across < MOST_ASPECT):
        return None, 1.0
    if (across, down) == (1.0, 1.0):
        return None, 1.0
    low, high = PLAUSIBLE_HEIGHT_CM
    if cm is None and not low <= down * 0.1 * height <= high:
        return None, down / across
    return down * (0.1 if cm is None else cm), down / across


def unpacked(path: Path, chunks: Iterator[bytes], most_bytes: int) -> tuple[IO[bytes], int]:
    """Put unpacked bytes where they can be read from any place: in memory, or a temporary file if many.

    Args:
        path: the file they come from.
        chunks: the bytes, in pieces of bounded size.
        most_bytes: as many are needed; little more is unpacked.

    Returns:
        The open file, and how many bytes it holds.

    Raises:
        DecodeError: if ``most_bytes`` is above 1 GiB, or the packed data are damaged.
    """
    check_unpacked_size(path, most_bytes)
    # the reader closes it
    file = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115
    try:
        # one piece beyond shows gzip's end, where its checksum stands
        while file.tell() <= most_bytes and (chunk := next(chunks, b"")):
            file.write(chunk)
    except (OSError, EOFError, zlib.error) as error:
        file.close()
        reason = " ".join(str(error).split())
        raise DecodeError(
            path, f"is cut, or its packed data are damaged ({reason}); copy it again"
        ) from error
    return file, file.tell()
