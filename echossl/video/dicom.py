"""Frames of DICOM cines through pydicom, one at a time; who the patient is is never read."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError, UserError
from echossl.video.dicom_payload import encapsulated_frames, native_frames, pixel_data_value
from echossl.video.dicom_pixels import PixelConverter
from echossl.video.dicom_time import TIME_TAGS, frame_times
from echossl.video.reader import VideoReader

INSTALL = 'pip install "echossl[dicom]"'
PIXEL_TAGS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "WindowCenter",
    "WindowWidth",
    "RescaleSlope",
    "RescaleIntercept",
)
PALETTE_TAGS = tuple(
    f"{prefix}{colour}PaletteColorLookupTable{what}"
    for colour in ("Red", "Green", "Blue")
    for prefix, what in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)
REQUIRED = ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated")
# what pydicom raises for files and pixels that it cannot read
DECODING_ERRORS = (ValueError, RuntimeError, AttributeError, NotImplementedError, LookupError, TypeError)
UNREADABLE = {
    "1.2.840.10008.1.2.4.11": "holds JPEG XL pictures, which pydicom cannot decode; "
    "convert them to JPEG Baseline with dcm4che's dcm2dcm, or with imagecodecs (pip install imagecodecs)",
    "1.2.840.10008.1.2.4.10": "holds an MPEG stream, which pydicom cannot decode; "
    "export it as MP4, or as DICOM with JPEG Baseline",
}


class DicomReader(VideoReader):
    """A reader on pydicom. A single-frame file is a video of one frame.

    Only the tags of pixels and of time are read from the file, so that no name or number of a patient can get
    into a message. Frames are counted in the file; ``Number of Frames`` is only an upper bound.

    Raises:
        DecodeError: if the file holds no frames or pydicom cannot decode them.
        UserError: if pydicom is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pydicom  # noqa: F401 - the extra is asked for here, once
        except ImportError as error:
            raise UserError(f"{path}: DICOM files need pydicom; {INSTALL}") from error
        self.path = path
        with _quiet():
            self._open()

    def _open(self) -> None:
        tags, pixel_data, self._pixel_type = _read_file(self.path)
        self._syntax = tags.file_meta.TransferSyntaxUID
        self._decoder = _decoder(self.path, self._syntax)
        missing = [name for name in REQUIRED if tags.get(name) is None]
        if missing or not pixel_data:
            what = ", ".join(missing) or "Pixel Data"
            raise DecodeError(self.path, f"is a DICOM file without pictures (no {what}); leave it out")
        self._tags = tags
        self._payloads = self._cut(pixel_data)
        if not self._payloads:
            raise DecodeError(self.path, "no frame is in the file whole; copy it again")
        self.num_frames = len(self._payloads)
        self.height, self.width = int(tags.Rows), int(tags.Columns)
        self.frame_seconds, self.fps = frame_times(tags, self.num_frames)
        self._converter = PixelConverter(self.path, tags)
        self.channels = self._converter.channels
        # a file that cannot be decoded is refused when it is opened
        self._pixels(0)

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        frames = np.empty((len(wanted), self.height, self.width, self.channels), dtype=np.uint8)
        with _quiet():
            for frame in np.unique(wanted):
                frames[wanted == frame] = self._pixels(int(frame))
        return frames

    def close(self) -> None:
        """Release the frames' bytes; the file itself is closed already."""
        self._payloads = []

    def _cut(self, pixel_data: bytes) -> list[bytes]:
        from pydicom.pixels.utils import get_expected_length

        declared = max(int(self._tags.get("NumberOfFrames") or 1), 1)
        if self._syntax.is_encapsulated:
            return encapsulated_frames(pixel_data, declared)
        self._tags.NumberOfFrames = 1
        return native_frames(pixel_data, get_expected_length(self._tags), declared)

    def _pixels(self, frame: int) -> npt.NDArray[np.uint8]:
        """One frame, uint8 (height, width, channels)."""
        from pydicom.encaps import encapsulate
        from pydicom.pixels.utils import as_pixel_options

        payload = self._payloads[frame]
        if self._syntax.is_encapsulated:
            payload = encapsulate([payload], has_bot=False)
        options = as_pixel_options(
            self._tags, number_of_frames=1, pixel_keyword="PixelData", pixel_vr=self._pixel_type
        )
        try:
            array, properties = self._decoder.as_array(payload, **options)
        except DECODING_ERRORS as error:
            reason = " ".join(str(error).split())
            raise DecodeError(self.path, f"frame {frame} is damaged ({reason}); export it again") from error
        return self._converter.convert(array, str(properties["photometric_interpretation"]))


def _read_file(path: Path) -> tuple[Any, bytes, str]:
    """The tags of pixels and time, and the value and type of Pixel Data."""
    import pydicom
    from pydicom import uid

    wanted = [*PIXEL_TAGS, *PALETTE_TAGS, *TIME_TAGS]
    try:
        with path.open("rb") as file:
            tags = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(wanted))
            tags.file_meta.TransferSyntaxUID = syntax = _transfer_syntax(tags)
            if syntax == uid.DeflatedExplicitVRLittleEndian:
                file.seek(0)
                inflated = pydicom.dcmread(file, force=True, specific_tags=["PixelData"])
                return tags, bytes(inflated.get("PixelData", b"")), "OB"
            is_implicit, is_little_endian = tags.original_encoding
            value, kind = pixel_data_value(
                file, explicit=not is_implicit, little_endian=bool(is_little_endian)
            )
            return tags, value, kind
    except (*DECODING_ERRORS, EOFError, OSError) as error:
        raise DecodeError(path, f"is a damaged DICOM file ({type(error).__name__}); copy it again") from error


def _transfer_syntax(tags: Any) -> Any:
    """The stated transfer syntax; without one, that of plain pixels in the byte order found."""
    from pydicom import uid

    stated = tags.file_meta.get("TransferSyntaxUID")
    if stated:
        return stated
    is_implicit, is_little_endian = tags.original_encoding
    if is_implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if is_little_endian else uid.ExplicitVRBigEndian


def _decoder(path: Path, syntax: Any) -> Any:
    """The decoder of a transfer syntax, or a refusal that says what would help."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        advice = next(
            (advice for start, advice in UNREADABLE.items() if syntax.startswith(start)),
            f"its transfer syntax {syntax} is unknown to pydicom; convert it to JPEG Baseline",
        )
        raise DecodeError(path, advice) from error
    if not decoder.is_available:
        raise DecodeError(
            path, f"its transfer syntax {syntax.name} needs a decoder that is missing; {INSTALL}"
        )
    return decoder


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom's warnings, which may quote values of the file, out of logs and terminals."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
