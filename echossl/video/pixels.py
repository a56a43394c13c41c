"""Decoded pictures as arrays: RGB, or grey from luma alone, turned as a player shows them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from echossl.video.grey import to_grey

Picture = npt.NDArray[np.uint8]

# 8 bits of luma in a plane of its own
LUMA_FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuvj", "nv12", "nv21")
# numbers of ISO/IEC 23091-4: unspecified (which FFmpeg converts as BT.601), BT.470BG and SMPTE 170M (BT.601)
BT601_SPACES = frozenset({2, 5, 6})
BLACK, WHITE = 16, 235
# 255 / (WHITE - BLACK) in 256ths, and what rounds nearly as the fraction itself: their sums just fit 16 bits
STRETCH, ROUND = 298, 136


@dataclass(frozen=True)
class Turn:
    """How a player turns a stored picture: first rows and columns are swapped, then each may be reversed."""

    is_transposed: bool = False
    is_row_reversed: bool = False
    is_column_reversed: bool = False

    @property
    def is_none(self) -> bool:
        """Whether pictures are shown as they are stored."""
        return self == Turn()

    def of(self, picture: Picture) -> Picture:
        """Turn (height, width, ...)."""
        turned = picture.swapaxes(0, 1) if self.is_transposed else picture
        shown: Picture = turned[:: -1 if self.is_row_reversed else 1, :: -1 if self.is_column_reversed else 1]
        return shown


def turn_of_matrix(matrix: npt.NDArray[np.integer]) -> Turn | None:
    """The turn of a display matrix (3, 3), 16.16 fixed point; None if it is no quarter turn or mirror image.

    A stored point (x, y) is shown at (a x + c y, b x + d y) for the matrix [[a, b, .], [c, d, .], ...], see
    FFmpeg's libavutil/display.h.
    """
    (a, b), (c, d) = matrix[:2, :2].tolist()
    if a and d and not (b or c):
        return Turn(is_row_reversed=d < 0, is_column_reversed=a < 0)
    if b and c and not (a or d):
        return Turn(is_transposed=True, is_row_reversed=b < 0, is_column_reversed=c < 0)
    return None


class Pixels:
    """Pictures of one pixel format as uint8 arrays, grey where the file is grey, otherwise RGB.

    Attributes:
        channels: 1 or 3.
        has_alpha: whether they can be seen through.
        halves_rows: whether colour is stored for every second row only.
    """

    def __init__(self, pixel_format: str, turn: Turn) -> None:
        stored = VideoFormat(pixel_format)
        self.has_alpha = any(component.is_alpha for component in stored.components)
        self.halves_rows = stored.chroma_height(2) == 1
        self.channels = 1 if pixel_format.startswith("gray") else 3
        self._target = "gray" if self.channels == 1 else "rgba" if self.has_alpha else "rgb24"
        self._turn = turn
        # shared by all frames, because setting it up costs more than a small frame
        self._reformatter = VideoReformatter()

    def of(self, picture: VideoFrame) -> Picture:
        """Pixels (height, width, channels) of a decoded picture; see-through ones lie on black."""
        converted = self._reformatter.reformat(picture, format=self._target, threads=1)
        pixels = _plane(converted, 4 if self.has_alpha else self.channels)
        if self.has_alpha:
            share = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * share + 127) // 255).astype(np.uint8)
        return pixels if self._turn.is_none else self._turn.of(pixels)

    def grey_of(self, picture: VideoFrame) -> Picture:
        """Grey (height, width): the luma that is stored where it is BT.601's, otherwise that of the RGB.

        The luma of ``of(picture)`` differs from it by at most 3 grey levels, and hardly ever by more than 2,
        where the picture's colours are RGB colours: FFmpeg rounds on the way to RGB. Where they are not
        (colours that no screen shows, which compression leaves near black and white), the RGB was clipped and
        the stored luma is the truer one.
        """
        is_luma = picture.format.name.startswith(LUMA_FORMATS) and picture.colorspace in BT601_SPACES
        if not is_luma or len(picture.format.components) != 3 or picture.format.components[0].bits != 8:
            grey: Picture = to_grey(self.of(picture)[None])[0]
            return grey
        luma = _plane(picture, 1)[..., 0]
        is_full = picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")
        return self._turn.of(luma if is_full else full_of_limited(luma))


def full_of_limited(luma: Picture) -> Picture:
    """Luma from 16 to 235 as grey from 0 to 255, within 1 level; a table would take six times as long."""
    stretched = np.multiply(luma.clip(BLACK, WHITE), STRETCH, dtype=np.uint16)
    # numbers above 16 bits come round, and come back here
    stretched -= BLACK * STRETCH - ROUND
    stretched >>= 8
    grey: Picture = stretched.astype(np.uint8)
    return grey


def _plane(picture: VideoFrame, channels: int) -> Picture:
    """First plane of an 8-bit picture (height, width, channels), as it lies in the decoder's memory."""
    plane = picture.planes[0]
    rows: Picture = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return rows[: picture.height, : picture.width * channels].reshape(picture.height, picture.width, channels)
