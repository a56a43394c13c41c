"""Frames of DICOM cines, one at a time; who the patient is is never read."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError
from echossl.video.dicom_codecs import DECODING_ERRORS, codec_for
from echossl.video.dicom_format import PIXEL_TAGS, PixelFormat, pixel_format
from echossl.video.dicom_header import DataSet, open_data_set, value_of
from echossl.video.dicom_payload import EncapsulatedFrames, NativeFrames, encapsulated_frames, native_frames
from echossl.video.dicom_pixels import VALUE_TAGS, PixelConverter
from echossl.video.dicom_scale import SCALE_TAGS, pixel_scale
from echossl.video.dicom_time import TIME_TAGS, frame_times
from echossl.video.limits import check_num_frames
from echossl.video.reader import VideoReader


class DicomReader(VideoReader):
    """A reader on pydicom. A single-frame file is a video of one frame.

    Only the elements of pixels, time and scale are read from the file, so that no name or number of a patient
    can get into a message. Of the pixels the file's index of fragments is read when it is opened, and a
    frame's own bytes when it is asked for (a deflated file is read whole). Frames are counted in the file;
    ``Number of Frames`` is only an upper bound.

    Raises:
        DecodeError: if the file holds no frames or they cannot be decoded.
        UserError: if pydicom or a decoder is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with quiet():
            data = open_data_set(path, [*PIXEL_TAGS, *VALUE_TAGS, *TIME_TAGS, *SCALE_TAGS])
            self._file = data.file
            try:
                self._open(data)
            except BaseException:
                self.close()
                raise

    def _open(self, data: DataSet) -> None:
        stored = pixel_format(self.path, data)
        self._codec = codec_for(self.path, stored)
        self._places = _frame_places(self.path, data, stored)
        self.num_frames = self._places.num_frames
        if not self.num_frames:
            raise DecodeError(self.path, "no frame is in the file whole; copy it again")
        check_num_frames(self.path, self.num_frames)
        self.declared_frames = stored.num_declared
        self.height, self.width = stored.height, stored.width
        self.frame_seconds, self.fps = frame_times(data.tags, self.num_frames)
        self.cm_per_pixel, self.pixel_aspect = pixel_scale(data.tags, self.height, self.width)
        self._converter = PixelConverter(self.path, data.tags, stored)
        self.channels = self._converter.channels
        # a file that cannot be decoded is refused when it is opened
        self._picture(0)

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        frames = np.empty((len(wanted), self.height, self.width, self.channels), dtype=np.uint8)
        with quiet():
            for frame in np.unique(wanted):
                frames[wanted == frame] = self._picture(int(frame))
        return frames

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _picture(self, frame: int) -> npt.NDArray[np.uint8]:
        """One frame, uint8 (height, width, channels)."""
        try:
            payload = self._places.read(self._file, frame)
            values, photometric = self._codec.decode(payload)
            return self._converter.convert(values, photometric)
        except DECODING_ERRORS as error:
            reason = " ".join(str(error).split())
            raise DecodeError(self.path, f"frame {frame} is damaged ({reason}); export it again") from error


def _frame_places(path: Path, data: DataSet, stored: PixelFormat) -> NativeFrames | EncapsulatedFrames:
    if not stored.is_encapsulated:
        swapped = not stored.little_endian and stored.bits_allocated == 8 and stored.pixels.kind == "OW"
        return native_frames(stored.pixels, stored.frame_bytes, stored.num_declared, swapped=swapped)
    table = value_of(data.tags, "ExtendedOffsetTable")
    return encapsulated_frames(
        path, data.file, stored.pixels, stored.num_declared, table if isinstance(table, bytes) else b""
    )


@contextmanager
def quiet() -> Iterator[None]:
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
