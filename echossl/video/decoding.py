"""Exact frames out of packets: decode on from where the last frame was, or anew from a key frame."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from av import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from echossl.video.index import FrameIndex
from echossl.video.packets import packet_position


class FrameDecoder:
    """Decodes the frames of an index; cheapest when they are asked for in the order of showing."""

    def __init__(self, codec: VideoCodecContext, index: FrameIndex) -> None:
        self._codec, self._index = codec, index
        self._frame_of = dict(zip(index.identity.tolist(), range(index.num_frames), strict=True))
        self._starts = index.start.tolist()
        self._stands_alone = codec.codec.intra_only and index.by_packet
        self._can_skip = codec.name == "h264" and index.by_packet
        self.expect(np.arange(0))
        self.forget()

    def expect(self, frames: npt.NDArray[np.int64]) -> None:
        """Say which frames will be asked for, so that pictures nobody needs can be skipped."""
        self._expected = set(frames.tolist())
        self._last_expected = int(frames.max(initial=-1))

    def forget(self) -> None:
        """Start anew at the next frame, for example after an error."""
        self._pictures: Iterator[VideoFrame] = iter(())
        self._run_start, self._position, self._rank, self._last_frame = -1, -2, -1, -1

    def frame(self, frame: int) -> VideoFrame | None:
        """Decode one frame; None if it does not come out of the decoder.

        Raises:
            FFmpegError: if a packet on the way is damaged.
        """
        if self._stands_alone:
            with suppress(FFmpegError):
                picture = self._decode_alone(frame)
                if picture is not None:
                    return picture
            self.forget()
        start = self._starts[frame]
        goes_on = self._run_start <= start <= self._position + 1 and frame > self._last_frame
        # a key frame may not be one in truth; the way from the very first packet is always left
        for begin in (None, start) if goes_on else (start,):
            if begin == 0:
                break
            with suppress(FFmpegError):
                picture = self._decode_to(frame, begin)
                if picture is not None:
                    return picture
        return self._decode_to(frame, 0)

    def _decode_alone(self, frame: int) -> VideoFrame | None:
        """Decode one packet of a codec whose pictures stand alone, if its picture comes at once."""
        self._run_start = self._position = position = self._starts[frame]
        self._last_frame = frame
        for picture in self._codec.decode(self._index.packets.packet(position)):
            if packet_position(picture) == position and not picture.is_corrupt:
                return picture
        return None

    def _decode_to(self, frame: int, begin: int | None) -> VideoFrame | None:
        """Decode up to a frame, from a packet on or, with None, from where decoding stands."""
        if begin is not None:
            self._begin(begin)
        return self._advance(frame)

    def _begin(self, start: int) -> None:
        self._codec.flush_buffers()
        self._run_start, self._position, self._last_frame = start, start - 1, -1
        # where frames are told by their rank, every run starts at packet 0
        self._rank = -1
        self._pictures = self._decode()

    def _advance(self, frame: int) -> VideoFrame | None:
        for picture in self._pictures:
            self._rank += 1
            key = packet_position(picture) if self._index.by_packet else self._rank
            found = self._frame_of.get(key, -1)
            self._last_frame = max(self._last_frame, found)
            if found == frame and not picture.is_corrupt:
                return picture
            if found >= frame:
                return None
        return None

    def _decode(self) -> Iterator[VideoFrame]:
        packets = self._index.packets
        for position in range(self._run_start, len(packets)):
            self._position = position
            if self._can_skip:
                self._codec.skip_frame = "NONREF" if self._is_idle(position) else "DEFAULT"
            yield from self._codec.decode(packets.packet(position))
        yield from self._codec.decode(None)

    def _is_idle(self, position: int) -> bool:
        """Whether a packet's picture is not asked for: if no other refers to it, H.264 lets us skip it."""
        frame = self._frame_of.get(position, -1)
        # those after the last one asked for are kept, because the next request may go on with them
        return frame < self._last_expected and frame not in self._expected
