"""Where the files of a finished clip store are, and reading them without loading them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from echossl.config.video import Backend
from echossl.data.store_tables import shard_path
from echossl.errors import EchosslError

# every map holds a file open, and a process may have 1,024 of them as a rule
MOST_MAPS = 256


class Stored(NamedTuple):
    """Where a stored video is: its shard, the number of its first frame there, and how many it has."""

    shard: int
    first: int
    num_frames: int


@dataclass(frozen=True)
class StoreSettings:
    """What it takes to read the frames of a store.

    Attributes:
        folder: the store.
        size: height and width of a frame in pixels.
        format: a key of ``FORMATS``.
        blank_doppler: whether colour Doppler is blanked.
        backend: video decoder.
    """

    folder: Path
    size: int
    format: str
    blank_doppler: bool
    backend: Backend


class Maps:
    """Files of a store as read-only arrays; the latest ``MOST_MAPS`` stay open.

    A forked process may go on with them: a map has no position that two could move.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.whole = lru_cache(MOST_MAPS)(self._whole)

    def part(self, video: Stored, suffix: str, dtype: str, item_length: int = 1) -> np.ndarray:
        """What belongs to a video in a file of its shard: (num_frames, item_length).

        Raises:
            EchosslError: if the file is gone or cut short.
        """
        whole: np.ndarray = self.whole(video.shard, suffix, dtype, item_length)
        end = video.first + video.num_frames
        if end > len(whole):
            path = shard_path(self._folder, video.shard, suffix)
            raise EchosslError(
                f"{path}: holds {len(whole)} frames, expected {end} or more; run echossl prepare again"
            )
        return whole[video.first : end]

    def _whole(self, shard: int, suffix: str, dtype: str, item_length: int) -> np.ndarray:
        """Map a file of a shard as (items, item_length); part of an item at its end is not seen.

        Raises:
            EchosslError: if it cannot be read.
        """
        path = shard_path(self._folder, shard, suffix)
        try:
            # a plain array over the map: slicing a memmap object costs ten times as much
            flat = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
        except (OSError, ValueError) as error:
            raise EchosslError(f"{path}: cannot be read ({error}); run echossl prepare again") from error
        item_bytes = item_length * np.dtype(dtype).itemsize
        return flat[: len(flat) // item_bytes * item_bytes].view(np.dtype(dtype)).reshape(-1, item_length)
