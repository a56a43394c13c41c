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
from echossl.data.decode import LookedAt, StoredVideo, decode_video, look_at_video
from echossl.data.formats import ShardFiles, format_of
from echossl.data.origin import SourceVideo
from echossl.data.store_tables import PLACEMENT_COLUMNS, TIMES, outline_text, shard_path, table_path
from echossl.data.workers import leave_if_stopped, working_on
from echossl.errors import DecodeError
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
    read = look_at_video if config.format == "files" else decode_video
    try:
        video = read(
            source.path,
            size=config.size,
            sector=config.sector,
            doppler=config.doppler,
            backend=config.backend,
            fps=source.manifest_fps or None,
        )
    except DecodeError as error:
        return _rejected(error.reason)
    files[0].write(video.frame_seconds.data)
    if isinstance(video, StoredVideo):
        format_of(config).append(video.frames, files[1:])
    return _columns(video)


def _columns(video: LookedAt | StoredVideo) -> dict[str, Any]:
    frames = video.frames if isinstance(video, StoredVideo) else NO_FRAMES
    return {
        "num_frames": len(video.frame_seconds),
        "fps": video.fps,
        "duration_seconds": duration_seconds(video.frame_seconds),
        **{name: getattr(video.placement, name) for name in PLACEMENT_COLUMNS},
        "outline": outline_text(video.outline),
        "doppler": bool(video.doppler),
        "cm_per_pixel": video.cm_per_pixel,
        "checksum": checksum(frames, video.frame_seconds),
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
