"""Which videos go into which shard of the clip store: what is stored stays where it is."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field
from itertools import chain, count
from pathlib import Path

import pandas as pd

from echossl.config.data import PrepareConfig
from echossl.data.origin import SourceVideo, source_video
from echossl.data.parts import Part
from echossl.data.shards import ShardJob, is_whole
from echossl.data.store_tables import (
    damaged_shards,
    read_table,
    shard_number,
    shard_numbers,
    sources_of,
    table_path,
)
from echossl.files import write_text

PLAN_FILE = "plan.json"
# names of files of this room between their beginning and their end
HALF_WRITTEN = (".frames-", ".index.", ".rejected.", ".damaged.", ".store.", ".settings.", ".plan.")


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


@dataclass(frozen=True)
class Terms:
    """What all parts that work on a store at the same time must agree on.

    Attributes:
        manifest_digest: of what the store takes from the table of videos.
        num_parts: into how many parts the work is divided.
    """

    manifest_digest: str
    num_parts: int


@dataclass
class _Held:
    """What the shards hold that are kept.

    Attributes:
        kept: their numbers.
        stored: the videos that can be read from them.
        refused: videos that were rejected there, as they were then.
    """

    kept: list[int] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    refused: set[SourceVideo] = field(default_factory=set)


def make_plan(table: pd.DataFrame, config: PrepareConfig) -> Plan:
    """Keep the shards that still hold; put all other videos into new ones, in the manifest's order.

    Videos that were rejected are tried again in shards of their own: a package may have been installed since,
    or there is more time or memory. A part of the work takes them as done, as it cannot tell those that
    another part has just tried.
    """
    rates = table["fps"].fillna(0.0) if "fps" in table else [0.0] * len(table)
    videos = [source_video(path, float(fps)) for path, fps in zip(table["path"], rates, strict=True)]
    tries_again = Part.of(config.shard).num_parts == 1
    held = _what_is_held(set(videos), config, keep_refused=not tries_again)
    left = [video for video in videos if video.path not in held.stored]
    # last, so that what a stopped run has rejected does not move the other videos to other shards
    seen_before = {video.path for video in held.refused}
    new = [video for video in left if video.path not in seen_before]
    again = [
        video for video in left if video.path in seen_before and (tries_again or video not in held.refused)
    ]
    chunks = chain(_chunks(new, config.videos_per_shard), _chunks(again, config.videos_per_shard))
    kept = set(held.kept)
    free = (number for number in count() if number not in kept)
    jobs = [
        ShardJob(config.out, number, tuple(chunk), config)
        for number, chunk in zip(free, chunks, strict=False)
    ]
    return Plan(tuple(held.kept), tuple(jobs))


def _what_is_held(wanted: set[SourceVideo], config: PrepareConfig, *, keep_refused: bool) -> _Held:
    """Go through the shards; one in which all videos were rejected is kept only if that is asked for."""
    held, damaged = _Held(), damaged_shards(config.out)
    for number in shard_numbers(config.out):
        rows = read_table(table_path(config.out, number))
        is_stored = rows["reason"] == ""
        stored, refused = set(sources_of(rows[is_stored])), set(sources_of(rows[~is_stored]))
        paths = {source.path for source in stored}
        is_current = stored <= wanted and not paths & held.stored and number not in damaged
        has_use = stored or (keep_refused and refused & wanted)
        if is_current and has_use and is_whole(config, number, rows):
            held.kept.append(number)
            held.stored |= paths
            held.refused |= refused
    return held


def write_plan(plan: Plan, folder: Path, terms: Terms) -> None:
    """Write a plan down for the parts that start later, which must number the shards alike."""
    jobs = [[job.number, [astuple(video) for video in job.videos]] for job in plan.jobs]
    content = {**asdict(terms), "kept": plan.kept, "jobs": jobs}
    write_text(folder / PLAN_FILE, json.dumps(content))


def read_plan(config: PrepareConfig) -> tuple[Plan, Terms] | None:
    """The plan that parts at work go by; None without one."""
    path = config.out / PLAN_FILE
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    jobs = [
        ShardJob(config.out, number, tuple(SourceVideo(*video) for video in videos), config)
        for number, videos in content["jobs"]
    ]
    terms = Terms(content["manifest_digest"], content["num_parts"])
    return Plan(tuple(content["kept"]), tuple(jobs)), terms


def remove_leftovers(folder: Path, kept: Sequence[int]) -> None:
    """Take away what a killed run left half written, and the shards that are not kept.

    A shard's table goes first: it must never stand beside the frames of another list of videos.
    """
    for path in folder.glob(".*"):
        if path.name.startswith(HALF_WRITTEN):
            path.unlink()
    gone = set(shard_numbers(folder)) - set(kept)
    for number in gone:
        table_path(folder, number).unlink()
    for path in folder.glob("frames-*"):
        if shard_number(path) in gone:
            path.unlink()


def remove_half_written(folder: Path, jobs: Sequence[ShardJob]) -> None:
    """Take away what a killed part left half written of its own shards, while other parts are at work."""
    own = {job.number for job in jobs}
    for path in folder.glob(".frames-*"):
        if shard_number(path) in own:
            path.unlink()


def _chunks(videos: Sequence[SourceVideo], size: int) -> Iterator[Sequence[SourceVideo]]:
    for first in range(0, len(videos), size):
        yield videos[first : first + size]
