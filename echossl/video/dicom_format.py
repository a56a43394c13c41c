"""How the pixels of a DICOM file are stored, checked before anything is decoded or allocated."""

from dataclasses import dataclass
from pathlib import Path

from echossl.errors import DecodeError
from echossl.video.dicom_header import DEFLATED, DataSet, PixelElement, value_of, whole_number
from echossl.video.limits import check_picture_size

PIXEL_TAGS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "ExtendedOffsetTable",
)
# implicit, explicit, big endian, deflated
NATIVE_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", DEFLATED)
REQUIRED = ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated")
GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
REFUSED = ("YBR_PARTIAL_420", "YBR_PARTIAL_422", "HSV", "ARGB", "CMYK")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "XYB")


@dataclass(frozen=True)
class PixelFormat:
    """How pixels are stored; names and meaning are those of DICOM PS3.3, C.7.6.3.

    Attributes:
        syntax: pydicom's UID of the transfer syntax.
        little_endian: byte order.
        height: Rows.
        width: Columns.
        samples: Samples per Pixel, 1 or 3.
        photometric: Photometric Interpretation.
        is_planar: whether uncompressed colours are stored plane by plane.
        bits_allocated: 8, 16 or 32.
        bits_stored: at most ``bits_allocated``.
        is_signed: Pixel Representation.
        pixels: the Pixel Data element.
        num_declared: Number of Frames, which is not to be trusted.
    """

    syntax: str
    little_endian: bool
    height: int
    width: int
    samples: int
    photometric: str
    is_planar: bool
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    pixels: PixelElement
    num_declared: int

    @property
    def is_encapsulated(self) -> bool:
        """Whether frames are compressed, each in items of its own."""
        return self.syntax not in NATIVE_SYNTAXES

    @property
    def frame_bytes(self) -> int:
        """Bytes of an uncompressed frame."""
        values = self.height * self.width * self.samples
        if self.photometric == "YBR_FULL_422":
            # two pixels share their colour: four values instead of six
            values = values // 3 * 2
        return values * self.bits_allocated // 8


def pixel_format(path: Path, data: DataSet) -> PixelFormat:
    """Read and check how the pixels are stored.

    Raises:
        DecodeError: if the file has no pictures, or they are stored in a way that cannot be read.
    """
    tags = data.tags
    missing = [name for name in REQUIRED if value_of(tags, name) is None]
    if missing or data.pixels is None or data.pixels.start == data.pixels.end:
        what = ", ".join(missing) or "Pixel Data"
        raise DecodeError(path, f"is a DICOM file without pictures (no {what}); leave it out")
    bits_allocated = whole_number(tags, "BitsAllocated") or 0
    bits_stored = whole_number(tags, "BitsStored") or bits_allocated
    found = PixelFormat(
        syntax=data.syntax,
        little_endian=data.little_endian,
        height=whole_number(tags, "Rows") or 0,
        width=whole_number(tags, "Columns") or 0,
        samples=whole_number(tags, "SamplesPerPixel") or 0,
        photometric=str(value_of(tags, "PhotometricInterpretation")).strip(),
        is_planar=whole_number(tags, "PlanarConfiguration") == 1,
        bits_allocated=bits_allocated,
        bits_stored=min(bits_stored, bits_allocated),
        is_signed=whole_number(tags, "PixelRepresentation") == 1,
        pixels=data.pixels,
        num_declared=max(whole_number(tags, "NumberOfFrames") or 1, 1),
    )
    high_bit = whole_number(tags, "HighBit")
    check_picture_size(path, found.height, found.width)
    for reason in (_wrong_colour(found), _wrong_bits(found, high_bit)):
        if reason:
            raise DecodeError(path, reason)
    return found


def _wrong_colour(found: PixelFormat) -> str:
    known = {1: (*GREY, PALETTE), 3: COLOUR}
    if found.photometric in known.get(found.samples, ()):
        return ""
    # a damaged header may hold anything here
    name = f" {found.photometric}" if found.photometric in {*GREY, PALETTE, *COLOUR, *REFUSED} else ""
    return (
        f"its colour space{name} with {found.samples} samples per pixel cannot be turned into RGB; "
        "export it as RGB"
    )


def _wrong_bits(found: PixelFormat, high_bit: int | None) -> str:
    if found.bits_allocated not in {8, 16, 32} or found.bits_stored < 1:
        return (
            f"stores {found.bits_stored} of {found.bits_allocated} bits per value, expected 8, 16 or 32; "
            "export it with 8"
        )
    if high_bit not in {None, found.bits_stored - 1} and found.bits_stored < found.bits_allocated:
        return (
            f"states High Bit {high_bit} with {found.bits_stored} bits stored, expected "
            f"{found.bits_stored - 1}; export it with 8 bits"
        )
    if found.bits_stored > 8 and found.photometric.startswith("YBR_FULL"):
        return f"stores {found.photometric} with {found.bits_stored} bits, expected 8; export it as RGB"
    return ""
