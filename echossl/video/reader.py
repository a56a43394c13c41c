"""Opening a video: the face every backend wears, and the choice of backend by what the file holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from echossl.config.video import Backend
from echossl.errors import DecodeError

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


class VideoReader(Protocol):
    """One open video file; a context manager. Frames are exact: frame i is the i-th picture shown.

    Attributes:
        num_frames: frames that can be decoded, counted in the file and never taken from its header.
        height: rows of a frame.
        width: columns of a frame.
        channels: 1 (grey) or 3 (RGB).
        fps: mean frames per second, or None where the file states no rate.
        frame_seconds: float64 (num_frames,), presentation time of every frame, starting at 0.0. Where the
            file states no rate all but the first are NaN: a rate is never invented.
    """

    num_frames: int
    height: int
    width: int
    channels: int
    fps: float | None
    frame_seconds: npt.NDArray[np.float64]

    def read(self, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Decode frames in any order, repeats allowed.

        Returns:
            uint8 (len(indices), height, width, channels).

        Raises:
            IndexError: if an index is negative or not below ``num_frames``.
            DecodeError: if a frame is damaged.
        """

    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def open_video(path: str | Path, *, backend: Backend = "auto") -> VideoReader:
    """Open a video; ``auto`` looks into the file (DICOM or anything else), never at its suffix.

    Raises:
        DecodeError: if there is no such file, or it holds no video; the message says why and what to do.
        UserError: if the package of the backend is not installed.
    """
    path = Path(path)
    head = _head(path)
    if is_dicom(head):
        if backend != "auto":
            raise DecodeError(path, f"is a DICOM file, which {backend} cannot read; use backend auto")
        from echossl.video.dicom import DicomReader

        return DicomReader(path)
    _refuse_still(path, head)
    return _open_with(path, backend)


def _open_with(path: Path, backend: Backend) -> VideoReader:
    if backend == "decord":
        from echossl.video.decord import DecordReader

        return DecordReader(path)
    if backend == "torchcodec":
        from echossl.video.torchcodec import TorchcodecReader

        return TorchcodecReader(path)
    from echossl.video.pyav import PyavReader

    return PyavReader(path)


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


def checked_indices(indices: Sequence[int], num_frames: int) -> npt.NDArray[np.int64]:
    """Frame indices as int64 (len(indices),).

    Raises:
        IndexError: if one lies outside 0..num_frames-1.
    """
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    outside = wanted[(wanted < 0) | (wanted >= num_frames)]
    if outside.size:
        raise IndexError(f"frame {outside[0]} was asked for, the video has frames 0 to {num_frames - 1}")
    return wanted


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
