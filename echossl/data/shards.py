"""The files of the clip store: some videos per shard, each shard either whole and marked as done, or absent.

``frames-00000.bin`` holds the frames of a shard's videos one after the other, raw uint8;
``frames-00000.seconds.bin`` their times, raw float64; ``frames-00000.csv`` one row per video, written last: a
shard with a table is done.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from echossl.config.data import PrepareConfig
from echossl.data.decode import StoredVideo, decode_video
from echossl.data.workers import leave_if_stopped
from echossl.errors import DecodeError
from echossl.files import atomic_path
from echossl.video.sampling import duration_seconds

SOURCE_COLUMNS = ("path", "manifest_fps", "file_bytes", "modified_ns")
INDEX_COLUMNS = (
    "path",
    "patient_id",
    "study_id",
    "num_frames",
    "fps",
    "duration_seconds",
    "top",
    "left",
    "side",
    "source_height",
    "source_width",
    "shard",
    "offset",
    "checksum",
)
TEXT_COLUMNS = ("path", "patient_id", "study_id", "checksum", "reason")
FLOAT_COLUMNS = ("manifest_fps", "fps", "duration_seconds")


@dataclass(frozen=True)
class SourceVideo:
    """A video file as it is when it is read; a shard of other or changed files is made anew.

    Attributes:
        path: absolute path.
        manifest_fps: frames per second from the manifest; 0 if it says nothing.
        file_bytes: size of the file.
        modified_ns: time of its last change in nanoseconds.
    """

    path: str
    manifest_fps: float
    file_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class ShardJob:
    """The work of making one shard."""

    folder: Path
    number: int
    videos: tuple[SourceVideo, ...]
    config: PrepareConfig


def frames_path(folder: Path, number: int) -> Path:
    """The raw frames of a shard."""
    return folder / f"frames-{number:05d}.bin"


def seconds_path(folder: Path, number: int) -> Path:
    """The frame times of a shard."""
    return folder / f"frames-{number:05d}.seconds.bin"


def table_path(folder: Path, number: int) -> Path:
    """The table of a shard, which marks it as done."""
    return folder / f"frames-{number:05d}.csv"


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of the store: texts as they stand, floats to the last bit."""
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        # pandas' own parser is not exact in every version
        converters=dict.fromkeys(FLOAT_COLUMNS, _number),
        keep_default_na=False,
    )


def write_shard(job: ShardJob) -> int:
    """Decode the videos of a shard and write its files; unreadable videos are recorded with the reason.

    Returns:
        How many videos were rejected.
    """
    rows: list[dict[str, Any]] = []
    offset = 0
    with (
        atomic_path(frames_path(job.folder, job.number)) as frames_file,
        atomic_path(seconds_path(job.folder, job.number)) as seconds_file,
        frames_file.open("wb") as frames,
        seconds_file.open("wb") as seconds,
    ):
        for source in job.videos:
            leave_if_stopped()
            row = asdict(source) | _store_video(source, job.config, frames, seconds)
            rows.append(row | {"shard": job.number, "offset": offset})
            offset += row["num_frames"]
    with atomic_path(table_path(job.folder, job.number)) as path:
        pd.DataFrame(rows).to_csv(path, index=False)
    return sum(row["reason"] != "" for row in rows)


def sources_of(table: pd.DataFrame) -> list[SourceVideo]:
    """The files that a shard's table says it was made from."""
    columns = [table[name] for name in SOURCE_COLUMNS]
    return [
        SourceVideo(str(path), float(fps), int(size), int(modified))
        for path, fps, size, modified in zip(*columns, strict=True)
    ]


def is_whole(folder: Path, number: int, table: pd.DataFrame, size: int) -> bool:
    """Whether the files of a shard are as long as its table says."""
    num_frames = int(table["num_frames"].sum())
    expected = {
        frames_path(folder, number): num_frames * size**2,
        seconds_path(folder, number): num_frames * 8,
    }
    return all(path.is_file() and path.stat().st_size == length for path, length in expected.items())


def checksum(frames: np.ndarray, frame_seconds: np.ndarray) -> str:
    """16 hexadecimal digits over a video's frames and times."""
    digest = hashlib.blake2b(np.ascontiguousarray(frames).data, digest_size=8)
    digest.update(np.ascontiguousarray(frame_seconds).data)
    return digest.hexdigest()


def _store_video(
    source: SourceVideo, config: PrepareConfig, frames: BinaryIO, seconds: BinaryIO
) -> dict[str, Any]:
    """Append one video to the files of its shard; the columns of its row."""
    try:
        video = decode_video(
            source.path,
            size=config.size,
            sector=config.sector,
            backend=config.backend,
            fps=source.manifest_fps or None,
        )
    except DecodeError as error:
        return _columns(None) | {"reason": error.reason}
    frames.write(video.frames.data)
    seconds.write(video.frame_seconds.data)
    return _columns(video) | {"reason": ""}


def _columns(video: StoredVideo | None) -> dict[str, Any]:
    """The columns of a stored video; zeros and blanks for a rejected one."""
    places = ("top", "left", "side", "source_height", "source_width")
    if video is None:
        blank = {"num_frames": 0, "fps": float("nan"), "duration_seconds": float("nan"), "checksum": ""}
        return blank | dict.fromkeys(places, 0)
    return {
        "num_frames": len(video.frames),
        "fps": video.fps,
        "duration_seconds": duration_seconds(video.frame_seconds),
        "checksum": checksum(video.frames, video.frame_seconds),
        **{name: getattr(video.placement, name) for name in places},
    }


def _number(text: str) -> float:
    return float(text) if text else float("nan")
