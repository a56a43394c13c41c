"""Frames of AVI, MP4, MOV, MKV, WebM, GIF and other containers through PyAV (FFmpeg), exact by index."""

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from echossl.errors import DecodeError
from echossl.video.index import TIMED_CONTAINERS
from echossl.video.opened import IDLE_VIDEOS, OpenedVideo
from echossl.video.pixels import Picture
from echossl.video.reader import VideoReader, checked_indices


class PyavReader(VideoReader):
    """A reader on PyAV; sound is ignored, pictures are turned as a player shows them.

    The packets of the file are found once; a frame is decoded from the nearest key frame before it, so a file
    of all-intra frames decodes only what is asked for.

    Attributes:
        codec_name: FFmpeg's name of the codec.
        container_name: FFmpeg's name of the container.
        is_turned: whether pictures are shown turned or mirrored.
        has_alpha: whether pictures can be seen through.
        ends_in_half: whether the last row shares its colour with a row that is not there.

    Raises:
        DecodeError: if the file holds no video or no frame of it decodes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        video, self._key = IDLE_VIDEOS.take(path)
        self._opened: OpenedVideo | None = video
        index = video.index
        self.codec_name, self.container_name = video.codec_name, video.container_name
        self.is_turned = not video.turn.is_none
        self.has_alpha = video.pixels.has_alpha
        self.ends_in_half = video.pixels.halves_rows and video.stored_height % 2 == 1
        self.num_frames, self.frame_seconds, self.fps = index.num_frames, index.seconds, index.fps
        if self.container_name == "gif" and self.num_frames == 1:
            # a still: FFmpeg makes up a rate
            self.fps = None
        self.declared_frames = video.declared_frames
        self.height, self.width = video.stored_height, video.stored_width
        if video.turn.is_transposed:
            self.height, self.width = self.width, self.height
        self.channels, self.pixel_aspect = video.pixels.channels, video.pixel_aspect

    @property
    def is_plain(self) -> bool:
        """Whether any library can tell the frames' order: by their times, or as they are stored as shown."""
        return self.container_name.startswith(TIMED_CONTAINERS) or not self._video.index.is_reordered

    @property
    def has_closed_groups(self) -> bool:
        """Whether every frame decodes from the key frame before it in the file."""
        return self._video.index.has_closed_groups

    @property
    def leaves_out(self) -> bool:
        """Whether an edit list leaves out frames that are in the file."""
        return bool(self._video.index.packets.is_discard.any())

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        frames = np.empty((len(wanted), self.height, self.width, self.channels), dtype=np.uint8)
        self._decode_into(frames, wanted, self._video.pixels.of)
        return frames

    def read_grey(self, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
        """As ``read``, in grey: uint8 (len(indices), height, width), the luma of ITU-R BT.601.

        Taken from the stored luma where that is the same within 3 grey levels, see :meth:`Pixels.grey_of`.
        """
        wanted = checked_indices(indices, self.num_frames)
        frames = np.empty((len(wanted), self.height, self.width), dtype=np.uint8)
        self._decode_into(frames, wanted, self._video.pixels.grey_of)
        return frames

    def close(self) -> None:
        """Release the file; it is kept for a while, should it be opened again."""
        if self._opened is not None:
            IDLE_VIDEOS.put_back(self._key, self._opened)
            self._opened = None

    @property
    def _video(self) -> OpenedVideo:
        if self._opened is None:
            raise ValueError(f"{self.path}: the video is closed")
        return self._opened

    def _decode_into(
        self,
        frames: npt.NDArray[np.uint8],
        wanted: npt.NDArray[np.int64],
        convert: Callable[[VideoFrame], Picture],
    ) -> None:
        """Decode in the order of showing, whatever the order asked for."""
        self._video.decoder.expect(wanted)
        numbers = wanted.tolist()
        previous = -1
        for place in np.argsort(wanted, kind="stable").tolist():
            if previous >= 0 and numbers[previous] == numbers[place]:
                frames[place] = frames[previous]
            else:
                frames[place] = convert(self._decode(numbers[place]))
            previous = place

    def _decode(self, frame: int) -> VideoFrame:
        video = self._video
        try:
            picture = video.decoder.frame(frame)
        except av.FFmpegError as error:
            video.decoder.forget()
            raise DecodeError(
                self.path, f"frame {frame} is damaged ({error.strerror}); export it again"
            ) from error
        if picture is None:
            video.decoder.forget()
            raise DecodeError(
                self.path, f"frame {frame} of {self.num_frames} does not decode; export it again"
            )
        if (picture.height, picture.width) != (video.stored_height, video.stored_width):
            raise DecodeError(
                self.path,
                f"frame {frame} has {picture.height} x {picture.width} pixels, the first frames have "
                f"{video.stored_height} x {video.stored_width}; cut the video into one file per picture size",
            )
        return picture
