"""Frames of AVI, MP4, MOV, MKV, WebM, GIF and other containers through PyAV (FFmpeg), exact by index."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags
from av.container import InputContainer
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from echossl.errors import DecodeError
from echossl.video.decoding import FrameDecoder
from echossl.video.index import TIMED_CONTAINERS, build_index
from echossl.video.reader import VideoReader

# what is no video container (text, play lists, single pictures, raw streams without times) is refused
CONTAINERS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif,mpeg,mpegts,asf,flv,ogg,nut"


class PyavReader(VideoReader):
    """A reader on PyAV; sound is ignored.

    The packets of the file are read once and kept, still compressed; a frame is decoded from the nearest key
    frame before it, so a file of all-intra frames decodes only what is asked for.

    Attributes:
        codec_name: FFmpeg's name of the codec.
        container_name: FFmpeg's name of the container.
        is_plain: whether other libraries can tell the frames' order, because the container states their
            times or they are stored as they are shown.
        has_closed_groups: whether every frame decodes from the key frame before it in the file.

    Raises:
        DecodeError: if the file holds no video or no frame of it decodes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = _open_container(path)
        try:
            self._read_index()
        except DecodeError:
            self._container.close()
            raise

    def _read_index(self) -> None:
        stream = _video_stream(self.path, self._container)
        codec = stream.codec_context
        # one thread: loaders decode many files at once, and frames come without delay
        codec.thread_count = 1
        codec.flags |= Flags.copy_opaque
        index = build_index(self.path, self._container, stream)
        if self._container.format.name == "gif" and index.num_frames == 1:
            raise DecodeError(self.path, "is a still image (GIF), expected a video; leave it out")
        self.codec_name, self.container_name = codec.codec.canonical_name, self._container.format.name
        is_timed = self.container_name.startswith(TIMED_CONTAINERS)
        self.is_plain = is_timed or not index.is_reordered
        self.has_closed_groups = index.has_closed_groups
        self.num_frames, self.frame_seconds, self.fps = index.num_frames, index.seconds, index.fps
        self.height, self.width = codec.height, codec.width
        self._pixels = _Pixels(codec.pix_fmt or "yuv420p")
        self.channels = self._pixels.channels
        self._decoder = FrameDecoder(codec, index)

    def _frames(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        frames = np.empty((len(wanted), self.height, self.width, self.channels), dtype=np.uint8)
        self._decoder.expect(wanted)
        previous = -1
        for place in np.argsort(wanted, kind="stable"):
            if previous >= 0 and wanted[previous] == wanted[place]:
                frames[place] = frames[previous]
            else:
                frames[place] = self._pixels.of(self._decode(int(wanted[place])))
            previous = place
        return frames

    def close(self) -> None:
        """Release the file."""
        self._container.close()

    def _decode(self, frame: int) -> VideoFrame:
        try:
            picture = self._decoder.frame(frame)
        except av.FFmpegError as error:
            self._decoder.forget()
            raise DecodeError(
                self.path, f"frame {frame} is damaged ({error.strerror}); export it again"
            ) from error
        if picture is None:
            self._decoder.forget()
            raise DecodeError(
                self.path, f"frame {frame} of {self.num_frames} does not decode; export it again"
            )
        if (picture.height, picture.width) != (self.height, self.width):
            raise DecodeError(
                self.path,
                f"frame {frame} has {picture.height} x {picture.width} pixels, the first frames have "
                f"{self.height} x {self.width}; cut the video into one file per picture size",
            )
        return picture


class _Pixels:
    """Pictures of one pixel format as uint8 arrays, grey where the file is grey, otherwise RGB."""

    def __init__(self, pixel_format: str) -> None:
        components = VideoFormat(pixel_format).components
        self._has_alpha = any(component.is_alpha for component in components)
        self.channels = 1 if pixel_format.startswith("gray") else 3
        self._target = "gray" if self.channels == 1 else "rgba" if self._has_alpha else "rgb24"
        # shared by all frames, because setting it up costs more than a small frame
        self._reformatter = VideoReformatter()

    def of(self, picture: VideoFrame) -> npt.NDArray[np.uint8]:
        """Pixels (height, width, channels) of a decoded picture; see-through ones lie on black."""
        array = self._reformatter.reformat(picture, format=self._target, threads=1).to_ndarray()
        pixels: npt.NDArray[np.uint8] = array.astype(np.uint8, copy=False).reshape(*array.shape[:2], -1)
        if self._has_alpha:
            share = pixels[..., 3:].astype(np.uint16)
            return ((pixels[..., :3] * share + 127) // 255).astype(np.uint8)
        return pixels


def _open_container(path: Path) -> InputContainer:
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        # with "file:" a name such as "a:b.avi" stays a name
        return av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except av.ArgumentError as error:
        reason = "is not a video in a known container; convert it to MP4 or AVI, or leave it out"
        raise DecodeError(path, reason) from error
    except av.FFmpegError as error:
        reason = f"is no video, or is cut or damaged ({error.strerror}); copy or export it again"
        raise DecodeError(path, reason) from error


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams:
        raise DecodeError(path, "holds no video (only sound or data); leave it out")
    if not streams[0].codec_context or not streams[0].codec_context.width:
        raise DecodeError(
            path, "holds a video stream that this FFmpeg cannot decode; convert it to H.264 or MJPEG"
        )
    return streams[0]
