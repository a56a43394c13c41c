"""Colour palettes of DICOM files: plain and segmented look-up tables of 8 and 16 bits."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError
from echossl.video.dicom_format import PixelFormat
from echossl.video.dicom_header import READING_ERRORS, value_of

COLOURS = ("Red", "Green", "Blue")
PALETTE_TAGS = tuple(
    f"{prefix}{colour}PaletteColorLookupTable{what}"
    for colour in COLOURS
    for prefix, what in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)
MOST_ENTRIES = 2**16
# segments of PS3.3, C.7.9.2
DISCRETE, LINEAR, INDIRECT = range(3)


def palette(path: Path, tags: Any, stored: PixelFormat) -> npt.NDArray[np.uint8]:
    """The colour of every value that a pixel can hold (DICOM PS3.3, C.7.6.3.1.5 and C.7.9.2).

    Args:
        path: the file, for the error.
        tags: the data set (only the elements of ``PALETTE_TAGS`` are read).
        stored: how pixels are stored.

    Returns:
        uint8 (2 ** bits allocated, 3); signed values are looked up by their bits.

    Raises:
        DecodeError: if the file has no whole palette.
    """
    if stored.bits_allocated > 16:
        raise DecodeError(path, "has a palette for 32-bit values, expected 8 or 16 bits; export it as RGB")
    values = np.arange(2**stored.bits_allocated, dtype=f"u{stored.bits_allocated // 8}")
    numbers = values.view(f"i{stored.bits_allocated // 8}") if stored.is_signed else values
    try:
        tables = [_table(tags, colour, stored) for colour in COLOURS]
        entries = np.stack([_looked_up(numbers, table, first) for table, first in tables], axis=-1)
    except READING_ERRORS as error:
        raise DecodeError(path, "its colour palette cannot be read; export it as RGB") from error
    # 16-bit tables state the colour in the high byte, but some files fill only the low one
    shift = 8 if entries.max() > 255 else 0
    return (entries >> shift).astype(np.uint8)


def _looked_up(numbers: npt.NDArray[Any], table: npt.NDArray[np.int64], first: int) -> npt.NDArray[np.int64]:
    """Values below the table get its first entry, values above it the last."""
    return table[np.clip(numbers.astype(np.int64) - first, 0, len(table) - 1)]


def _table(tags: Any, colour: str, stored: PixelFormat) -> tuple[npt.NDArray[np.int64], int]:
    """Entries of a colour, and the pixel value of the first."""
    descriptor = value_of(tags, f"{colour}PaletteColorLookupTableDescriptor")
    if isinstance(descriptor, bytes):
        # without stated types pydicom cannot tell signed from unsigned and leaves the bytes
        descriptor = np.frombuffer(descriptor, "<u2")
    count, first, bits = (int(number) for number in descriptor)
    count = count % MOST_ENTRIES or MOST_ENTRIES
    if stored.is_signed and first >= MOST_ENTRIES // 2:
        first -= MOST_ENTRIES
    data = value_of(tags, f"{colour}PaletteColorLookupTableData")
    if data is not None:
        table = _numbers(data, 1 if len(data) < 2 * count else 2, stored)
    else:
        segments = value_of(tags, f"Segmented{colour}PaletteColorLookupTableData")
        table = _expanded(_numbers(segments, 1 if bits == 8 else 2, stored), 4 if bits == 8 else 2)
    if len(table) < count:
        raise ValueError(f"{len(table)} of {count} entries")
    return table[:count], first


def _numbers(data: Any, entry_bytes: int, stored: PixelFormat) -> npt.NDArray[np.int64]:
    """Entries of one or two bytes; they are stored in 16-bit words of the file's byte order."""
    if not isinstance(data, bytes):
        return np.array(data, dtype=np.int64).reshape(-1)
    if not stored.little_endian:
        data = np.frombuffer(data[: len(data) // 2 * 2], "<u2").byteswap().tobytes()
    return np.frombuffer(data[: len(data) // entry_bytes * entry_bytes], f"<u{entry_bytes}").astype(np.int64)


def _expanded(words: npt.NDArray[np.int64], offset_words: int) -> npt.NDArray[np.int64]:
    """The entries that segments stand for.

    Args:
        words: the segments.
        offset_words: number of words that the offset of an indirect segment takes (4 bytes in all).
    """
    table: list[int] = []
    position = 0
    while position + 2 <= len(words) and len(table) <= MOST_ENTRIES:
        if words[position] == INDIRECT:
            _repeat(words, position, offset_words, table)
            position += 2 + offset_words
        else:
            position += _expand(words, position, table)
    return np.array(table, dtype=np.int64)


def _expand(words: npt.NDArray[np.int64], position: int, table: list[int]) -> int:
    """Add the entries of the segment at a position; gives the number of words it takes."""
    kind, count = int(words[position]), int(words[position + 1])
    if len(table) > MOST_ENTRIES or kind not in {DISCRETE, LINEAR}:
        raise ValueError(f"segment of type {kind} after {len(table)} entries")
    if kind == DISCRETE:
        table.extend(words[position + 2 : position + 2 + count].tolist())
        return 2 + count
    ramp = np.linspace(table[-1], int(words[position + 2]), count + 1)[1:]
    table.extend(np.rint(ramp).astype(int).tolist())
    return 3


def _repeat(words: npt.NDArray[np.int64], position: int, offset_words: int, table: list[int]) -> None:
    """Add the entries of an indirect segment: earlier segments again, from an offset in bytes."""
    base = 2 ** (32 // offset_words)
    offset = sum(int(words[position + 2 + place]) * base**place for place in range(offset_words))
    source = offset * offset_words // 4
    for _ in range(int(words[position + 1])):
        source += _expand(words[:position], source, table)
