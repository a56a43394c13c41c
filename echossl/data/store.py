"""The clip store: every video decoded once, small, grey and uint8, its frames in one of three formats."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.data.formats import FORMATS, FileFrames, FrameFormat
from echossl.data.maps import Maps, StoreSettings
from echossl.data.rows import RowOrder, Rows, order_of, read_rows, require_order
from echossl.data.shards import NO_FRAMES, checksum
from echossl.data.store_tables import (
    FORMAT_VERSION,
    INDEX_FILE,
    REJECTED_FILE,
    TIMES,
    read_store_file,
    read_table,
)
from echossl.errors import EchosslError, UserError, first_names
from echossl.progress import track


class ClipStore:
    """A finished clip store. Cheap to send to reader processes: files and tables are opened there anew.

    A store may grow meanwhile: rows keep their numbers, and those that are added are not seen. Where numbers
    would mean other videos than before, an opened store refuses to go on.

    Args:
        settings: what it takes to read its frames.
        order: what its rows are, where somebody goes by their numbers already.

    Attributes:
        settings: what it takes to read its frames.
        path: its folder.
        size: height and width of a frame in pixels.
    """

    def __init__(self, settings: StoreSettings, order: RowOrder | None = None) -> None:
        self.settings = settings
        self.path = settings.folder
        self.size = settings.size
        self._order = order
        self._maps = Maps(self.path)
        self._reader: FrameFormat = FORMATS[settings.format](settings, self._maps)

    @classmethod
    def open(cls, path: Path) -> "ClipStore":
        """Open a store that ``echossl prepare`` has finished.

        Raises:
            UserError: if there is none at that path, or it was made by another version.
        """
        path = Path(path)
        content = read_store_file(path)
        if content is None:
            raise UserError(f"{path}: no finished clip store; run echossl prepare with out={path}")
        settings = content["settings"]
        if settings["format_version"] != FORMAT_VERSION:
            raise UserError(
                f"{path}: a clip store of format {settings['format_version']}, this version reads format "
                f"{FORMAT_VERSION}; remove the folder and run echossl prepare again"
            )
        return cls(
            StoreSettings(
                folder=path,
                size=int(settings["size"]),
                format=settings["format"],
                blank_doppler=settings["doppler"] == "blank",
                backend=settings["backend"],
            )
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per stored video: path, ids, length, rate, place in the source, shard, offset, checksum.

        Raises:
            RunFolderError: if rows are other videos than when the store was opened.
        """
        table = read_table(self.path / INDEX_FILE).iloc[: len(self)]
        require_order(self.path, order_of(table["path"].tolist()), self._rows.order)
        return table

    @cached_property
    def _rows(self) -> Rows:
        return read_rows(self.path, self._order)

    @property
    def paths(self) -> np.ndarray:
        """(videos,) strings: the file each video was read from."""
        return self._rows.paths

    @property
    def durations(self) -> np.ndarray:
        """(videos,) float64: length of each video in seconds."""
        return self._rows.durations

    def __len__(self) -> int:
        return len(self._rows)

    def __reduce__(self) -> tuple[type["ClipStore"], tuple[StoreSettings, RowOrder]]:
        return type(self), (self.settings, self._rows.order)

    def frames(self, row: int) -> np.ndarray:
        """The frames of a video: (num_frames, size, size) uint8; of a raw store a read-only view of the file.

        Raises:
            EchosslError: if the file of the shard is gone, cut short or damaged.
            DecodeError: if frames are not stored and the video file has changed or cannot be decoded.
        """
        return self._reader.frames(self._rows.stored(row))

    def read_into(self, place: np.ndarray, row: int, indices: Sequence[int] | np.ndarray) -> None:
        """Copy some frames of a video.

        Args:
            place: (len(indices), size, size) uint8, contiguous; the frames are written here.
            row: number of the video.
            indices: whole numbers of its frames in any order, repeats allowed.

        Raises:
            EchosslError: if the file of the shard is gone, cut short or damaged.
            DecodeError: if frames are not stored and the video file has changed or cannot be decoded.
            IndexError: if an index is negative or not below the video's number of frames.
        """
        video = self._rows.stored(row)
        # for a clip's few numbers plain Python is faster than array arithmetic
        numbers = indices.tolist() if isinstance(indices, np.ndarray) else list(indices)
        if min(numbers) < 0 or max(numbers) >= video.num_frames:
            raise IndexError(f"frames {numbers} of a video of {video.num_frames}")
        if not place.flags.c_contiguous:
            raise ValueError("place is not contiguous, the frames would be written to a copy of it")
        self._reader.read_into(place, video, numbers)

    def frame_seconds(self, row: int) -> np.ndarray:
        """The time of each frame of a video: (num_frames,) float64, the first is 0.

        Raises:
            EchosslError: if the file of the shard is gone or cut short.
        """
        return self._maps.part(self._rows.stored(row), TIMES, "float64")[:, 0]

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
        rows = pd.Series(np.arange(len(self)), index=self.paths.tolist())
        names = manifest["path"]
        if not names.isin(rows.index).any():
            names = self._as_prepared(names, manifest.attrs.get("folder", ""))
        found = names.map(rows)
        unknown = names[found.isna()]
        rejected = set(read_table(self.path / REJECTED_FILE)["path"])
        absent = [path for path in unknown if path not in rejected]
        if absent:
            raise UserError(
                f"{self.path}: {len(absent)} videos of the manifest are not in the store: "
                f"{first_names(absent)}; run echossl prepare again"
            )
        stored = found.notna()
        numbers = found[stored].astype("int64")
        durations = self.durations[numbers.to_numpy()]
        return manifest[stored].assign(row=numbers, duration_seconds=durations).reset_index(drop=True)

    def _as_prepared(self, names: pd.Series, folder: str) -> pd.Series:
        """Where the videos of a manifest lay when the store was made, if all has moved together since."""
        before = (read_store_file(self.path) or {}).get("manifest_folder")
        if not folder or not before:
            return names
        below = folder.rstrip("/") + "/"
        moved = [f"{before}/{name.removeprefix(below)}" if name.startswith(below) else name for name in names]
        return pd.Series(moved, index=names.index)

    def verify(self) -> list[int]:
        """Read everything and compare with the checksums; where no frames are stored, decode everything.

        Returns:
            The rows whose bytes are not those that were written, or whose video file has changed or cannot be
            decoded. :func:`echossl.data.verify.verify_store` has ``prepare`` make them anew.
        """
        rows = track(range(len(self)), "verifying", total=len(self), unit="videos")
        return [row for row in rows if not self._is_whole(row)]

    def _is_whole(self, row: int) -> bool:
        try:
            frames, times = self.frames(row), self.frame_seconds(row)
        except EchosslError:
            return False
        stored = NO_FRAMES if isinstance(self._reader, FileFrames) else frames
        return checksum(stored, times) == str(self.table["checksum"].iloc[row])
