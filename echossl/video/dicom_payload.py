"""The encoded bytes of each frame of a DICOM file, cut out of the file so that frames decode one by one."""

import io
import struct
from typing import BinaryIO

PIXEL_DATA = (0x7FE0, 0x0010)
ITEM = 0xFFFEE000
UNDEFINED_LENGTH = 0xFFFFFFFF
END_OF_IMAGE = b"\xff\xd9"


def native_frames(pixel_data: bytes, frame_bytes: int, declared: int) -> list[bytes]:
    """Uncompressed frames that are in the file whole, at most as many as it declares.

    Args:
        pixel_data: value of the Pixel Data element, possibly cut.
        frame_bytes: bytes of one frame.
        declared: Number of Frames.
    """
    whole = min(declared, len(pixel_data) // frame_bytes)
    return [pixel_data[index * frame_bytes : (index + 1) * frame_bytes] for index in range(whole)]


def encapsulated_frames(pixel_data: bytes, declared: int) -> list[bytes]:
    """Compressed frames that are in the file whole (DICOM PS3.5, annex A.4).

    A frame may lie in several fragments: the offset table tells which, without one a JPEG's end marker does.

    Args:
        pixel_data: value of the Pixel Data element from the offset table on, possibly cut.
        declared: Number of Frames.
    """
    fragments = _fragments(io.BytesIO(pixel_data))
    if not fragments:
        return []
    table, fragments = fragments[0][1], fragments[1:]
    starts = set(struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4]))
    if declared == 1:
        return [b"".join(data for _, data in fragments)] if fragments else []
    if len(fragments) <= declared:
        return [data for _, data in fragments]
    first = fragments[0][0]
    frames: list[list[bytes]] = []
    ended = True
    for offset, data in fragments:
        begins = offset - first in starts if starts else ended
        if begins or not frames:
            frames.append([])
        frames[-1].append(data)
        ended = END_OF_IMAGE in data[-10:]
    return [b"".join(parts) for parts in frames][:declared]


def pixel_data_value(file: BinaryIO, *, explicit: bool, little_endian: bool) -> tuple[bytes, str]:
    """Value and type (OB or OW) of the Pixel Data element at the file's position, as far as the file goes.

    The value is empty if the file has no such element there.
    """
    order = "<" if little_endian else ">"
    header = file.read(12 if explicit else 8)
    if header[:4] != struct.pack(f"{order}HH", *PIXEL_DATA) or len(header) < 8:
        return b"", "OW"
    kind = header[4:6].decode("latin-1") if explicit else "OW"
    (length,) = struct.unpack(f"{order}L", header[-4:])
    return (file.read() if length == UNDEFINED_LENGTH else file.read(length)), kind


def _fragments(data: BinaryIO) -> list[tuple[int, bytes]]:
    """Offset and bytes of every whole item."""
    found: list[tuple[int, bytes]] = []
    while len(header := data.read(8)) == 8:
        group, element, length = struct.unpack("<HHL", header)
        value = data.read(length) if group << 16 | element == ITEM else b""
        if group << 16 | element != ITEM or len(value) < length:
            break
        found.append((data.tell() - length - 8, value))
    return found
