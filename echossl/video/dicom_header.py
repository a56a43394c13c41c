"""What is read of a DICOM header: the elements asked for, up to the pixels, and never the patient's."""

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from echossl.errors import DecodeError, UserError
from echossl.video.limits import MOST_UNPACKED_BYTES

INSTALL = 'pip install "echossl[dicom]"'
PIXEL_DATA = (0x7FE0, 0x0010)
UNDEFINED_LENGTH = 0xFFFFFFFF
PREAMBLE_BYTES = 132
HEAD_BYTES = 4096
LARGEST_FIRST_GROUP_BYTES = 2**20
TRANSFER_SYNTAX = 0x00020010
DEFLATED = "1.2.840.10008.1.2.1.99"


def _wrong_length() -> type[Exception]:
    """What pydicom raises for a value that is shorter than its type, which is no kind of ValueError."""
    try:
        errors = import_module("pydicom.errors")
    except ImportError:
        # without pydicom no file is read
        return ValueError
    found: type[Exception] = errors.BytesLengthException
    return found


# what pydicom raises for files and values that it cannot read
READING_ERRORS = (
    ValueError,
    RuntimeError,
    AttributeError,
    NotImplementedError,
    LookupError,
    TypeError,
    _wrong_length(),
)


@dataclass(frozen=True)
class PixelElement:
    """Where the value of Pixel Data lies.

    Attributes:
        kind: OB or OW.
        start: first byte of the value.
        end: the byte after the last one that is there, at most the end of the file.
    """

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class DataSet:
    """An open DICOM file: the elements that were asked for, and where its pixels lie.

    Attributes:
        file: the file itself without a buffer, or the inflated bytes of a deflated file.
        tags: pydicom's data set of the elements asked for.
        syntax: pydicom's UID of the transfer syntax.
        little_endian: byte order.
        pixels: None if the file has no Pixel Data.
    """

    file: BinaryIO
    tags: Any
    syntax: Any
    little_endian: bool
    pixels: PixelElement | None


def open_data_set(path: Path, keywords: Sequence[str]) -> DataSet:
    """Read some elements of a DICOM file's header; values of the others are passed over.

    Args:
        path: a file with or without preamble.
        keywords: names of the elements in pydicom's dictionary.

    Returns:
        The data set; the caller closes its ``file``.

    Raises:
        DecodeError: if the file is no readable DICOM file; its content is not quoted.
        UserError: if pydicom is not installed.
    """
    try:
        import pydicom  # noqa: F401 - the extra is asked for here, once
    except ImportError as error:
        raise UserError(f"{path}: DICOM files need pydicom; {INSTALL}") from error
    try:
        file: BinaryIO = path.open("rb", buffering=0)
    except OSError as error:
        raise DecodeError(path, f"cannot be read ({error.strerror}); check its permissions") from error
    try:
        return _read(path, file, keywords)
    except (*READING_ERRORS, EOFError, OSError, struct.error, zlib.error) as error:
        file.close()
        raise DecodeError(path, f"is a damaged DICOM file ({type(error).__name__}); copy it again") from error
    except DecodeError:
        file.close()
        raise


def value_of(tags: Any, keyword: str) -> Any:
    """Value of an element; None where it is absent, empty or unreadable."""
    try:
        value = tags.get(keyword)
    except READING_ERRORS:
        return None
    return None if value == "" else value


def whole_number(tags: Any, keyword: str) -> int | None:
    """Value of an element as a whole number; None where it is none."""
    try:
        return int(value_of(tags, keyword))
    except (ValueError, TypeError, OverflowError):
        return None


class _Header:
    """A file for pydicom whose reads never ask for more than is left: declared lengths may be absurd."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        left = max(self._size - self.tell(), 0)
        return self._file.read(left if count < 0 else min(count, left))


def _read(path: Path, file: BinaryIO, keywords: Sequence[str]) -> DataSet:
    import pydicom
    from pydicom import uid

    deflated_from = _deflated_from(file)
    if deflated_from is not None:
        inflated = _inflate(path, file, deflated_from)
        file.close()
        file = inflated
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    # the header is many small values, the pixels few large ones: only the header is read through a buffer
    buffered = io.BufferedReader(file)  # type: ignore[type-var]
    header: Any = _Header(buffered, size)
    tags = pydicom.dcmread(header, stop_before_pixels=True, force=True, specific_tags=list(keywords))
    position = buffered.tell()
    buffered.detach()
    file.seek(position)
    is_implicit, is_little_endian = tags.original_encoding
    syntax = uid.ExplicitVRLittleEndian if deflated_from is not None else _transfer_syntax(tags)
    pixels = _pixel_element(file, size, explicit=not is_implicit, little_endian=bool(is_little_endian))
    return DataSet(file, tags, syntax, bool(is_little_endian), pixels)


def _deflated_from(file: BinaryIO) -> int | None:
    """Where the deflated part begins; None if the file is not deflated."""
    from pydicom.filereader import read_dataset

    file.seek(0)
    start = file.read(HEAD_BYTES)
    if start[PREAMBLE_BYTES - 4 : PREAMBLE_BYTES] != b"DICM" or DEFLATED.encode() not in start:
        return None
    head: BinaryIO = io.BytesIO(start + file.read(LARGEST_FIRST_GROUP_BYTES))
    head.seek(PREAMBLE_BYTES)
    # the first group is never deflated
    meta = read_dataset(
        head,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=_is_past_first_group,
        specific_tags=[TRANSFER_SYNTAX],
    )
    return head.tell() if value_of(meta, "TransferSyntaxUID") == DEFLATED else None


def _is_past_first_group(tag: Any, kind: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom's call
    return int(tag) >> 16 != TRANSFER_SYNTAX >> 16


def _inflate(path: Path, file: BinaryIO, start: int) -> BinaryIO:
    file.seek(start)
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = stream.decompress(file.read(), MOST_UNPACKED_BYTES)
    if stream.unconsumed_tail:
        raise DecodeError(
            path,
            f"is a deflated file of over {MOST_UNPACKED_BYTES // 2**30} GiB; export it without compression",
        )
    return io.BytesIO(inflated)


def _transfer_syntax(tags: Any) -> Any:
    """The stated transfer syntax; without one, that of plain pixels in the byte order found."""
    from pydicom import uid

    stated = value_of(tags.file_meta, "TransferSyntaxUID")
    if stated:
        return stated
    is_implicit, is_little_endian = tags.original_encoding
    if is_implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if is_little_endian else uid.ExplicitVRBigEndian


def _pixel_element(file: BinaryIO, size: int, *, explicit: bool, little_endian: bool) -> PixelElement | None:
    """The Pixel Data element at the file's position, if it is one."""
    order = "<" if little_endian else ">"
    header = file.read(12 if explicit else 8)
    if header[:4] != struct.pack(f"{order}HH", *PIXEL_DATA) or len(header) < (12 if explicit else 8):
        return None
    kind = "OB" if explicit and header[4:6] == b"OB" else "OW"
    (length,) = struct.unpack(f"{order}L", header[-4:])
    start = file.tell()
    return PixelElement(kind, start, size if length == UNDEFINED_LENGTH else min(start + length, size))
