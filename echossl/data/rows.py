"""The rows of a finished clip store as reader processes need them, in little memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from echossl.data.maps import Stored
from echossl.data.store_tables import INDEX_FILE, read_table
from echossl.errors import RunFolderError

PLACES = ("shard", "offset", "num_frames")


class RowOrder(NamedTuple):
    """Which video each row is: how many rows there are, and a digest of their paths in order."""

    num_videos: int
    digest: str


@dataclass(frozen=True)
class Rows:
    """Where each video is and how long; a list of objects would take ten times the memory.

    Attributes:
        paths: (videos,) strings, the file each video was read from.
        places: (videos, 3) int64: shard, number of the first frame there, number of frames.
        durations: (videos,) float64, length in seconds.
    """

    paths: np.ndarray
    places: np.ndarray
    durations: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def stored(self, row: int) -> Stored:
        """Where a video is."""
        return Stored(*self.places[row].tolist())

    @property
    def order(self) -> RowOrder:
        """Which video each row is."""
        return order_of(self.paths.tolist())


def order_of(paths: Sequence[str]) -> RowOrder:
    """Which video each row is."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(path.encode() + b"\n")
    return RowOrder(len(paths), digest.hexdigest())


def read_rows(folder: Path, expected: RowOrder | None) -> Rows:
    """Read the rows of a store.

    Args:
        folder: the store.
        expected: what they are to begin with, from a process that goes by their numbers; rows that came
            later are left out.

    Raises:
        RunFolderError: if they do not begin so.
    """
    table = read_table(folder / INDEX_FILE, ("path", *PLACES, "duration_seconds"))
    count = len(table) if expected is None else expected.num_videos
    table = table.iloc[:count]
    rows = Rows(
        np.array(table["path"].tolist(), dtype=np.dtypes.StringDType()),
        np.ascontiguousarray(table[list(PLACES)].to_numpy(dtype=np.int64)),
        table["duration_seconds"].to_numpy(dtype=np.float64),
    )
    if expected is not None:
        require_order(folder, rows.order, expected)
    return rows


def require_order(folder: Path, found: RowOrder, expected: RowOrder) -> None:
    """Refuse rows that are other videos than those that somebody goes by.

    Raises:
        RunFolderError: if they are.
    """
    if found != expected:
        raise RunFolderError(
            f"{folder}: videos have left the store since this run opened it, its rows are other videos now; "
            "start the run again"
        )
