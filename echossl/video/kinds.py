"""What a path holds, told by its first bytes and never by its suffix."""

from pathlib import Path
from typing import Literal

from echossl.errors import DecodeError

Kind = Literal["container", "dicom"]
WORDS: dict[Kind, str] = {"container": "video file", "dicom": "DICOM file"}

HEAD_BYTES = 132
# two letters that say the type of an element
DICOM_TYPES = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US".split()
)
STILL_IMAGES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
}
STILL_BRANDS = (b"heic", b"heix", b"mif1", b"avif")


def kind_of(path: Path) -> Kind:
    """What a path holds.

    Raises:
        DecodeError: if it is missing, empty or unreadable, or certainly no video.
    """
    head = _head(path)
    if is_dicom(head):
        return "dicom"
    _refuse_still(path, head)
    return "container"


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


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise DecodeError(path, "is a folder, expected a video file")
    if not path.is_file():
        raise DecodeError(path, "no such file; check the path")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise DecodeError(path, f"cannot be read ({error.strerror}); check its permissions") from error
    if not head:
        raise DecodeError(path, "the file is empty; copy it again")
    return head


def _refuse_still(path: Path, head: bytes) -> None:
    kind = next((name for magic, name in STILL_IMAGES.items() if head.startswith(magic)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        kind = "WebP"
    if head[4:8] == b"ftyp" and head[8:12] in STILL_BRANDS:
        kind = "HEIF"
    if kind:
        raise DecodeError(path, f"is a still image ({kind}), expected a video; leave it out")
