"""Frames through torchcodec; what the frames are is still told by PyAV."""

from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from echossl.errors import UserError
from echossl.video.delegated import DelegatedReader
from echossl.video.pyav import PyavReader


class TorchcodecReader(DelegatedReader):
    """A reader on torchcodec; a UserError is also raised where FFmpeg's shared libraries are missing."""

    name: ClassVar[str] = "torchcodec"

    @classmethod
    def is_exact(cls, truth: PyavReader) -> bool:
        """Whether torchcodec gives the frames of such a file."""
        # B-frames in AVI or MPEG-PS: it returns neighbouring frames without a word
        return truth.is_plain

    def _load(self) -> None:
        try:
            self._decoders = import_module("torchcodec.decoders")
        except (ImportError, OSError, RuntimeError) as error:
            reason = (
                'torchcodec does not load; pip install "echossl[torchcodec]" and FFmpeg\'s shared libraries '
                "(Debian: apt-get install ffmpeg), or use backend auto"
            )
            raise UserError(f"{self.path}: {reason}") from error

    def _open(self) -> int:
        self._decoder: Any = self._decoders.VideoDecoder(
            str(self.path), dimension_order="NHWC", seek_mode="exact"
        )
        return len(self._decoder)

    def _decode(self, frames: list[int]) -> npt.NDArray[np.uint8]:
        decoded: npt.NDArray[np.uint8] = self._decoder.get_frames_at(frames).data.numpy()
        return decoded

    def _errors(self) -> tuple[type[Exception], ...]:
        return RuntimeError, ValueError, IndexError

    def close(self) -> None:
        """Release the decoder."""
        self._decoder = None
