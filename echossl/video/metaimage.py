"""MetaImage files (.mhd with .raw, or .mha) as CAMUS was first published in; see itk.org/Wiki/MetaIO.

The axes are x, y and, where there is a third, time. The third spacing has no unit of its own and is not taken
for a time, so the rate is unknown.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import IO

import numpy as np

from echossl.errors import DecodeError
from echossl.video.kinds import head_of, is_file
from echossl.video.volume import CHUNK_BYTES, Layout, VolumeReader, frame_shape, pixel_size, unpacked

HEADER_BYTES = 2**16
TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
# MetaIO's spacing is in millimetres
MILLIMETRE_CM = 0.1


@dataclass(frozen=True)
class Header:
    """The ``key = value`` lines of a MetaImage.

    Attributes:
        path: the file they stand in.
        values: value of each key.
        num_bytes: bytes of the lines; in a file of its own the pixels begin there.
    """

    path: Path
    values: Mapping[str, str]
    num_bytes: int

    def text(self, key: str, default: str | None = None) -> str:
        """The value of a key, as it stands."""
        value = self.values.get(key, default)
        if value is None:
            raise DecodeError(self.path, f"its MetaImage header has no {key}; export it again")
        return value

    def numbers(self, key: str, default: str | None = None) -> tuple[float, ...]:
        """The numbers of a key."""
        text = self.text(key, default)
        try:
            return tuple(float(word) for word in text.split())
        except ValueError as error:
            raise DecodeError(
                self.path, f"{key} = {text[:40]!r}, expected numbers; export it again"
            ) from error

    def whole(self, key: str, default: str | None = None) -> tuple[int, ...]:
        """The whole numbers of a key."""
        numbers = self.numbers(key, default)
        if not all(number.is_integer() for number in numbers):
            raise DecodeError(self.path, f"{key} = {self.text(key, default)[:40]!r}, expected whole numbers")
        return tuple(int(number) for number in numbers)

    def is_true(self, key: str, default: str) -> bool:
        """Whether a key says yes."""
        return self.text(key, default).lower() in {"true", "t", "1", "yes"}


def open_metaimage(path: Path) -> VolumeReader:
    """Open a MetaImage of axes (x, y) or (x, y, time).

    Values become 8 bits by the rule of :mod:`echossl.video.volume`. Frames are counted in the file,
    ``DimSize`` is only an upper bound. Compressed pixels are unpacked once, at most 1 GiB.

    Raises:
        DecodeError: if the header is damaged, no frame is there whole, or the pixels lie in a place or form
            that is not read (outside the folder, in several files, as text).
    """
    header = read_header(path)
    declared = _layout(header)
    data_path = _data_path(header)
    if declared.offset > data_path.stat().st_size:
        raise DecodeError(path, "its HeaderSize is larger than the file of pixels; export it again")
    needed = declared.num_frames * declared.frame_bytes
    if header.is_true("CompressedData", "False"):
        with data_path.open("rb") as packed:
            packed.seek(max(declared.offset, 0))
            file, held = unpacked(path, _inflated(packed), needed)
        declared = replace(declared, offset=0)
    else:
        file, held = data_path.open("rb"), data_path.stat().st_size
    if declared.offset < 0:
        declared = replace(declared, offset=max(held - needed, 0))
    whole = min(declared.num_frames, max(held - declared.offset, 0) // declared.frame_bytes)
    if not whole:
        file.close()
        raise DecodeError(data_path, "holds no frame whole; copy it again")
    spacing = (*header.numbers("ElementSpacing", header.values.get("ElementSize", "1 1")), 0.0, 0.0)
    size = pixel_size((spacing[0], spacing[1]), cm=MILLIMETRE_CM, height=declared.height)
    return VolumeReader(path, file, replace(declared, num_frames=whole), pixel_size=size)


def read_header(path: Path) -> Header:
    """Read the lines up to ``ElementDataFile``, which is the last by definition.

    Raises:
        DecodeError: if there is no such line within 64 KiB, or it is no header of an image.
    """
    values: dict[str, str] = {}
    with path.open("rb") as file:
        while line := file.readline(HEADER_BYTES):
            key, _, value = line.decode("latin-1").partition("=")
            values[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                break
            if file.tell() > HEADER_BYTES:
                raise DecodeError(path, "has a damaged MetaImage header (it does not end); copy it again")
        header = Header(path, values, file.tell())
    kind = header.text("ObjectType", "Image")
    if kind != "Image":
        raise DecodeError(path, f"is a MetaIO file of a {kind[:40]!r}, expected an Image; leave it out")
    return header


def _layout(header: Header) -> Layout:
    """What the header declares; the offset is negative where the pixels are the end of the file."""
    path = header.path
    if not header.is_true("BinaryData", "True"):
        raise DecodeError(path, "holds its pixels as text; save it as binary")
    element = header.text("ElementType")
    if element not in TYPES:
        raise DecodeError(path, f"ElementType = {element[:40]!r}; expected one of {', '.join(TYPES)}")
    shape = header.whole("DimSize")
    if header.whole("NDims", str(len(shape))) != (len(shape),):
        raise DecodeError(path, f"NDims and DimSize do not agree ({len(shape)} sizes); export it again")
    (channels,) = header.whole("ElementNumberOfChannels", "1")[:1] or (0,)
    if channels not in {1, 3}:
        raise DecodeError(
            path, f"has {channels} channels, expected 1 (grey) or 3 (RGB); save it as one of them"
        )
    big = header.is_true("BinaryDataByteOrderMSB", header.values.get("ElementByteOrderMSB", "False"))
    width, height, num_frames = frame_shape(path, shape)
    dtype = np.dtype(TYPES[element]).newbyteorder(">" if big else "<")
    return Layout(width, height, num_frames, channels, dtype, _offset(header))


def _offset(header: Header) -> int:
    (skipped,) = header.whole("HeaderSize", "0")[:1] or (0,)
    if header.text("ElementDataFile") == "LOCAL":
        return header.num_bytes
    return skipped


def _data_path(header: Header) -> Path:
    """The file of the pixels, which must lie in the header's folder or below."""
    path, name = header.path, header.text("ElementDataFile")
    if name == "LOCAL":
        return path
    if not name or name.startswith("LIST") or "%" in name:
        raise DecodeError(path, "keeps its pixels in several files; save it as one .mha file")
    # also the ways of Windows to say the same
    place = PureWindowsPath(name)
    if place.anchor or ".." in place.parts:
        raise DecodeError(
            path, "its ElementDataFile lies outside the header's folder; put both files into one folder"
        )
    data_path = path.parent / Path(*place.parts)
    if not is_file(data_path):
        raise DecodeError(path, f"its file of pixels {name[:80]!r} is missing; copy both files")
    # refused in words if it may not be read
    head_of(data_path)
    return data_path


def _inflated(file: IO[bytes]) -> Iterator[bytes]:
    """What zlib or gzip packed, in pieces of bounded size, as far as the file goes."""
    inflater = zlib.decompressobj(wbits=47)
    waiting = file.read(CHUNK_BYTES)
    while not inflater.eof:
        piece = inflater.decompress(waiting, CHUNK_BYTES)
        if piece:
            yield piece
        waiting = inflater.unconsumed_tail or file.read(CHUNK_BYTES)
        if not waiting and not piece:
            return
