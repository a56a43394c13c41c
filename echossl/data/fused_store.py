"""Several clip stores as one: their videos follow one another, their grey values may be brought together."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from echossl.data.store import ClipStore
from echossl.errors import UserError


class FusedStore(ClipStore):
    """The videos of several stores under one numbering, those of the first store as they were.

    Args:
        stores: of pictures of the same size.
        levels: per store what its grey values 0-255 become, (256,) uint8; None leaves them.

    Raises:
        UserError: if the pictures of two stores have different sizes.
    """

    def __init__(
        self, stores: Sequence[ClipStore], levels: Sequence[np.ndarray | None] | None = None
    ) -> None:
        super().__init__(stores[0].settings)
        for other in stores[1:]:
            if other.size != self.size:
                raise UserError(
                    f"{other.path}: a clip store of {other.size} x {other.size} pixels, but {self.path} has "
                    f"{self.size} x {self.size}; run echossl prepare with the same size"
                )
        self.stores = tuple(stores)
        self.levels = tuple(levels or [None] * len(stores))
        self.first_rows = np.cumsum([0, *(len(store) for store in stores)])

    @cached_property
    def table(self) -> pd.DataFrame:
        """The tables of the stores, one after another."""
        return pd.concat([store.table for store in self.stores], ignore_index=True)

    @cached_property
    def paths(self) -> np.ndarray:
        """(videos,) strings: the file each video was read from."""
        return np.concatenate([store.paths for store in self.stores])

    @cached_property
    def durations(self) -> np.ndarray:
        """(videos,) float64: length of each video in seconds."""
        return np.concatenate([store.durations for store in self.stores])

    def __len__(self) -> int:
        return int(self.first_rows[-1])

    def __reduce__(self) -> tuple[type["FusedStore"], tuple[object, ...]]:  # type: ignore[override]
        return type(self), (self.stores, self.levels)

    def frames(self, row: int) -> np.ndarray:
        """The frames of a video; see :meth:`ClipStore.frames`."""
        number, own = self._place(row)
        frames, levels = self.stores[number].frames(own), self.levels[number]
        return frames if levels is None else levels[frames]

    def read_into(self, place: np.ndarray, row: int, indices: Sequence[int] | np.ndarray) -> None:
        """Copy some frames of a video; see :meth:`ClipStore.read_into`."""
        number, own = self._place(row)
        self.stores[number].read_into(place, own, indices)
        levels = self.levels[number]
        if levels is not None:
            place[...] = levels[place]

    def frame_seconds(self, row: int) -> np.ndarray:
        """The time of each frame of a video; see :meth:`ClipStore.frame_seconds`."""
        number, own = self._place(row)
        return self.stores[number].frame_seconds(own)

    def rows_for(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """The rows of the first store's manifest, which are numbered as there."""
        return self.stores[0].rows_for(manifest)

    def verify(self) -> list[int]:
        """The damaged rows of all stores; see :meth:`ClipStore.verify`."""
        pairs = zip(self.first_rows.tolist(), self.stores, strict=False)
        return [first + row for first, store in pairs for row in store.verify()]

    def _place(self, row: int) -> tuple[int, int]:
        """Which store, and the number of the video there."""
        number = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        return number, int(row - self.first_rows[number])


def matching_levels(counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """What grey values become so that those above 0 have another store's mean and deviation.

    What is blank stays blank: 0 remains 0, and nothing else becomes 0.

    Args:
        counts: (256,) how often each grey value is seen.
        wanted: (256,) of the store that is to be resembled.

    Returns:
        (256,) uint8, rising.
    """
    (mean, deviation), (wanted_mean, wanted_deviation) = _of_lit(counts), _of_lit(wanted)
    moved = (np.arange(256) - mean) / deviation * wanted_deviation + wanted_mean
    levels: np.ndarray = np.clip(moved.round(), 1, 255).astype(np.uint8)
    levels[0] = 0
    return levels


def _of_lit(counts: np.ndarray) -> tuple[float, float]:
    """Mean and deviation of the grey values above 0; a picture of one grey has the deviation 1."""
    lit, values = counts[1:].astype(float), np.arange(1, 256)
    shares = lit / max(lit.sum(), 1.0)
    mean = float(shares @ values)
    return mean, max(float(np.sqrt(shares @ (values - mean) ** 2)), 1.0)
