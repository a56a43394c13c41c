"""One stored frame to its values: pydicom's decoders, Pillow for common JPEG, imagecodecs for JPEG XL."""

import io
import re
import struct
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from echossl.errors import DecodeError
from echossl.video.dicom_codestream import JpegHead, jpeg_2000_head, jpeg_head
from echossl.video.dicom_format import PixelFormat
from echossl.video.dicom_header import INSTALL, READING_ERRORS

INSTALL_JPEG_XL = 'pip install "echossl[jpegxl]"'
JPEG_XL = ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112")
JPEG_XL_LOSSLESS = JPEG_XL[0]
MPEG_START = "1.2.840.10008.1.2.4.10"
# Pillow's errors for damaged pictures come beside those of pydicom
DECODING_ERRORS = (
    *READING_ERRORS,
    OSError,
    EOFError,
    SyntaxError,
    struct.error,
    Image.DecompressionBombError,
)

Decoded = tuple[npt.NDArray[Any], str]


class Codec(Protocol):
    """Decodes frames of one file."""

    def decode(self, payload: bytes) -> Decoded:
        """Values (height, width[, 3]) of one frame as stored, and their colour space.

        Args:
            payload: the frame's bytes.

        Raises:
            DECODING_ERRORS: if the frame is damaged.
        """


def codec_for(path: Path, stored: PixelFormat) -> Codec:
    """The decoder of a file's transfer syntax.

    Raises:
        DecodeError: if there is none; the message says what would help.
    """
    if stored.syntax in JPEG_XL:
        return _JpegXl(path, stored)
    return _Pydicom(path, stored)


class _Pydicom:
    """Decoders of pydicom and its plugins; common JPEG goes to Pillow, which takes a tenth of the time."""

    def __init__(self, path: Path, stored: PixelFormat) -> None:
        from pydicom import uid

        self._stored = stored
        self._decoder = _pydicom_decoder(path, stored.syntax)
        self._is_jpeg = stored.syntax in (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes)
        self._is_jpeg_2000 = stored.syntax in uid.JPEG2000TransferSyntaxes
        self._options: dict[str, Any] = {
            "rows": stored.height,
            "columns": stored.width,
            "samples_per_pixel": stored.samples,
            "photometric_interpretation": stored.photometric,
            # the planes of compressed colours are the codec's affair
            "planar_configuration": int(stored.is_planar and not stored.is_encapsulated),
            "bits_allocated": stored.bits_allocated,
            "bits_stored": stored.bits_stored,
            "pixel_representation": int(stored.is_signed),
            "number_of_frames": 1,
            "pixel_keyword": "PixelData",
            # the order of bytes of 8-bit values is set right when they are read
            "pixel_vr": "OB" if stored.bits_allocated == 8 else "OW",
        }

    def decode(self, payload: bytes) -> Decoded:
        if self._is_jpeg:
            return self._decode_jpeg(payload)
        if self._is_jpeg_2000:
            return self._decode_jpeg_2000(payload)
        return self._decode(payload, self._stored.photometric)

    def _decode(self, payload: bytes, photometric: str) -> Decoded:
        from pydicom.encaps import encapsulate

        options = self._options | {"photometric_interpretation": photometric}
        source = encapsulate([payload], has_bot=False) if self._stored.is_encapsulated else payload
        values, properties = self._decoder.as_array(source, raw=True, **options)
        return values, str(properties["photometric_interpretation"])

    def _decode_jpeg(self, payload: bytes) -> Decoded:
        head = jpeg_head(payload)
        if head is None:
            raise ValueError("no JPEG picture")
        _check_size(self._stored, head.height or self._stored.height, head.width)
        if head.samples != self._stored.samples:
            raise ValueError(f"{head.samples} samples per pixel, the header states {self._stored.samples}")
        photometric = self._colour_space(head)
        if head.is_common:
            return _decode_by_pillow(payload, head, photometric)
        values, _ = self._decode(payload, self._stored.photometric)
        return values, photometric

    def _colour_space(self, head: JpegHead) -> str:
        """What the decoded values are: the JPEG file itself knows best, if it is lossy.

        Lossless ones are nearly always what the header says, also with the JFIF marker of a careless writer.
        """
        if self._stored.samples == 1 or not head.colour:
            return self._stored.photometric
        if not head.is_common and head.colour == "YBR" and self._stored.photometric == "RGB":
            return "RGB"
        return "RGB" if head.colour == "RGB" else "YBR_FULL"

    def _decode_jpeg_2000(self, payload: bytes) -> Decoded:
        head = jpeg_2000_head(payload)
        if head is None:
            raise ValueError("no JPEG 2000 picture")
        _check_size(self._stored, head.height, head.width)
        photometric = self._stored.photometric
        if head.has_colour_transform and photometric.startswith("YBR"):
            # the decoder gives RGB, whatever a careless header says
            photometric = "YBR_RCT"
        return self._decode(payload, photometric)


def _decode_by_pillow(payload: bytes, head: JpegHead, photometric: str) -> Decoded:
    """A JPEG picture as grey or RGB."""
    with Image.open(io.BytesIO(payload), formats=("JPEG",)) as image:
        if head.samples == 1:
            return np.asarray(image), photometric
        if photometric == "RGB" and not head.colour:
            # libjpeg would take them for YBR; asked for YBR it leaves them alone
            image.draft("YCbCr", image.size)
        # without a draft Pillow gives three components as RGB
        return np.asarray(image), "RGB"


class _JpegXl:
    """JPEG XL through imagecodecs."""

    def __init__(self, path: Path, stored: PixelFormat) -> None:
        try:
            import imagecodecs
        except ImportError as error:
            raise DecodeError(
                path, f"holds JPEG XL pictures, which need imagecodecs; {INSTALL_JPEG_XL}"
            ) from error
        if not imagecodecs.JPEGXL.available:
            raise DecodeError(path, "holds JPEG XL pictures, which this imagecodecs cannot read; update it")
        self._read = imagecodecs.jpegxl_decode
        self._shape = (stored.height, stored.width, *([3] if stored.samples == 3 else []))
        self._dtype = np.uint8 if stored.bits_stored <= 8 else np.uint16
        self._stored = stored

    def decode(self, payload: bytes) -> Decoded:
        # with a place for the result a picture of another size is refused before memory is taken for it
        values = np.empty(self._shape, dtype=self._dtype)
        self._read(payload, out=values, numthreads=1)
        if self._stored.is_signed:
            values = values.view(f"i{values.dtype.itemsize}")
        # lossy pictures and JPEG put into JPEG XL come out as RGB; lossless ones as they were
        photometric = self._stored.photometric
        is_stored_ybr = self._stored.syntax == JPEG_XL_LOSSLESS and photometric.startswith("YBR")
        return values, photometric if self._stored.samples == 1 or is_stored_ybr else "RGB"


def _check_size(stored: PixelFormat, height: int, width: int) -> None:
    """Refuse a picture of another size than the file's before a decoder takes memory for it."""
    if (height, width) != (stored.height, stored.width):
        raise ValueError(f"{height} x {width} pixels, the header states {stored.height} x {stored.width}")


def _pydicom_decoder(path: Path, syntax: Any) -> Any:
    from pydicom.pixels.decoders.base import get_decoder

    if syntax.startswith(MPEG_START):
        raise DecodeError(
            path, "holds an MPEG stream, which is not read; export it as MP4, or as DICOM with JPEG Baseline"
        )
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        # a damaged header may hold anything here
        name = f" {syntax}" if re.fullmatch(r"[0-9.]{1,64}", syntax) else ""
        raise DecodeError(
            path, f"its transfer syntax{name} is unknown to pydicom; convert it to JPEG Baseline"
        ) from error
    if not decoder.is_available:
        raise DecodeError(
            path, f"its transfer syntax {syntax.name} needs a decoder that is missing; {INSTALL}"
        )
    return decoder
