"""Which packet of a file holds which frame, when it is shown, and where its decoding must start."""

from __future__ import annotations  # older PyAV has no Packet[...] at run time

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av import FFmpegError, VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from echossl.errors import DecodeError

# in these a packet is a frame, so that the packets with their times are the whole index
PACKET_IS_FRAME = frozenset({"h264", "hevc", "vp9", "av1", "libdav1d"})
# these can be decoded exactly from any of their key frames on
RESTARTS_AT_KEY_FRAMES = PACKET_IS_FRAME | {"vp8", "mpeg4", "mpeg1video", "mpeg2video", "ffv1"}
TIMED_CONTAINERS = ("mov", "matroska")
RATE_TOLERANCE = 0.01


class PacketTag:
    """What a packet hands on to its frame: an object of its own, as PyAV mixes up equal small numbers."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


@dataclass(frozen=True)
class FrameIndex:
    """Where the frames of one video are.

    Attributes:
        packets: the video's packets in decoding order; see :func:`tagged`.
        identity: int64 (num_frames,), what a decoded frame is recognised by: its packet's position, or where
            that is not unique its rank in decoding from the first packet.
        start: int64 (num_frames,), position of the packet from which decoding gives the frame exactly; never
            falls from one frame to the next.
        by_packet: whether ``identity`` is a packet's position.
        seconds: float64 (num_frames,), presentation times from 0.0; NaN after the first if unknown.
        fps: mean frames per second, None if unknown.
    """

    packets: list[Packet[VideoStream]]
    identity: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    by_packet: bool
    seconds: npt.NDArray[np.float64]
    fps: float | None

    @property
    def num_frames(self) -> int:
        """Number of frames that can be decoded."""
        return len(self.identity)

    @property
    def is_reordered(self) -> bool:
        """Whether frames are stored in another order than they are shown (B-frames)."""
        return bool((np.diff(self.identity) < 0).any())

    @property
    def has_closed_groups(self) -> bool:
        """Whether every frame decodes from the last key frame before it in the file."""
        return bool((self.start == _key_before(self.packets)[self.identity]).all())


def build_index(path: Path, container: InputContainer, stream: VideoStream) -> FrameIndex:
    """Read every packet of a stream once; decode only where packets alone do not tell the frames.

    Raises:
        DecodeError: if no frame decodes, or frames in the middle of the video are damaged.
    """
    codec = stream.codec_context
    packets = _packets(path, container, stream)
    shown = [position for position, packet in enumerate(packets) if not packet.is_discard]
    if codec.codec.intra_only:
        order = shown
        ticks = [
            packets[position].dts if packets[position].pts is None else packets[position].pts
            for position in order
        ]
    elif _packets_tell(container, stream, packets):
        order = sorted(shown, key=lambda position: packets[position].pts or 0)
        ticks = [packets[position].pts for position in order]
    else:
        order, ticks = _count_by_decoding(path, codec, packets)
    if not order:
        raise DecodeError(path, "no frame decodes; the file is damaged, export it again")
    seconds, fps = presentation_times(ticks, stream.time_base, stream.average_rate)
    by_packet = min(order) >= 0 and len(set(order)) == len(order)
    identity = np.array(order if by_packet else range(len(order)), dtype=np.int64)
    start = _starts(codec, packets, identity) if by_packet else np.zeros_like(identity)
    return FrameIndex(packets, identity, start, by_packet, seconds, fps)


def tagged(packet: Packet[VideoStream], position: int) -> Packet[VideoStream]:
    """The packet, which from now on tells its frame its position in decoding order."""
    packet.opaque = PacketTag(position)
    return packet


def packet_position(frame: VideoFrame) -> int:
    """Position of the tagged packet that a frame came from; -1 if the decoder lost it."""
    return frame.opaque.position if isinstance(frame.opaque, PacketTag) else -1


def presentation_times(
    ticks: list[int | None], time_base: Fraction | None, declared: Fraction | None
) -> tuple[npt.NDArray[np.float64], float | None]:
    """Seconds of every frame, and the mean rate.

    Args:
        ticks: a time stamp per frame in units of ``time_base``, in the order of showing.
        time_base: seconds per tick.
        declared: the rate that the file states; believed when it agrees with the times within 1 %, or when
            there are no usable times.

    Returns:
        float64 (len(ticks),) starting at 0.0, and frames per second or None.
    """
    count = len(ticks)
    stated = float(declared) if declared else None
    known = np.array([tick for tick in ticks if tick is not None], dtype=np.float64)
    if time_base and len(known) == count > 1 and bool((np.diff(known) > 0).all()):
        seconds = (known - known[0]) * float(time_base)
        mean = (count - 1) / float(seconds[-1])
        agrees = stated is not None and abs(stated - mean) <= RATE_TOLERANCE * mean
        return seconds, stated if agrees else mean
    if stated is not None:
        return np.arange(count) / stated, stated
    return np.where(np.arange(count) == 0, 0.0, np.nan), None


def _packets(path: Path, container: InputContainer, stream: VideoStream) -> list[Packet[VideoStream]]:
    """All packets but the broken ones at the end, which is what a cut file has."""
    packets: list[Packet[VideoStream]] = []
    try:
        # the demuxer ends with an empty packet that only tells a decoder to finish
        packets.extend(packet for packet in container.demux(stream) if packet.size)
    except FFmpegError as error:
        if not packets:
            raise DecodeError(path, f"no frame can be read ({error.strerror}); export it again") from error
    while packets and _is_broken(packets[-1], stream.codec_context):
        packets.pop()
    return packets


def _is_broken(packet: Packet[VideoStream], codec: VideoCodecContext) -> bool:
    """Whether a file's last packet is cut, or space that was reserved and never written."""
    if packet.is_corrupt:
        return True
    if not codec.codec.intra_only:
        return not any(memoryview(packet))
    try:
        return not codec.decode(packet)
    except FFmpegError:
        return True


def _packets_tell(container: InputContainer, stream: VideoStream, packets: list[Packet[VideoStream]]) -> bool:
    """Whether packets and their times can be trusted to be the frames."""
    is_timed = container.format.name.startswith(TIMED_CONTAINERS)
    if not is_timed or stream.codec_context.name not in PACKET_IS_FRAME:
        return False
    times = {packet.pts for packet in packets}
    if not packets or None in times or len(times) != len(packets) or not packets[0].is_keyframe:
        return False
    # pictures shown before the first key frame belong to a group that is not in the file
    starts_clean = packets[0].pts == min(time for time in times if time is not None)
    return starts_clean and stream.frames in {0, len(packets)}


def _count_by_decoding(
    path: Path, codec: VideoCodecContext, packets: list[Packet[VideoStream]]
) -> tuple[list[int], list[int | None]]:
    """Packet position (-1 if unknown) and time stamp of every frame that decodes, in the order of showing."""
    order: list[int] = []
    ticks: list[int | None] = []
    failed: int | None = None
    for fed, packet in enumerate([*packets, None]):
        try:
            frames = codec.decode(tagged(packet, fed) if packet else None)
        except FFmpegError:
            failed = fed if failed is None else failed
            continue
        for frame in frames:
            position = packet_position(frame)
            if failed is not None and position > failed:
                raise DecodeError(
                    path, f"damaged near frame {len(order)}, with more after it; export it again"
                )
            if frame.is_corrupt:
                failed = position if failed is None else failed
                continue
            order.append(position)
            ticks.append(frame.pts)
    return order, ticks


def _starts(
    codec: VideoCodecContext,
    packets: list[Packet[VideoStream]],
    identity: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Start of decoding for every frame: the last key frame that is neither decoded nor shown after it."""
    if codec.codec.intra_only:
        return identity.copy()
    reordered = bool((np.diff(identity) < 0).any())
    # MPEG-4 with B-frames may be packed two to a packet, which a restart tears apart
    packable = codec.name == "mpeg4" and reordered
    if codec.name not in RESTARTS_AT_KEY_FRAMES or packable:
        return np.zeros_like(identity)
    key_before = _key_before(packets)
    is_key = key_before == np.arange(len(packets))
    key_shown = np.maximum.accumulate(np.where(is_key[identity], identity, 0))
    # a picture shown before the key frame that precedes it in the file needs the group before that one
    return np.minimum(key_before[identity], key_shown)


def _key_before(packets: list[Packet[VideoStream]]) -> npt.NDArray[np.int64]:
    """Position of the last key frame up to each packet; 0 before the first."""
    is_key = np.array([packet.is_keyframe for packet in packets])
    return np.maximum.accumulate(np.where(is_key, np.arange(len(packets)), 0))
