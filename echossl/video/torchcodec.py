"""Frames through torchcodec; what the frames are is still told by PyAV."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echossl.errors import DecodeError, UserError
from echossl.video.pyav import PyavReader
from echossl.video.reader import VideoReader


class TorchcodecReader(VideoReader):
    """A reader on torchcodec, with the frame count and times of PyAV.

    Raises:
        DecodeError: if the file is damaged or one that torchcodec gets wrong.
        UserError: if torchcodec, or FFmpeg's shared libraries that it loads, are not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            decoders = import_module("torchcodec.decoders")
        except (ImportError, OSError, RuntimeError) as error:
            reason = (
                'torchcodec does not load; pip install "echossl[torchcodec]" and FFmpeg\'s shared libraries '
                "(Debian: apt-get install ffmpeg), or use backend auto"
            )
            raise UserError(f"{path}: {reason}") from error
        self.path = path
        with PyavReader(path) as truth:
            self.num_frames, self.height, self.width = truth.num_frames, truth.height, truth.width
            self.channels, self.fps, self.frame_seconds = truth.channels, truth.fps, truth.frame_seconds
            # B-frames in AVI or MPEG-PS: torchcodec returns neighbouring frames without a word
            if not truth.is_plain:
                found = f"torchcodec is not exact on such {truth.codec_name} in {truth.container_name} files"
                raise DecodeError(path, f"{found}; use backend auto")
        try:
            self._decoder: Any = decoders.VideoDecoder(str(path), dimension_order="NHWC", seek_mode="exact")
        except (RuntimeError, ValueError) as error:
            raise DecodeError(path, "torchcodec cannot open it; use backend auto") from error
        if len(self._decoder) != self.num_frames:
            found = f"torchcodec counts {len(self._decoder)} frames, {self.num_frames} decode"
            raise DecodeError(path, f"{found}; use backend auto")

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        if not len(wanted):
            return np.empty((0, self.height, self.width, self.channels), dtype=np.uint8)
        try:
            frames: npt.NDArray[np.uint8] = self._decoder.get_frames_at(wanted.tolist()).data.numpy()
        except (RuntimeError, ValueError, IndexError) as error:
            raise DecodeError(self.path, "torchcodec cannot decode its frames; use backend auto") from error
        # torchcodec makes RGB of grey pictures: three times the same
        return frames[..., : self.channels]

    def close(self) -> None:
        """Release the decoder."""
        self._decoder = None
