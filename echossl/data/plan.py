"""Which videos go into which shard of the clip store: what is stored stays where it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd

from echossl.config.data import PrepareConfig
from echossl.data.shards import (
    ShardJob,
    SourceVideo,
    frames_path,
    is_whole,
    read_table,
    seconds_path,
    sources_of,
    table_path,
)


@dataclass(frozen=True)
class Plan:
    """What is there and what is to be done.

    Attributes:
        kept: numbers of the shards that are whole, and made from files of the manifest as they are now.
        jobs: shards that have to be made.
    """

    kept: tuple[int, ...]
    jobs: tuple[ShardJob, ...]

    @property
    def numbers(self) -> list[int]:
        """Every shard of the finished store."""
        return sorted([*self.kept, *(job.number for job in self.jobs)])


def make_plan(table: pd.DataFrame, config: PrepareConfig) -> Plan:
    """Keep the shards that still hold; put all other videos into new ones, in the manifest's order."""
    videos = source_videos(table)
    wanted = {video.path: video for video in videos}
    kept: list[int] = []
    stored: set[str] = set()
    for number in shard_numbers(config.out):
        rows = read_table(table_path(config.out, number))
        sources = sources_of(rows)
        is_current = all(wanted.get(source.path) == source for source in sources)
        paths = {source.path for source in sources}
        if is_current and not paths & stored and is_whole(config.out, number, rows, config.size):
            kept.append(number)
            stored |= paths
    rest = [video for video in videos if video.path not in stored]
    free = (number for number in count() if number not in kept)
    jobs = [
        ShardJob(config.out, number, tuple(chunk), config)
        for number, chunk in zip(free, _chunks(rest, config.videos_per_shard), strict=False)
    ]
    return Plan(tuple(kept), tuple(jobs))


def source_videos(table: pd.DataFrame) -> list[SourceVideo]:
    """The videos of a manifest as they are on disk now."""
    rates = table["fps"].fillna(0.0) if "fps" in table else [0.0] * len(table)
    videos = []
    for path, fps in zip(table["path"], rates, strict=True):
        status = Path(path).stat()
        videos.append(SourceVideo(path, float(fps), status.st_size, status.st_mtime_ns))
    return videos


def shard_numbers(folder: Path) -> list[int]:
    """The shards that are marked as done."""
    return sorted(int(path.stem.removeprefix("frames-")) for path in folder.glob("frames-*.csv"))


def remove_leftovers(folder: Path, kept: Sequence[int]) -> None:
    """Take away what a killed run left half written, and the shards that are not kept.

    A shard's table goes first: it must never stand beside the frames of another list of videos.
    """
    for path in folder.glob(".*"):
        if path.name.startswith((".frames-", ".index.", ".rejected.", ".store.", ".settings.")):
            path.unlink()
    for number in shard_numbers(folder):
        if number not in kept:
            table_path(folder, number).unlink()
            frames_path(folder, number).unlink(missing_ok=True)
            seconds_path(folder, number).unlink(missing_ok=True)


def _chunks(videos: Sequence[SourceVideo], size: int) -> Iterator[Sequence[SourceVideo]]:
    for first in range(0, len(videos), size):
        yield videos[first : first + size]
