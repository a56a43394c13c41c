"""What a path holds, told by its first bytes and never by its suffix."""

import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Literal

from PIL import Image

from echossl.errors import DecodeError
from echossl.video.limits import too_large

Kind = Literal["container", "dicom", "frames", "still", "nifti", "metaimage"]
WORDS: dict[Kind, str] = {
    "container": "video file",
    "dicom": "DICOM file",
    "frames": "folder of pictures",
    "still": "picture",
    "nifti": "NIfTI file",
    "metaimage": "MetaImage file",
}

HEAD_BYTES = 4096
# two letters that say the type of an element
DICOM_TYPES = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US".split()
)
GZIP = b"\x1f\x8b"
PICTURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
}
HEIF_BRANDS = frozenset((b"heic", b"heix", b"mif1", b"avif"))
BMP_HEADER_BYTES = frozenset((12, 40, 52, 56, 64, 108, 124))
METAIMAGE_KEYS = frozenset(("ObjectType", "NDims"))
# where the letters stand, and what a file with them is
OTHERS = {
    (0, GZIP): "a gzip file that holds no NIfTI volume",
    (0, b"PK\x03\x04"): "a zip archive or a file packed as one (npz, docx, xlsx)",
    (0, b"PK\x05\x06"): "an empty zip archive",
    (257, b"ustar"): "a tar archive",
    (0, b"7z\xbc\xaf\x27\x1c"): "a 7z archive",
    (0, b"Rar!"): "a RAR archive",
    (0, b"BZh"): "a bzip2 file",
    (0, b"\xfd7zXZ\x00"): "an xz file",
    (0, b"\x28\xb5\x2f\xfd"): "a Zstandard file",
    (0, b"\x93NUMPY"): "a NumPy array",
    (0, b"\x89HDF"): "an HDF5 file",
    (0, b"MATLAB 5.0"): "a MATLAB file",
    (0, b"PAR1"): "a Parquet table",
    (0, b"SQLite format 3"): "an SQLite database",
    (0, b"%PDF"): "a PDF file",
}
TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b")


def kind_of(path: Path) -> Kind:
    """What a path holds. Every folder is taken for one of pictures; what it holds is seen when it is opened.

    Raises:
        DecodeError: if it is missing, empty or unreadable, or certainly holds no frames.
    """
    if is_folder(path):
        return "frames"
    head = head_of(path)
    if not head:
        raise DecodeError(path, "the file is empty; copy it again")
    if is_dicom(head):
        return "dicom"
    if name := picture_name(head):
        return "container" if name == "GIF" and not _is_single_gif(path) else "still"
    if is_nifti(_unzipped(head) if head.startswith(GZIP) else head):
        return "nifti"
    if is_metaimage(head):
        return "metaimage"
    _refuse_others(path, head)
    return "container"


def head_of(path: Path) -> bytes:
    """The first bytes of a file, at most 4,096.

    Raises:
        DecodeError: if there is no such file, or it cannot be read.
    """
    if not is_file(path):
        raise DecodeError(path, "no such file; check the path")
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise DecodeError(path, f"cannot be read ({error.strerror}); check its permissions") from error


def is_file(path: Path) -> bool:
    """Whether there is such a file; also False for names that no file system takes."""
    with suppress(OSError):
        return path.is_file()
    return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; also False for names that no file system takes."""
    with suppress(OSError):
        return path.is_dir()
    return False


def is_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes are those of a DICOM file, with or without the preamble."""
    if head[128:132] == b"DICM":
        return True
    # without a preamble a data set starts with group 2 or 8, in ascending order, hence a small element number
    little = head[:2] in {b"\x02\x00", b"\x08\x00"} and head[3:4] == b"\x00"
    big = head[:2] == b"\x00\x08" and head[2:3] == b"\x00"
    explicit = head[4:6] in DICOM_TYPES
    implicit = little and int.from_bytes(head[4:8], "little") <= 64
    return len(head) > 8 and (((little or big) and explicit) or implicit)


def is_nifti(head: bytes) -> bool:
    """Whether a file's first 540 bytes are a NIfTI-1 or NIfTI-2 header, in either byte order."""
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    first = 348 in sizes and head[344:348] in {b"n+1\x00", b"ni1\x00"}
    second = 540 in sizes and head[4:8] in {b"n+2\x00", b"ni2\x00"}
    return first or second


def is_metaimage(head: bytes) -> bool:
    """Whether a file begins with the ``key = value`` lines of MetaIO."""
    lines = head.split(b"\n")[:-1]
    keys = (line.partition(b"=")[0].strip().decode("latin-1") for line in lines if b"=" in line)
    return not METAIMAGE_KEYS.isdisjoint(keys)


def picture_name(head: bytes) -> str | None:
    """The format of a picture file by its first bytes, or None if it is none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return "HEIF"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADER_BYTES:
        return "BMP"
    name = next((name for magic, name in PICTURES.items() if head.startswith(magic)), None)
    is_motion = name == "JPEG 2000" and head[20:24] == b"mjp2"
    return None if is_motion else name


def _is_single_gif(path: Path) -> bool:
    """Whether a GIF is certainly a still; animations, and damaged files, are left to the video decoder."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=["GIF"]) as image:
            return not getattr(image, "is_animated", True)
    except Image.DecompressionBombError as error:
        raise too_large(path) from error
    except (OSError, SyntaxError, ValueError, LookupError):
        return False


def _unzipped(head: bytes) -> bytes:
    """The beginning of what a gzip file holds, as far as its first bytes tell."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 540)
    except zlib.error:
        return b""


def _refuse_others(path: Path, head: bytes) -> None:
    for (place, letters), what in OTHERS.items():
        if head[place:].startswith(letters):
            raise DecodeError(path, f"is {what}, not a video; unpack it, or leave it out")
    if _is_text(head):
        raise DecodeError(path, "is a text file, not a video; leave it out")


def _is_text(head: bytes) -> bool:
    # the last character may be cut in two
    text = head.decode("utf-8", errors="replace").rstrip("�")
    return bool(text) and "�" not in text and not any(b < 32 and b not in TEXT_CONTROLS for b in head)
