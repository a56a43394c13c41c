"""Where the bytes of each frame of a DICOM file lie, found without reading them: one is read alone."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError
from echossl.video.dicom_header import PixelElement

ITEM, END_OF_ITEMS = 0xE000FFFE, 0xE0DDFFFE  # as one little-endian number
ITEM_HEADER_BYTES = 8
MOST_FRAGMENTS = 1_000_000
END_OF_IMAGE = b"\xff\xd9"
# a padding byte and a few more may follow the end of an image
TAIL_BYTES = 10
SIGNATURE_BYTES = 8
# JPEG and JPEG-LS, JPEG 2000
JPEG_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51")
JPEG_XL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NativeFrames:
    """Uncompressed frames, one after the other.

    Attributes:
        start: first byte of the first frame.
        frame_bytes: bytes of a frame.
        num_frames: frames that are in the file whole.
        swapped: whether bytes are stored in pairs, the second one first.
    """

    start: int
    frame_bytes: int
    num_frames: int
    swapped: bool

    def read(self, file: BinaryIO, frame: int) -> bytes:
        """The bytes of one frame."""
        first = frame * self.frame_bytes
        if not self.swapped:
            return _read_at(file, self.start + first, self.frame_bytes)
        lead = first % 2
        stored = _read_at(file, self.start + first - lead, (self.frame_bytes + lead + 1) // 2 * 2)
        pairs = np.frombuffer(stored[: len(stored) // 2 * 2], "<u2")
        return pairs.byteswap().tobytes()[lead : lead + self.frame_bytes]


@dataclass(frozen=True)
class EncapsulatedFrames:
    """Compressed frames, each in one or several fragments.

    Attributes:
        starts: int64 (fragments,), first byte of each fragment.
        lengths: int64 (fragments,), bytes of each fragment.
        bounds: int64 (frames + 1,): frame i has the fragments from bounds[i] up to bounds[i + 1].
    """

    starts: Integers
    lengths: Integers
    bounds: Integers

    @property
    def num_frames(self) -> int:
        """Frames that are in the file whole."""
        return max(len(self.bounds) - 1, 0)

    def read(self, file: BinaryIO, frame: int) -> bytes:
        """The bytes of one frame, its fragments joined."""
        fragments = range(int(self.bounds[frame]), int(self.bounds[frame + 1]))
        return b"".join(_read_at(file, int(self.starts[i]), int(self.lengths[i])) for i in fragments)


def native_frames(pixels: PixelElement, frame_bytes: int, declared: int, *, swapped: bool) -> NativeFrames:
    """Uncompressed frames that are in the file whole, at most as many as it declares.

    Args:
        pixels: the Pixel Data element, possibly cut.
        frame_bytes: bytes of one frame.
        declared: Number of Frames.
        swapped: whether bytes are stored in pairs, the second one first (8-bit values in big-endian words).
    """
    whole = min(declared, (pixels.end - pixels.start) // frame_bytes)
    return NativeFrames(pixels.start, frame_bytes, whole, swapped)


def encapsulated_frames(
    path: Path, file: BinaryIO, pixels: PixelElement, declared: int, extended_table: bytes = b""
) -> EncapsulatedFrames:
    """Compressed frames that are in the file whole (DICOM PS3.5, annex A.4); only item headers are read.

    A frame may lie in several fragments: the offset table tells which. Without one, or where it contradicts
    the items, there is a fragment for each frame; if there are more fragments, a frame ends where a fragment
    holds an end-of-image marker.

    Args:
        path: the file's name, for the error.
        file: the file.
        pixels: the Pixel Data element, possibly cut.
        declared: Number of Frames.
        extended_table: value of Extended Offset Table, which stands before the basic one.

    Raises:
        DecodeError: if there are over a million fragments.
    """
    starts, lengths, is_cut = _items(path, file, pixels)
    if len(starts) < 2:
        return EncapsulatedFrames(starts[:0], lengths[:0], np.zeros(1, np.int64))
    basic = _read_at(file, int(starts[0]), min(int(lengths[0]), 4 * MOST_FRAGMENTS))
    starts, lengths = starts[1:], lengths[1:]
    for table in (_offsets(extended_table, "<u8"), _offsets(basic, "<u4")):
        bounds = _bounds_by_table(table, starts, lengths, declared, is_cut=is_cut)
        if bounds is not None:
            break
    else:
        bounds = _bounds_without_table(file, starts, lengths, declared, is_cut=is_cut)
    return EncapsulatedFrames(starts, lengths, bounds[: declared + 1])


def _read_at(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _items(path: Path, file: BinaryIO, pixels: PixelElement) -> tuple[Integers, Integers, bool]:
    """Start and length of the value of every whole item, and whether the file ends before they do."""
    found: list[tuple[int, int]] = []
    position, is_cut = pixels.start, False
    while position < pixels.end:
        header = _read_at(file, position, ITEM_HEADER_BYTES)
        if len(header) < ITEM_HEADER_BYTES:
            is_cut = True
            break
        tag, length = struct.unpack("<LL", header)
        position += ITEM_HEADER_BYTES
        if tag != ITEM or position + length > pixels.end:
            is_cut = tag != END_OF_ITEMS
            break
        if len(found) > MOST_FRAGMENTS:
            raise DecodeError(path, f"has over {MOST_FRAGMENTS:,} pieces of pixels; export it again")
        found.append((position, length))
        position += length
    items = np.array(found, dtype=np.int64).reshape(-1, 2)
    return items[:, 0], items[:, 1], is_cut


def _offsets(table: bytes, kind: str) -> Integers:
    size = np.dtype(kind).itemsize
    values = np.frombuffer(table[: len(table) // size * size], dtype=kind)
    offsets: Integers = np.minimum(values, np.uint64(2**62)).astype(np.int64)
    return offsets


def _bounds_by_table(
    table: Integers, starts: Integers, lengths: Integers, declared: int, *, is_cut: bool
) -> Integers | None:
    """First fragment of every frame, and the last one's end, of whole frames; None without a true table."""
    headers = starts - starts[0]
    end = headers[-1] + lengths[-1] + ITEM_HEADER_BYTES
    here = table[table < end]
    if not len(table) or table[0] != 0 or (np.diff(table) <= 0).any() or not np.isin(here, headers).all():
        return None
    if len(table) < min(declared, len(starts)):
        # frames that are there are missing in it
        return None
    bounds: Integers = np.append(np.searchsorted(headers, here), len(starts))
    # a cut file may hold a part of the last frame's fragments
    return bounds[:-1] if is_cut and end not in table else bounds


def _bounds_without_table(
    file: BinaryIO, starts: Integers, lengths: Integers, declared: int, *, is_cut: bool
) -> Integers:
    count = len(starts)
    each = np.arange(count + 1)
    if declared == 1:
        return np.array([0, count])
    if count <= declared and not is_cut:
        return each
    head = _read_at(file, int(starts[0]), SIGNATURE_BYTES)
    if head.startswith(JPEG_XL_STARTS):
        heads = [_read_at(file, int(start), SIGNATURE_BYTES).startswith(JPEG_XL_STARTS) for start in starts]
        return np.append(np.flatnonzero(heads), count)
    if not head.startswith(JPEG_STARTS):
        return each
    tails = np.minimum(lengths, TAIL_BYTES)
    ends = [
        END_OF_IMAGE in _read_at(file, int(end - tail), int(tail))
        for end, tail in zip(starts + lengths, tails, strict=True)
    ]
    return np.append(0, np.flatnonzero(ends) + 1) if any(ends) else each
