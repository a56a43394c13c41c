"""Readers on other libraries: PyAV tells what the frames are, the library decodes them."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError
from echossl.video.pyav import PyavReader
from echossl.video.reader import VideoReader


class DelegatedReader(VideoReader):
    """A reader whose frame count, times and shape are PyAV's, and whose pixels are another library's.

    A library is only used where its frames are those of PyAV: not where pictures are turned, see-through or
    left out by an edit list, nor where :meth:`is_exact` says no.

    Attributes:
        name: the library.

    Raises:
        DecodeError: if the file is damaged, or one that the library gets wrong.
        UserError: if the library is not installed.
    """

    name: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._load()
        with PyavReader(path) as truth:
            self.num_frames, self.height, self.width = truth.num_frames, truth.height, truth.width
            self.channels, self.fps, self.frame_seconds = truth.channels, truth.fps, truth.frame_seconds
            self.pixel_aspect, self.declared_frames = truth.pixel_aspect, truth.declared_frames
            # FFmpeg's versions make other colours of the last row of a picture of odd height
            is_special = truth.is_turned or truth.leaves_out or truth.has_alpha or truth.ends_in_half
            if is_special or not self.is_exact(truth):
                found = f"is not exact on such {truth.codec_name} in {truth.container_name} files"
                raise DecodeError(path, f"{self.name} {found}; use backend auto")
        try:
            counted = self._open()
        except self._errors() as error:
            raise DecodeError(path, f"{self.name} cannot open it; use backend auto") from error
        if counted != self.num_frames:
            found = f"{self.name} counts {counted} frames, {self.num_frames} decode"
            raise DecodeError(path, f"{found}; use backend auto")

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        shape = (len(wanted), self.height, self.width, self.channels)
        if not len(wanted):
            return np.empty(shape, dtype=np.uint8)
        try:
            frames = self._decode(wanted.tolist())
        except self._errors() as error:
            raise DecodeError(self.path, f"{self.name} cannot decode its frames; use backend auto") from error
        # these libraries make RGB of grey pictures: three times the same
        frames = frames[..., : self.channels]
        if frames.shape != shape:
            found = f"{self.name} gives frames of shape {frames.shape}, expected {shape}"
            raise DecodeError(self.path, f"{found}; use backend auto")
        return frames

    @classmethod
    @abstractmethod
    def is_exact(cls, truth: PyavReader) -> bool:
        """Whether the library gives PyAV's frames of a file that has none of these."""

    @abstractmethod
    def _load(self) -> None:
        """Import the library, or raise a UserError that says what to install."""

    @abstractmethod
    def _open(self) -> int:
        """Open ``self.path``; the number of frames that the library counts."""

    @abstractmethod
    def _decode(self, frames: list[int]) -> npt.NDArray[np.uint8]:
        """Decode at least one frame: uint8 (len(frames), height, width, 3)."""

    @abstractmethod
    def _errors(self) -> tuple[type[Exception], ...]:
        """What the library raises."""
