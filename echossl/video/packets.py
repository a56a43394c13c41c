"""The compressed pictures of a file in decoding order: kept in memory, or read from their place in it."""

from __future__ import annotations  # older PyAV has no Packet[...] at run time

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from av import FFmpegError
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from echossl.errors import DecodeError
from echossl.video.limits import MOST_FRAMES

MOST_KEPT_BYTES = 2**30
# the name and the size of an AVI chunk stand before its bytes
CHUNK_HEAD_BYTES = 8
# codecs whose pictures stand alone and whose packets need nothing but their bytes
ALONE = frozenset({"mjpeg", "rawvideo"})


class PacketTag:
    """What a packet hands on to its frame: an object of its own, as PyAV mixes up equal small numbers."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


def packet_position(frame: VideoFrame) -> int:
    """Position of the packet that a frame came from; -1 if the decoder lost it."""
    return frame.opaque.position if isinstance(frame.opaque, PacketTag) else -1


class Packets(ABC):
    """The packets of one video stream, in decoding order.

    Attributes:
        times: a time stamp per packet (presentation, or where the container has none, decoding), or None.
        is_key: bool (n,), whether a packet claims to be a key frame.
        is_discard: bool (n,), whether an edit list leaves the packet's picture out.
        num_bytes: how much memory they take.
    """

    times: list[int | None]
    is_key: npt.NDArray[np.bool_]
    is_discard: npt.NDArray[np.bool_]
    num_bytes: int

    def __len__(self) -> int:
        return len(self.times)

    def packet(self, position: int) -> Packet[VideoStream]:
        """One packet, which tells its frame its position.

        Raises:
            FFmpegError: if the file has changed or is cut.
        """
        packet = self._packet(position)
        packet.opaque = PacketTag(position)
        return packet

    def key_before(self) -> npt.NDArray[np.int64]:
        """int64 (n,), position of the last key frame up to each packet; 0 before the first."""
        return np.maximum.accumulate(np.where(self.is_key, np.arange(len(self)), 0))

    def drop_last(self) -> None:
        """Forget the last packet."""
        self.times.pop()
        self.is_key, self.is_discard = self.is_key[:-1], self.is_discard[:-1]

    @abstractmethod
    def close(self) -> None:
        """Release the file, if it is still open."""

    @abstractmethod
    def _packet(self, position: int) -> Packet[VideoStream]:
        """One packet as the demuxer gives it."""


class KeptPackets(Packets):
    """Packets that were read from first to last and are kept, still compressed.

    Raises:
        DecodeError: if not one packet can be read.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self._packets: list[Packet[VideoStream]] = []
        self.num_bytes = 0
        try:
            for packet in container.demux(stream):
                self._keep(path, packet)
        # PyAV stumbles over an index where a damaged file names a stream that it has not
        except (FFmpegError, IndexError) as error:
            if not self._packets:
                why = error.strerror if isinstance(error, FFmpegError) else "it names unknown streams"
                raise DecodeError(path, f"no frame can be read ({why}); export it again") from error
        self.is_stamped = None not in (stamps := [packet.pts for packet in self._packets])
        kept = zip(stamps, self._packets, strict=True)
        self.times = [packet.dts if stamp is None else stamp for stamp, packet in kept]
        self.is_key = np.array([packet.is_keyframe for packet in self._packets], dtype=bool)
        self.is_discard = np.array([packet.is_discard for packet in self._packets], dtype=bool)

    def _keep(self, path: Path, packet: Packet[VideoStream]) -> None:
        # the demuxer ends with an empty packet that only tells a decoder to finish
        if packet.size:
            self._packets.append(packet)
            self.num_bytes += packet.size
        if self.num_bytes > MOST_KEPT_BYTES or len(self._packets) > MOST_FRAMES:
            most = f"{MOST_KEPT_BYTES // 2**30} GiB or {MOST_FRAMES} frames"
            raise DecodeError(path, f"is longer than {most}; cut it into several files")

    def _packet(self, position: int) -> Packet[VideoStream]:
        return self._packets[position]

    def close(self) -> None:
        """Harmless: the file is not open, and its bytes go with this object."""


class AviPackets(Packets):
    """Packets of an AVI file, read from their place in it when they are asked for.

    Use :meth:`find`, which proves by the file's own table that reading it through would give the same.
    """

    def __init__(
        self, file: int, places: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], times: list[int | None]
    ) -> None:
        self._file: int | None = file
        self._places, self._sizes = places, sizes
        self.times = times
        self.is_key, self.is_discard = np.ones(len(times), dtype=bool), np.zeros(len(times), dtype=bool)
        self.num_bytes = 0

    @classmethod
    def find(cls, path: Path, container: InputContainer, stream: VideoStream) -> AviPackets | None:
        """The packets by the table at the file's end; None where they must be read through.

        Only for files that hold one stream of pictures which stand alone, one chunk after the other from the
        beginning to the end of the list of chunks, so that no chunk is missing in the table.
        """
        entries = stream.index_entries
        codec = stream.codec_context
        is_fit = container.format.name == "avi" and codec.name in ALONE and codec.pix_fmt != "pal8"
        # a file descriptor is read at a place of its own, so that a forked reader cannot move another's
        if not is_fit or len(container.streams) != 1 or not len(entries) or not hasattr(os, "pread"):
            return None
        table = [(entry.pos, entry.size, entry.timestamp) for entry in entries]
        places, sizes, times = (np.array(column, dtype=np.int64) for column in zip(*table, strict=True))
        ends = places + CHUNK_HEAD_BYTES + sizes + sizes % 2
        if (sizes <= 0).any() or (places[1:] != ends[:-1]).any() or (np.diff(times) <= 0).any():
            return None
        file = os.open(path, os.O_RDONLY)
        if not _fills_list(file, int(places[0]), int(ends[-1])):
            os.close(file)
            return None
        return cls(file, places + CHUNK_HEAD_BYTES, sizes, times.tolist())

    def _packet(self, position: int) -> Packet[VideoStream]:
        size = int(self._sizes[position])
        place = int(self._places[position]) - CHUNK_HEAD_BYTES
        chunk = os.pread(self._file, size + CHUNK_HEAD_BYTES, place) if self._file is not None else b""
        if len(chunk) != size + CHUNK_HEAD_BYTES or _size_at(chunk, 4) != size:
            raise FFmpegError(os.EX_DATAERR, "its table of contents is wrong")
        return cast("Packet[VideoStream]", Packet(chunk[CHUNK_HEAD_BYTES:]))

    def close(self) -> None:
        """Release the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()


def _size_at(head: bytes, place: int) -> int:
    return int.from_bytes(head[place : place + 4], "little")


def _fills_list(file: int, first: int, end: int) -> bool:
    """Whether chunks from ``first`` to ``end`` are all that AVI's list of chunks ("movi") holds."""
    head = os.pread(file, 12, first - 12) if first >= 12 else b""
    is_movi = head[:4] == b"LIST" and head[8:] == b"movi"
    return is_movi and first - 4 + _size_at(head, 4) == end and os.fstat(file).st_size >= end
