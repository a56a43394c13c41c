"""Make one shard of the clip store: its files are either whole and marked as done by a table, or absent."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from echossl.config.data import PrepareConfig
from echossl.data.decode import LookedAt, Treatment, decode_video, look_at_video
from echossl.data.formats import ShardFiles, format_of
from echossl.data.origin import SourceVideo
from echossl.data.store_tables import PLACEMENT_COLUMNS, TIMES, outline_text, shard_path, table_path
from echossl.data.workers import leave_if_stopped, working_on
from echossl.errors import UserError, reason_of
from echossl.files import atomic_path
from echossl.video.sampling import duration_seconds

NO_FRAMES = np.zeros(0, dtype=np.uint8)


@dataclass(frozen=True)
class ShardJob:
    """The work of making one shard.

    Attributes:
        folder: the store.
        number: of the shard.
        videos: that go into it.
        config: how.
        refused: videos that are not to be touched, each with the reason.
    """

    folder: Path
    number: int
    videos: tuple[SourceVideo, ...]
    config: PrepareConfig
    refused: tuple[tuple[str, str], ...] = ()


def without_video(job: ShardJob, path: str, reason: str) -> ShardJob:
    """The same job with one video rejected unseen."""
    return replace(job, refused=(*job.refused, (path, reason)))


def write_shard(job: ShardJob) -> int:
    """Decode the videos of a shard and write its files; unreadable videos are recorded with the reason.

    Returns:
        How many videos were rejected.
    """
    refused = dict(job.refused)
    rows: list[dict[str, Any]] = []
    offset = 0
    suffixes = (TIMES, *format_of(job.config).suffixes)
    with ExitStack() as stack:
        files = [stack.enter_context(_new_file(job, suffix)) for suffix in suffixes]
        for source in job.videos:
            leave_if_stopped()
            if source.path in refused:
                columns = _rejected(refused[source.path])
            else:
                working_on(source.path)
                columns = _store_video(source, job.config, files)
            rows.append(asdict(source) | columns | {"shard": job.number, "offset": offset})
            offset += columns["num_frames"]
        working_on(None)
    with atomic_path(table_path(job.folder, job.number)) as path:
        pd.DataFrame(rows).to_csv(path, index=False)
    return sum(row["reason"] != "" for row in rows)


def is_whole(config: PrepareConfig, number: int, table: pd.DataFrame) -> bool:
    """Whether the files of a shard are as long as its table says."""
    num_frames = int(table["num_frames"].sum())
    times = shard_path(config.out, number, TIMES)
    frames = format_of(config)
    paths = [shard_path(config.out, number, suffix) for suffix in frames.suffixes]
    is_timed = times.is_file() and times.stat().st_size == num_frames * 8
    return is_timed and frames.is_whole(ShardFiles(paths, num_frames, config.size**2))


def checksum(frames: np.ndarray, frame_seconds: np.ndarray) -> str:
    """16 hexadecimal digits over a video's frames and times."""
    digest = hashlib.blake2b(np.ascontiguousarray(frames).data, digest_size=8)
    digest.update(np.ascontiguousarray(frame_seconds).data)
    return digest.hexdigest()


@contextmanager
def _new_file(job: ShardJob, suffix: str) -> Iterator[BinaryIO]:
    path = shard_path(job.folder, job.number, suffix)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        yield file


def _store_video(source: SourceVideo, config: PrepareConfig, files: list[BinaryIO]) -> dict[str, Any]:
    """Append one video to the files of its shard, times first; the columns of its row."""
    how = Treatment(config.size, config.sector, config.doppler, config.backend)
    try:
        if config.format == "files":
            seen, frames = look_at_video(source.path, how, source.manifest_fps or None), NO_FRAMES
        else:
            video = decode_video(source.path, how, source.manifest_fps or None)
            seen, frames = video.seen, video.frames
    except UserError as error:
        # a package that this file needs and the others do not may be missing too
        return _rejected(reason_of(error, source.path))
    files[0].write(seen.frame_seconds.data)
    format_of(config).append(frames, files[1:])
    return _columns(seen, frames)


def _columns(seen: LookedAt, frames: np.ndarray) -> dict[str, Any]:
    return {
        "num_frames": seen.num_frames,
        "fps": seen.fps,
        "duration_seconds": duration_seconds(seen.frame_seconds),
        **{name: getattr(seen.placement, name) for name in PLACEMENT_COLUMNS},
        "outline": outline_text(seen.outline),
        "doppler": bool(seen.doppler),
        "cm_per_pixel": seen.cm_per_pixel,
        "checksum": checksum(frames, seen.frame_seconds),
        "reason": "",
    }


def _rejected(reason: str) -> dict[str, Any]:
    """The same columns for a video that cannot be read: zeros and blanks."""
    return {
        "num_frames": 0,
        **dict.fromkeys(PLACEMENT_COLUMNS, 0),
        **dict.fromkeys(("fps", "duration_seconds", "cm_per_pixel"), float("nan")),
        "outline": "",
        "doppler": False,
        "checksum": "",
        "reason": reason,
    }
