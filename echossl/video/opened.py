"""An opened video container: its facts, its index and its decoder; what was open before is taken up again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import cast

import av
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.sidedata.sidedata import SideData, Type
from av.video.stream import VideoStream

from echossl.errors import DecodeError
from echossl.video.decoding import FrameDecoder
from echossl.video.index import FrameIndex, build_index, declared_packets
from echossl.video.limits import MOST_PIXELS, check_picture_size
from echossl.video.orientation import may_be_turned
from echossl.video.pixels import Pixels, Turn, turn_of_matrix

# what is no video container (text, play lists, single pictures, raw streams without times) is refused
CONTAINERS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif,mpeg,mpegts,asf,flv,ogg,nut"
# pixels more slender than this are a slip of the writer and taken as square
MOST_ASPECT = 10


@dataclass
class OpenedVideo:
    """A file that has been read through once; used by one reader at a time.

    Attributes:
        codec_name: FFmpeg's name of the codec.
        container_name: FFmpeg's name of the container.
        index: which packet holds which frame.
        declared_frames: how many frames the header promises, less those an edit list leaves out; or None.
        stored_height: rows of a picture as it is stored, before it is turned.
        stored_width: columns of a picture as it is stored.
        pixel_aspect: height of a pixel divided by its width, as shown.
        turn: how pictures are turned to be shown.
        pixels: makes arrays of pictures.
        decoder: decodes frames.
    """

    codec_name: str
    container_name: str
    index: FrameIndex
    declared_frames: int | None
    stored_height: int
    stored_width: int
    pixel_aspect: float
    turn: Turn
    pixels: Pixels
    decoder: FrameDecoder

    def close(self) -> None:
        """Release the file."""
        self.index.packets.close()


def read_through(path: Path) -> OpenedVideo:
    """Open a file and index it.

    Raises:
        DecodeError: if it holds no video, no frame of it decodes, or its pictures are absurdly large.
    """
    container = _open_container(path)
    try:
        return _opened(path, container)
    finally:
        container.close()


def _opened(path: Path, container: InputContainer) -> OpenedVideo:
    stream = _video_stream(path, container)
    codec = stream.codec_context
    check_picture_size(path, codec.height, codec.width)
    # one thread: loaders decode many files at once, and frames come without delay
    codec.thread_count = 1
    codec.flags |= Flags.copy_opaque
    # pictures in the middle of a file may claim another size
    codec.options = {"max_pixels": str(2 * MOST_PIXELS)}
    aspect = stream.sample_aspect_ratio
    index = build_index(path, container, stream)
    decoder = FrameDecoder(codec, index)
    turn = _turn(path, container, decoder)
    declared = declared_packets(container, stream)
    return OpenedVideo(
        codec_name=codec.codec.canonical_name,
        container_name=container.format.name,
        index=index,
        declared_frames=declared - int(index.packets.is_discard.sum()) if declared else None,
        stored_height=codec.height,
        stored_width=codec.width,
        pixel_aspect=_pixel_aspect(aspect, turn),
        turn=turn,
        pixels=Pixels(codec.pix_fmt or "yuv420p", turn),
        decoder=decoder,
    )


def _turn(path: Path, container: InputContainer, decoder: FrameDecoder) -> Turn:
    """The container's word on how its pictures are turned, which PyAV hands on with the frames."""
    if not may_be_turned(path, container.format.name):
        return Turn()
    try:
        picture = decoder.frame(0)
    except av.FFmpegError:
        picture = None
    if picture is None:
        raise DecodeError(path, "its first frame is damaged; export it again")
    matrices = [
        bytes(side)
        for side in cast("Iterable[SideData]", picture.side_data)
        if side.type == Type.DISPLAYMATRIX
    ]
    if not matrices:
        return Turn()
    turn = turn_of_matrix(np.frombuffer(matrices[0], dtype=np.int32).reshape(3, 3))
    if turn is None:
        reason = "is to be shown slanted, which is no quarter turn or mirror image; export it upright"
        raise DecodeError(path, reason)
    return turn


def _pixel_aspect(width_by_height: Fraction | None, turn: Turn) -> float:
    if not width_by_height or not 1 / MOST_ASPECT <= width_by_height <= MOST_ASPECT:
        return 1.0
    return float(width_by_height if turn.is_transposed else 1 / width_by_height)


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


class IdleVideos:
    """Videos that no reader uses now: a file that is opened again soon is not read through again.

    They are few and small, because training opens thousands of files and each worker process has its own.
    A file that was changed less than two seconds before is not kept, as its time stamp would not tell another
    change. A process that was forked off has its own copies, which share nothing that moves.
    """

    MOST_VIDEOS = 4
    MOST_BYTES = 2**26
    SETTLED_SECONDS = 2.0

    def __init__(self) -> None:
        self._idle: OrderedDict[tuple[str, int, int, int], OpenedVideo] = OrderedDict()
        self._lock = Lock()

    def take(self, path: Path) -> tuple[OpenedVideo, tuple[str, int, int, int] | None]:
        """An opened video, and the key to put it back with; None if it cannot be kept.

        Raises:
            DecodeError: as :func:`read_through`.
        """
        key = self._key(path)
        with self._lock:
            video = self._idle.pop(key, None) if key else None
        return video or read_through(path), key

    def put_back(self, key: tuple[str, int, int, int] | None, video: OpenedVideo) -> None:
        """Keep a video for the next reader, or close it."""
        dropped = [] if key and video.index.packets.num_bytes <= self.MOST_BYTES else [video]
        with self._lock:
            if key and not dropped:
                dropped.extend(filter(None, [self._idle.pop(key, None)]))
                self._idle[key] = video
            while len(self._idle) > self.MOST_VIDEOS or self._num_bytes() > self.MOST_BYTES:
                dropped.append(self._idle.popitem(last=False)[1])
        for old in dropped:
            old.close()

    def _num_bytes(self) -> int:
        return sum(video.index.packets.num_bytes for video in self._idle.values())

    def _key(self, path: Path) -> tuple[str, int, int, int] | None:
        try:
            found = path.stat()
        except OSError as error:
            raise DecodeError(path, f"cannot be read ({error.strerror}); check its permissions") from error
        if time.time() - found.st_mtime < self.SETTLED_SECONDS:
            return None
        return str(path.absolute()), found.st_size, found.st_mtime_ns, found.st_ino


IDLE_VIDEOS = IdleVideos()
