"""How the frames of a clip store lie on disk: one class per format, which writes and reads them.

- ``raw``: as they are. By far the fastest to read; 12.5 kB for a frame of 112 x 112.
- ``compressed``: each frame by itself as differences to the pixel on the left, in deflate with run lengths.
  1.7 to 1.8 times smaller than raw on phantom videos, 2.3 times on real echo; about 1,000 clips of 16 frames
  a second and core. For collections that do not fit on the disk otherwise. Differences in time or blocks of
  frames save less (1.5 to 1.7), as speckle changes with every frame; PNG and FFV1 save as much but are read
  two to four times more slowly.
- ``files``: nothing is stored. Clips are decoded from the video files, which costs as much as decoding does,
  in every epoch anew. For a first look, or where the files decode fast and a store has no place.
"""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, ClassVar, NamedTuple

import numpy as np

from echossl.config.data import PrepareConfig
from echossl.data.decode import read_placed
from echossl.data.maps import Maps, Stored, StoreSettings
from echossl.data.origin import SourceVideo, source_video
from echossl.data.store_tables import (
    outline_of,
    placements_of,
    read_table,
    shard_path,
    sources_of,
    table_path,
)
from echossl.errors import DecodeError, EchosslError
from echossl.video.sector import Placement
from echossl.video.tissue import Outline

MOST_TABLES = 256
FRAMES_PER_BLOCK = 128
ENDS = "ends.bin"


class ShardFiles(NamedTuple):
    """The files with the frames of a shard, and what they should hold."""

    paths: Sequence[Path]
    num_frames: int
    frame_bytes: int


class FrameFormat(ABC):
    """The frames of a store; ``suffixes`` are those of the files that a shard has for them."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: StoreSettings, maps: Maps) -> None:
        self.settings = settings
        self.maps = maps

    @staticmethod
    def append(frames: np.ndarray, files: Sequence[BinaryIO]) -> None:
        """Write the frames of a video, (n, size, size) uint8, to the end of the open files of a shard."""
        for file in files:
            file.write(np.ascontiguousarray(frames).data)

    @staticmethod
    def is_whole(files: ShardFiles) -> bool:
        """Whether the files of a shard are as long as they should be."""
        expected = files.num_frames * files.frame_bytes
        return all(path.is_file() and path.stat().st_size == expected for path in files.paths)

    @abstractmethod
    def read_into(self, place: np.ndarray, video: Stored, numbers: list[int]) -> None:
        """Copy frames of a video, which has them, to a contiguous (len(numbers), size, size) uint8."""

    def frames(self, video: Stored) -> np.ndarray:
        """All frames of a video: (num_frames, size, size) uint8."""
        frames = np.empty((video.num_frames, self.settings.size, self.settings.size), dtype=np.uint8)
        for first in range(0, video.num_frames, FRAMES_PER_BLOCK):
            block = frames[first : first + FRAMES_PER_BLOCK]
            self.read_into(block, video, list(range(first, first + len(block))))
        return frames


class RawFrames(FrameFormat):
    """Frames one after the other, as they are."""

    suffixes = ("bin",)

    def read_into(self, place: np.ndarray, video: Stored, numbers: list[int]) -> None:
        """See :class:`FrameFormat`."""
        # a frame's pixels as one axis: the copy runs over long stretches of memory
        pixels, target = self._pixels(video), place.reshape(len(place), -1)
        first, step = numbers[0], numbers[1] - numbers[0] if len(numbers) > 1 else 1
        if step > 0 and numbers == list(range(first, numbers[-1] + 1, step)):
            target[...] = pixels[first : numbers[-1] + 1 : step]
        else:
            # mode="clip" copies straight into place where the default goes through a buffer
            np.take(pixels, numbers, axis=0, out=target, mode="clip")

    def frames(self, video: Stored) -> np.ndarray:
        """All frames of a video: (num_frames, size, size) uint8, a read-only view of the file."""
        return self._pixels(video).reshape(-1, self.settings.size, self.settings.size)

    def _pixels(self, video: Stored) -> np.ndarray:
        return self.maps.part(video, "bin", "uint8", self.settings.size**2)


class CompressedFrames(FrameFormat):
    """Packed frames one after the other, and the byte at which each of them ends."""

    suffixes = ("deflate", ENDS)

    @staticmethod
    def append(frames: np.ndarray, files: Sequence[BinaryIO]) -> None:
        """See :class:`FrameFormat`."""
        packed, ends = files
        for frame in frames:
            packed.write(_pack(frame))
            ends.write(np.int64(packed.tell()).tobytes())

    @staticmethod
    def is_whole(files: ShardFiles) -> bool:
        """See :class:`FrameFormat`."""
        packed, ends = files.paths
        if not (packed.is_file() and ends.is_file() and ends.stat().st_size == files.num_frames * 8):
            return False
        last = np.fromfile(ends, dtype=np.int64)[-1] if files.num_frames else 0
        return bool(packed.stat().st_size == last)

    def read_into(self, place: np.ndarray, video: Stored, numbers: list[int]) -> None:
        """See :class:`FrameFormat`."""
        packed, bounds = self.maps.whole(video.shard, "deflate", "uint8", 1), self._bounds(video)
        target = place.reshape(len(place), -1)
        try:
            for pixels, number in zip(target, numbers, strict=True):
                frame = packed[bounds[number] : bounds[number + 1]].data
                pixels[...] = np.frombuffer(zlib.decompress(frame, bufsize=len(pixels)), dtype=np.uint8)
        except (zlib.error, ValueError) as error:
            path = shard_path(self.settings.folder, video.shard, "deflate")
            raise EchosslError(f"{path}: is damaged ({error}); run echossl prepare --verify") from error
        _sum_up(place)

    def _bounds(self, video: Stored) -> list[int]:
        """Where the frames of a video begin, and where the last one ends: num_frames + 1 bytes."""
        ends: list[int] = self.maps.part(video, ENDS, "int64")[:, 0].tolist()
        # the first begins where the video before it ends
        begin = self.maps.whole(video.shard, ENDS, "int64", 1)[video.first - 1, 0] if video.first else 0
        return [int(begin), *ends]


class FileFrames(FrameFormat):
    """No frames at all: they are decoded from the video file whenever they are asked for."""

    def __init__(self, settings: StoreSettings, maps: Maps) -> None:
        super().__init__(settings, maps)
        self._videos_of = lru_cache(MOST_TABLES)(self._read_videos)

    def read_into(self, place: np.ndarray, video: Stored, numbers: list[int]) -> None:
        """See :class:`FrameFormat`."""
        source, window, outline, doppler = self._videos_of(video.shard)[video.first]
        if source_video(source.path, source.manifest_fps) != source:
            raise DecodeError(
                source.path, "is gone or has changed since the store was made; run echossl prepare again"
            )
        place[...] = read_placed(
            source.path,
            numbers,
            placement=window,
            outline=outline,
            blank_doppler=doppler and self.settings.blank_doppler,
            backend=self.settings.backend,
        )

    def _read_videos(self, shard: int) -> dict[int, tuple[SourceVideo, Placement, Outline, bool]]:
        """What is known of the videos of a shard, by the number of their first frame there."""
        path = table_path(self.settings.folder, shard)
        try:
            table = read_table(path)
        except OSError as error:
            raise EchosslError(f"{path}: cannot be read ({error}); run echossl prepare again") from error
        stored = table[table["reason"] == ""]
        outlines = [outline_of(text) for text in stored["outline"]]
        windows = placements_of(stored, self.settings.size)
        rows = zip(sources_of(stored), windows, outlines, stored["doppler"], strict=True)
        return dict(zip(stored["offset"], rows, strict=True))


FORMATS: dict[str, type[FrameFormat]] = {
    "raw": RawFrames,
    "compressed": CompressedFrames,
    "files": FileFrames,
}


def format_of(config: PrepareConfig) -> type[FrameFormat]:
    """The format that is asked for."""
    return FORMATS[config.format]


def _pack(frame: np.ndarray) -> bytes:
    """A frame as differences to the pixel on the left (they wrap around), deflated.

    Echo has few repeated patterns but long equal runs around the sector: run lengths alone (RFC 1950/1951,
    zlib's Z_RLE) are smaller here than a search for patterns, and much faster.
    """
    differences = frame.copy()
    differences[:, 1:] -= frame[:, :-1]
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return deflate.compress(differences.tobytes()) + deflate.flush()


def _sum_up(differences: np.ndarray) -> None:
    """Running sums along the last axis, in place: in log2(size) steps over whole arrays."""
    width, step = differences.shape[-1], 1
    while step < width:
        differences[..., step:] += differences[..., :-step].copy()
        step *= 2
