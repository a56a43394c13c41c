"""The tables of the clip store and the names of its files.

A store consists of shards of ``videos_per_shard`` videos. ``frames-00000.seconds.bin`` holds the times of
their frames, float64; what holds the frames is said in ``echossl.data.formats``. ``frames-00000.csv`` has one
row per video and is written last: a shard with a table is done. ``index.csv`` puts the tables of all shards
together, without the videos that ``rejected.csv`` lists; a video keeps its row there when others are added.
``damaged.csv`` lists what ``prepare`` is to make anew.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echossl.data.origin import SourceVideo
from echossl.video.sector import Placement
from echossl.video.tissue import Outline

FORMAT_VERSION = 2
SETTINGS_FILE = "settings.json"
STORE_FILE = "store.json"
INDEX_FILE = "index.csv"
REJECTED_FILE = "rejected.csv"
DAMAGED_FILE = "damaged.csv"
TIMES = "seconds.bin"
TABLE = "csv"

SOURCE_COLUMNS = ("path", "manifest_fps", "file_bytes", "modified_ns")
PLACEMENT_COLUMNS = ("top", "left", "height", "width", "source_height", "source_width")
INDEX_COLUMNS = (
    "path",
    "patient_id",
    "study_id",
    "num_frames",
    "fps",
    "duration_seconds",
    *PLACEMENT_COLUMNS,
    "outline",
    "doppler",
    "cm_per_pixel",
    "shard",
    "offset",
    "checksum",
)
TEXT_COLUMNS = ("path", "patient_id", "study_id", "outline", "checksum", "reason")
FLOAT_COLUMNS = ("manifest_fps", "fps", "duration_seconds", "cm_per_pixel")


def shard_path(folder: Path, number: int, suffix: str) -> Path:
    """A file of a shard; the suffix says what it holds."""
    return folder / f"frames-{number:05d}.{suffix}"


def table_path(folder: Path, number: int) -> Path:
    """The table of a shard, which marks it as done."""
    return shard_path(folder, number, TABLE)


def shard_number(path: Path) -> int:
    """The number of the shard that a file belongs to, whole or half written."""
    return int(path.name.lstrip(".").split(".")[0].removeprefix("frames-"))


def shard_numbers(folder: Path) -> list[int]:
    """The shards that are marked as done."""
    return sorted(shard_number(path) for path in folder.glob(f"frames-*.{TABLE}"))


def read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table of the store, or some of its columns: texts as they stand, floats to the last bit."""
    return pd.read_csv(
        path,
        usecols=None if columns is None else list(columns),
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        # pandas' own parser is not exact in every version
        converters=dict.fromkeys(FLOAT_COLUMNS, _number) | {"doppler": "True".__eq__},
        keep_default_na=False,
    )


def read_store_file(folder: Path) -> dict[str, Any] | None:
    """What ``store.json`` says, which marks a store as finished; None without a whole one."""
    path = folder / STORE_FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    return content


def damaged_shards(folder: Path) -> set[int]:
    """The shards that a check of their bytes has found damaged since they were made."""
    path = folder / DAMAGED_FILE
    return set(read_table(path)["shard"].tolist()) if path.is_file() else set()


def sources_of(table: pd.DataFrame) -> list[SourceVideo]:
    """The files that a shard's table says it was made from."""
    columns = [table[name] for name in SOURCE_COLUMNS]
    return [
        SourceVideo(str(path), float(fps), int(size), int(modified))
        for path, fps, size, modified in zip(*columns, strict=True)
    ]


def placements_of(table: pd.DataFrame, size: int) -> list[Placement]:
    """The window of the source that each video of a table shows."""
    windows: list[list[int]] = table[list(PLACEMENT_COLUMNS)].to_numpy(dtype=np.int64).tolist()
    named = (dict(zip(PLACEMENT_COLUMNS, window, strict=True)) for window in windows)
    return [Placement(**window, size=size) for window in named]


def outline_text(outline: Outline) -> str:
    """An outline as it stands in a table: ``x,y x,y ...``; nothing for the whole frame."""
    return " ".join(f"{x},{y}" for x, y in outline)


def outline_of(text: str) -> Outline:
    """The outline that ``outline_text`` wrote."""
    corners = (corner.split(",") for corner in text.split())
    return tuple((int(x), int(y)) for x, y in corners)


def _number(text: str) -> float:
    return float(text) if text else float("nan")
