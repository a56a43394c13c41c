"""What the head of a compressed picture says of its size and colours, before a decoder sees it."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

START_OF_FRAMES = frozenset(
    {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
)
LOSSY_HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
JFIF, ADOBE = 0xE0, 0xEE
JPEG_2000_START = b"\xff\x4f\xff\x51"
CODING_STYLE = b"\xff\x52"
RGB_LETTERS = (b"RGB", b"rgb")


@dataclass(frozen=True)
class JpegHead:
    """Head of a JPEG or JPEG-LS picture.

    Attributes:
        process: second byte of its start-of-frame marker.
        bits: per value.
        height: 0 where it is told later in the file.
        width: columns.
        samples: per pixel.
        colour: "RGB" or "YBR" where the file says so itself, else "".
    """

    process: int
    bits: int
    height: int
    width: int
    samples: int
    colour: str

    @property
    def is_common(self) -> bool:
        """Whether it is an 8-bit lossy JPEG with Huffman codes, which every JPEG library reads."""
        return self.process in LOSSY_HUFFMAN and self.bits == 8


def jpeg_head(data: bytes) -> JpegHead | None:
    """Read the head of a JPEG or JPEG-LS picture; None if it has none.

    What tells the colours is, in this order, as in libjpeg: a JFIF marker (YBR), the transform of an Adobe
    marker, components named R, G and B; and colours stored at fewer places than brightness are never RGB.
    """
    has_jfif, adobe = False, ""
    for marker, segment in _segments(data):
        if marker == JFIF and segment.startswith(b"JFIF"):
            has_jfif = True
        elif marker == ADOBE and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe = "YBR" if segment[11] else "RGB"
        elif marker in START_OF_FRAMES and len(segment) >= 6:
            bits, height, width, samples = struct.unpack(">BHHB", segment[:6])
            parts = [segment[6 + 3 * part : 9 + 3 * part] for part in range(samples)]
            colour = _colour(parts, adobe, has_jfif=has_jfif)
            return JpegHead(marker, bits, height, width, samples, colour)
    return None


def _colour(parts: list[bytes], adobe: str, *, has_jfif: bool) -> str:
    if len(parts) != 3:
        return ""
    if has_jfif or adobe:
        return "YBR" if has_jfif else adobe
    if b"".join(part[:1] for part in parts) in RGB_LETTERS:
        return "RGB"
    return "YBR" if len({part[1:2] for part in parts}) > 1 else ""


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments before the first scan."""
    position = data.find(b"\xff\xd8") + 2
    while position >= 2 and position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in {START_OF_SCAN, END_OF_IMAGE}:
            return
        if marker == 0xFF or marker in WITHOUT_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack(">H", data[position + 2 : position + 4])
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length


@dataclass(frozen=True)
class Jpeg2000Head:
    """Head of a JPEG 2000 codestream.

    Attributes:
        height: rows.
        width: columns.
        has_colour_transform: whether its decoder turns YBR into RGB (multiple component transformation).
    """

    height: int
    width: int
    has_colour_transform: bool


def jpeg_2000_head(data: bytes) -> Jpeg2000Head | None:
    """Read the head of a JPEG 2000 codestream, also within a JP2 file; None if there is none."""
    start = data.find(JPEG_2000_START)
    if start < 0 or start + 24 > len(data):
        return None
    right, bottom, left, top = struct.unpack(">4L", data[start + 8 : start + 24])
    style = data.find(CODING_STYLE, start + 24)
    # marker, length, style, progression order, two bytes of layers, transformation
    transform = data[style + 8] if style >= 0 and style + 8 < len(data) else 0
    return Jpeg2000Head(bottom - top, right - left, transform == 1)
