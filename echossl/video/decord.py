"""Frames through decord; what the frames are is still told by PyAV."""

from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from echossl.errors import UserError
from echossl.video.delegated import DelegatedReader
from echossl.video.pyav import PyavReader

# Seeking in decord is exact in these. Elsewhere (HEVC, WMV, B-frames in AVI or MPEG-PS, open groups of
# pictures) it returns neighbouring frames without a word.
EXACT_CODECS = frozenset({"h264", "mpeg4", "mjpeg", "vp8", "vp9", "ffv1", "rawvideo"})


class DecordReader(DelegatedReader):
    """A reader on decord."""

    name: ClassVar[str] = "decord"

    @classmethod
    def is_exact(cls, truth: PyavReader) -> bool:
        """Whether decord seeks to the frames of such a file."""
        # it allots memory for as many frames as the header promises, and aborts the process for want of it
        is_honest = truth.declared_frames in {None, truth.num_frames}
        return is_honest and truth.codec_name in EXACT_CODECS and truth.is_plain and truth.has_closed_groups

    def _load(self) -> None:
        try:
            self._decord = import_module("decord")
        except (ImportError, OSError) as error:
            reason = 'decord is not installed; pip install "echossl[decord]" or use backend auto'
            raise UserError(f"{self.path}: {reason}") from error

    def _open(self) -> int:
        self._reader: Any = self._decord.VideoReader(str(self.path), num_threads=1)
        return len(self._reader)

    def _decode(self, frames: list[int]) -> npt.NDArray[np.uint8]:
        decoded: npt.NDArray[np.uint8] = self._reader.get_batch(frames).asnumpy()
        return decoded

    def _errors(self) -> tuple[type[Exception], ...]:
        return self._decord.DECORDError, RuntimeError

    def close(self) -> None:
        """Release the decoder."""
        self._reader = None
