"""Which packet of a file holds which frame, when it is shown, and where its decoding must start."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av import FFmpegError
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from echossl.errors import DecodeError
from echossl.video.mpeg4 import PACKER, picture_type
from echossl.video.packets import AviPackets, KeptPackets, Packets, packet_position
from echossl.video.times import presentation_times

# in these a packet is a frame, so that the packets with their times are the whole index
PACKET_IS_FRAME = frozenset({"h264", "hevc", "vp9", "av1", "libdav1d"})
# these can be decoded exactly from any of their key frames on
RESTARTS_AT_KEY_FRAMES = PACKET_IS_FRAME | {"vp8", "mpeg4", "mpeg1video", "mpeg2video", "ffv1"}
TIMED_CONTAINERS = ("mov", "matroska")


@dataclass(frozen=True)
class FrameIndex:
    """Where the frames of one video are.

    Attributes:
        packets: the video's packets in decoding order.
        identity: int64 (num_frames,), what a decoded frame is recognised by: its packet's position, or where
            that is not unique its rank in decoding from the first packet.
        start: int64 (num_frames,), position of the packet from which decoding gives the frame exactly; never
            falls from one frame to the next.
        by_packet: whether ``identity`` is a packet's position.
        seconds: float64 (num_frames,), presentation times from 0.0; NaN after the first if unknown.
        fps: mean frames per second, None if unknown.
    """

    packets: Packets
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
        return bool((self.start == self.packets.key_before()[self.identity]).all())


def build_index(path: Path, container: InputContainer, stream: VideoStream) -> FrameIndex:
    """Find every packet of a stream; decode only where packets alone do not tell the frames.

    Raises:
        DecodeError: if no frame decodes, or frames in the middle of the video are damaged.
    """
    codec = stream.codec_context
    packets = AviPackets.find(path, container, stream) or KeptPackets(path, container, stream)
    while len(packets) and _is_broken(packets, codec):
        packets.drop_last()
    order: list[int] = np.flatnonzero(~packets.is_discard).tolist()
    if codec.codec.intra_only:
        ticks = [packets.times[position] for position in order]
    elif isinstance(packets, KeptPackets) and _packets_tell(container, stream, packets):
        order = _order_shown(container, packets, order)
        ticks = [packets.times[position] if packets.is_stamped else None for position in order]
    else:
        order, ticks = _count_by_decoding(path, codec, packets)
    if not order:
        raise DecodeError(path, "no frame decodes; the file is damaged, export it again")
    seconds, fps = presentation_times(ticks, stream.time_base, stream.average_rate)
    by_packet = min(order) >= 0 and len(set(order)) == len(order)
    identity = np.array(order if by_packet else range(len(order)), dtype=np.int64)
    start = _starts(codec, packets, identity) if by_packet else np.zeros_like(identity)
    return FrameIndex(packets, identity, start, by_packet, seconds, fps)


def declared_packets(container: InputContainer, stream: VideoStream) -> int:
    """How many packets the header promises; 0 if it does not say. An edit list may cut some of them off."""
    is_listed = container.format.name.startswith("mov") and len(stream.index_entries) > 0
    return len(stream.index_entries) if is_listed else stream.frames


def _is_broken(packets: Packets, codec: VideoCodecContext) -> bool:
    """Whether a file's last packet is cut, or space that was reserved and never written."""
    try:
        packet = packets.packet(len(packets) - 1)
        if packet.is_corrupt:
            return True
        return not codec.decode(packet) if codec.codec.intra_only else not any(memoryview(packet))
    except FFmpegError:
        return True


def _packets_tell(container: InputContainer, stream: VideoStream, packets: KeptPackets) -> bool:
    """Whether packets and their times can be trusted to be the frames."""
    if not len(packets) or not packets.is_key[0]:
        return False
    is_timed = container.format.name.startswith(TIMED_CONTAINERS)
    codec = stream.codec_context
    if codec.name == "mpeg4":
        # headers may stand in the container instead
        if PACKER in (codec.extradata or b""):
            return False
        types = {picture_type(memoryview(packets.packet(position))) for position in range(len(packets))}
        # without B-frames pictures are stored as they are shown, which needs no times
        if types <= {"I", "P"} and not (is_timed or packets.is_discard.any()):
            return True
        if not types <= {"I", "P", "B"}:
            return False
    if not is_timed or codec.name not in PACKET_IS_FRAME | {"mpeg4"} or not packets.is_stamped:
        return False
    times = [time for time in packets.times if time is not None]
    # pictures shown before the first key frame belong to a group that is not in the file
    starts_clean = times[0] == min(times)
    return (
        starts_clean
        and len(set(times)) == len(times)
        and declared_packets(container, stream) in {0, len(packets)}
    )


def _order_shown(container: InputContainer, packets: KeptPackets, shown: list[int]) -> list[int]:
    if container.format.name.startswith(TIMED_CONTAINERS):
        return sorted(shown, key=lambda position: packets.times[position] or 0)
    return shown


def _count_by_decoding(
    path: Path, codec: VideoCodecContext, packets: Packets
) -> tuple[list[int], list[int | None]]:
    """Packet position (-1 if unknown) and time stamp of every frame that decodes, in the order of showing."""
    order: list[int] = []
    ticks: list[int | None] = []
    failed: int | None = None
    for fed in range(len(packets) + 1):
        try:
            frames = codec.decode(packets.packet(fed) if fed < len(packets) else None)
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
    codec: VideoCodecContext, packets: Packets, identity: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Start of decoding for every frame: the last key frame that is neither decoded nor shown after it."""
    if codec.codec.intra_only:
        return identity.copy()
    # MPEG-4 with B-frames may be packed two to a packet, which a restart tears apart
    packable = codec.name == "mpeg4" and bool((np.diff(identity) < 0).any())
    if codec.name not in RESTARTS_AT_KEY_FRAMES or packable:
        return np.zeros_like(identity)
    key_before = packets.key_before()
    is_key = key_before == np.arange(len(packets))
    key_shown = np.maximum.accumulate(np.where(is_key[identity], identity, 0))
    # a picture shown before the key frame that precedes it in the file needs the group before that one
    return np.minimum(key_before[identity], key_shown)
