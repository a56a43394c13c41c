"""Frames through decord, a faster decoder for some files; what the frames are is still told by PyAV."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError, UserError
from echossl.video.pyav import PyavReader
from echossl.video.reader import VideoReader

# Seeking in decord is exact in these. Elsewhere (HEVC, WMV, B-frames in AVI or MPEG-PS, open groups of
# pictures) it returns neighbouring frames without a word.
EXACT_CODECS = frozenset({"h264", "mpeg4", "mjpeg", "vp8", "vp9", "ffv1", "rawvideo"})


class DecordReader(VideoReader):
    """A reader on decord, with the frame count and times of PyAV.

    Raises:
        DecodeError: if the file is damaged, or one that decord gets wrong.
        UserError: if decord is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import decord
        except (ImportError, OSError) as error:
            reason = 'decord is not installed; pip install "echossl[decord]" or use backend auto'
            raise UserError(f"{path}: {reason}") from error
        self.path = path
        self._errors = (decord.DECORDError, RuntimeError)
        with PyavReader(path) as truth:
            self.num_frames, self.height, self.width = truth.num_frames, truth.height, truth.width
            self.channels, self.fps, self.frame_seconds = truth.channels, truth.fps, truth.frame_seconds
            is_exact = truth.codec_name in EXACT_CODECS and truth.is_plain and truth.has_closed_groups
        if not is_exact:
            found = f"decord is not exact on such {truth.codec_name} in {truth.container_name} files"
            raise DecodeError(path, f"{found}; use backend auto")
        try:
            self._reader: Any = decord.VideoReader(str(path), num_threads=1)
        except self._errors as error:
            raise DecodeError(path, "decord cannot open it; use backend auto") from error
        if len(self._reader) != self.num_frames:
            found = f"decord counts {len(self._reader)} frames, {self.num_frames} decode"
            raise DecodeError(path, f"{found}; use backend auto")

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        if not len(wanted):
            return np.empty((0, self.height, self.width, self.channels), dtype=np.uint8)
        try:
            frames: npt.NDArray[np.uint8] = self._reader.get_batch(wanted.tolist()).asnumpy()
        except self._errors as error:
            raise DecodeError(self.path, "decord cannot decode its frames; use backend auto") from error
        # decord makes RGB of grey pictures: three times the same
        return frames[..., : self.channels]

    def close(self) -> None:
        """Release the decoder."""
        self._reader = None
