"""Opening a video: the face every backend wears, and the choice of backend by what the file holds."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from echossl.config.video import Backend
from echossl.errors import DecodeError
from echossl.video.backends import FASTEST_EXACT
from echossl.video.grey import to_grey
from echossl.video.kinds import WORDS, kind_of


class VideoReader(ABC):
    """One open video; a context manager. Frames are exact: frame i is the i-th picture shown, upright.

    Attributes:
        path: the file, or the folder of pictures.
        num_frames: frames that can be decoded, counted in the file and never taken from its header.
        height: rows of a frame.
        width: columns of a frame.
        channels: 1 (grey) or 3 (RGB).
        fps: mean frames per second, or None where the file states no rate.
        frame_seconds: float64 (num_frames,), presentation time of every frame, starting at 0.0. Where the
            file states no rate all but the first are NaN: a rate is never invented.
        cm_per_pixel: height of a pixel in cm, or None where the file does not state it.
        pixel_aspect: height of a pixel divided by its width; 1.0 for square ones.
        declared_frames: how many frames the header promises, which is not to be trusted, or None.
    """

    path: Path
    num_frames: int
    height: int
    width: int
    channels: int
    fps: float | None
    frame_seconds: npt.NDArray[np.float64]
    cm_per_pixel: float | None = None
    pixel_aspect: float = 1.0
    declared_frames: int | None = None

    def read(self, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Decode frames in any order, repeats allowed.

        Returns:
            uint8 (len(indices), height, width, channels).

        Raises:
            IndexError: if an index is negative or not below ``num_frames``.
            DecodeError: if a frame is damaged.
        """
        return self._frames(checked_indices(indices, self.num_frames))

    def read_grey(self, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """As ``read``, in grey: uint8 (len(indices), height, width), the luma of ITU-R BT.601."""
        return to_grey(self.read(indices))

    @abstractmethod
    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Decode frames whose numbers are known to be in the video; see :meth:`read`."""

    @abstractmethod
    def close(self) -> None:
        """Release the file; harmless when it is released already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_video(path: str | Path, *, backend: Backend = "auto") -> VideoReader:
    """Open whatever holds frames, by what it holds and never by its suffix.

    Args:
        path: a video file, DICOM file, picture, NIfTI or MetaImage file, or a folder of pictures.
        backend: decoder of video containers, ``auto`` for the fastest that is exact; everything else has one
            reader only.

    Raises:
        DecodeError: if there is no such file, or it holds no frames; the message says why and what to do.
        UserError: if a package that is needed is not installed.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind != "container" and backend != "auto":
        raise DecodeError(path, f"is a {WORDS[kind]}, which {backend} cannot read; use backend auto")
    if kind == "dicom":
        from echossl.video.dicom import DicomReader

        return DicomReader(path)
    if kind in {"still", "frames"}:
        from echossl.video.stills import open_frame_folder, open_still

        return open_still(path) if kind == "still" else open_frame_folder(path)
    if kind == "nifti":
        from echossl.video.nifti import open_nifti

        return open_nifti(path)
    if kind == "metaimage":
        from echossl.video.metaimage import open_metaimage

        return open_metaimage(path)
    return _open_container(path, FASTEST_EXACT if backend == "auto" else backend)


def _open_container(path: Path, backend: Backend) -> VideoReader:
    if backend == "decord":
        from echossl.video.decord import DecordReader

        return DecordReader(path)
    if backend == "torchcodec":
        from echossl.video.torchcodec import TorchcodecReader

        return TorchcodecReader(path)
    from echossl.video.pyav import PyavReader

    return PyavReader(path)


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
