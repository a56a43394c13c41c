"""The clip store: every video decoded once, small, grey and uint8, read through memory maps."""

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.data.prepare import INDEX_FILE, REJECTED_FILE, STORE_FILE, PrepareSummary, prepare
from echossl.data.shards import checksum, frames_path, read_table, seconds_path
from echossl.errors import EchosslError, UserError
from echossl.progress import track

__all__ = ["ClipStore", "PrepareSummary", "prepare"]

MOST_NAMES = 10


class ClipStore:
    """A finished clip store. Cheap to send to reader processes: memory maps and tables are opened there anew.

    Attributes:
        path: its folder.
        size: height and width of a frame in pixels.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._frames: dict[int, np.ndarray] = {}
        self._seconds: dict[int, np.ndarray] = {}

    @classmethod
    def open(cls, path: Path) -> "ClipStore":
        """Open a store that ``echossl prepare`` has finished.

        Raises:
            UserError: if there is none at that path.
        """
        path = Path(path)
        if not (path / STORE_FILE).is_file():
            raise UserError(f"{path}: no finished clip store; run echossl prepare with out={path}")
        content = json.loads((path / STORE_FILE).read_text(encoding="utf-8"))
        return cls(path, int(content["settings"]["size"]))

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per stored video: path, ids, length, rate, place in the source, shard, offset, checksum."""
        return read_table(self.path / INDEX_FILE)

    @cached_property
    def _places(self) -> list[list[int]]:
        """Per video shard, first frame in it, number of frames; plain numbers cost least for single rows."""
        places: list[list[int]] = self.table[["shard", "offset", "num_frames"]].to_numpy(np.int64).tolist()
        return places

    @cached_property
    def paths(self) -> list[str]:
        """The file each video was read from."""
        return list(self.table["path"])

    @cached_property
    def durations(self) -> np.ndarray:
        """(videos,) float64: length of each video in seconds."""
        return self.table["duration_seconds"].to_numpy(dtype=np.float64)

    def __len__(self) -> int:
        return len(self.table)

    def __reduce__(self) -> tuple[type["ClipStore"], tuple[Path, int]]:
        return type(self), (self.path, self.size)

    def frames(self, row: int) -> np.ndarray:
        """The frames of a video: (num_frames, size, size) uint8, a read-only view of the file.

        Raises:
            EchosslError: if the file of the shard is gone or cut short.
        """
        shard, first, count = self._places[row]
        if shard not in self._frames:
            flat = self._map(frames_path(self.path, shard), np.uint8)
            num_frames = len(flat) // self.size**2
            self._frames[shard] = flat[: num_frames * self.size**2].reshape(-1, self.size, self.size)
        return self._part(self._frames[shard], shard, first, count)

    def read_into(self, place: np.ndarray, row: int, indices: np.ndarray) -> None:
        """Copy some frames of a video.

        Args:
            place: (len(indices), size, size) uint8, contiguous; the frames are written here.
            row: number of the video.
            indices: int64, numbers of its frames in any order, repeats allowed.

        Raises:
            EchosslError: if the file of the shard is gone or cut short.
            IndexError: if an index is negative or not below the video's number of frames.
        """
        video = self.frames(row)
        numbers = indices.tolist()
        if min(numbers) < 0 or max(numbers) >= len(video):
            raise IndexError(f"frames {numbers} of a video of {len(video)}")
        if not place.flags.c_contiguous:
            raise ValueError("place is not contiguous, the frames would be written to a copy of it")
        # a frame's pixels as one axis: the copy runs over long stretches of memory
        pixels, target = video.reshape(len(video), -1), place.reshape(len(place), -1)
        first, step = numbers[0], numbers[1] - numbers[0] if len(numbers) > 1 else 1
        if step > 0 and numbers == list(range(first, numbers[-1] + 1, step)):
            target[...] = pixels[first : numbers[-1] + 1 : step]
        else:
            # mode="clip" copies straight into place where the default goes through a buffer
            np.take(pixels, indices, axis=0, out=target, mode="clip")

    def frame_seconds(self, row: int) -> np.ndarray:
        """The time of each frame of a video: (num_frames,) float64, the first is 0.

        Raises:
            EchosslError: if the file of the shard is gone or cut short.
        """
        shard, first, count = self._places[row]
        if shard not in self._seconds:
            self._seconds[shard] = self._map(seconds_path(self.path, shard), np.float64)
        return self._part(self._seconds[shard], shard, first, count)

    def rows_for(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """The rows of a manifest whose videos are stored.

        Args:
            manifest: as :func:`echossl.data.read_manifest` returns it.

        Returns:
            The manifest's columns, ``row``, the number of the video in the store, and ``duration_seconds``.
            Videos that ``prepare`` rejected are left out.

        Raises:
            UserError: naming the videos that were never prepared.
        """
        rows = pd.Series(np.arange(len(self)), index=self.table["path"])
        found = manifest["path"].map(rows)
        unknown = manifest.loc[found.isna(), "path"]
        rejected = set(read_table(self.path / REJECTED_FILE)["path"])
        absent = [path for path in unknown if path not in rejected]
        if absent:
            more = f" and {len(absent) - MOST_NAMES} more" if len(absent) > MOST_NAMES else ""
            raise UserError(
                f"{self.path}: {len(absent)} videos of the manifest are not in the store: "
                f"{', '.join(absent[:MOST_NAMES])}{more}; run echossl prepare again"
            )
        stored = found.notna()
        numbers = found[stored].astype("int64")
        durations = self.durations[numbers.to_numpy()]
        return manifest[stored].assign(row=numbers, duration_seconds=durations).reset_index(drop=True)

    def verify(self) -> list[int]:
        """Read everything and compare with the checksums.

        Returns:
            The rows whose bytes are not those that were written. Remove the ``.csv`` of their shards and run
            ``prepare`` again to mend them.
        """
        rows = track(range(len(self)), "verifying", total=len(self), unit="videos")
        return [row for row in rows if not self._is_whole(row)]

    def _is_whole(self, row: int) -> bool:
        try:
            found = checksum(self.frames(row), self.frame_seconds(row))
        except EchosslError:
            return False
        return found == str(self.table["checksum"].iloc[row])

    def _map(self, path: Path, dtype: type[np.generic]) -> np.ndarray:
        try:
            # a plain array over the map: slicing a memmap object costs ten times as much
            return np.asarray(np.memmap(path, dtype=dtype, mode="r"))
        except (OSError, ValueError) as error:
            raise EchosslError(f"{path}: cannot be read ({error}); run echossl prepare again") from error

    def _part(self, whole: np.ndarray, shard: int, first: int, count: int) -> np.ndarray:
        if first + count > len(whole):
            path = frames_path(self.path, shard)
            raise EchosslError(f"{path}: holds {len(whole)} frames, expected {first + count} or more; "
                               "run echossl prepare again")  # fmt: skip
        return whole[first : first + count]
