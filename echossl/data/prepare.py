"""Decode every video of a manifest once into the clip store; interrupt it at any moment and go on later."""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from echossl.config.data import PrepareConfig
from echossl.data.manifest import read_manifest
from echossl.data.plan import Plan, make_plan, remove_leftovers
from echossl.data.shards import INDEX_COLUMNS, read_table, table_path, write_shard
from echossl.data.workers import run_jobs
from echossl.errors import RunFolderError, UserError
from echossl.files import atomic_path, write_json
from echossl.progress import progress

FORMAT_VERSION = 1
SETTINGS_FILE = "settings.json"
STORE_FILE = "store.json"
INDEX_FILE = "index.csv"
REJECTED_FILE = "rejected.csv"
# settings that do not change what is stored; the videos themselves are compared one by one
FREE_SETTINGS = {"out", "workers", "manifest"}


@dataclass(frozen=True)
class PrepareSummary:
    """What a clip store holds.

    Attributes:
        stored: number of videos.
        rejected: number of videos that could not be read; ``rejected.csv`` says why.
        frames: number of frames.
        seconds: total length of the videos.
    """

    stored: int
    rejected: int
    frames: int
    seconds: float


def prepare(config: PrepareConfig) -> PrepareSummary:
    """Make, continue or extend a clip store.

    A finished store of the same videos is left as it is; new videos are added to it. A video that cannot be
    read is listed in ``rejected.csv`` with the reason.

    Raises:
        ManifestError: if the manifest has faults.
        RunFolderError: if the folder holds something else: other settings, other videos, other files.
        UserError: if no video at all can be read.
    """
    table = read_manifest(config.manifest)
    _claim_folder(config)
    digest = _digest(table)
    finished = _finished(config.out)
    if finished and finished["manifest_digest"] == digest and not make_plan(table, config).jobs:
        return PrepareSummary(**finished["summary"])
    with _alone_in(config.out):
        plan = make_plan(table, config)
        _refuse_to_lose_videos(config, table)
        (config.out / STORE_FILE).unlink(missing_ok=True)
        remove_leftovers(config.out, plan.kept)
        _write_shards(plan, len(table), config.workers)
        return _finish(config, table, plan, digest)


def _settings(config: PrepareConfig) -> dict[str, Any]:
    return {"format_version": FORMAT_VERSION, **config.model_dump(mode="json", exclude=FREE_SETTINGS)}


def _claim_folder(config: PrepareConfig) -> None:
    """Write down the settings before anything else, so that a half-made store refuses others too."""
    path = config.out / SETTINGS_FILE
    if not path.is_file():
        if config.out.exists() and (not config.out.is_dir() or any(config.out.iterdir())):
            raise RunFolderError(f"{config.out}: not empty and no clip store; choose another folder")
        write_json(path, _settings(config))
        return
    before, now = json.loads(path.read_text(encoding="utf-8")), _settings(config)
    changed = [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} asked for"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunFolderError(
            f"{config.out}: holds a clip store with other settings; choose another folder or remove it\n  "
            + "\n  ".join(changed)
        )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Refuse a second ``prepare`` on the same store; the lock goes with the process, however it ends."""
    with (folder / SETTINGS_FILE).open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunFolderError(f"{folder}: another echossl prepare is at work here; wait for it") from error
        yield


def _digest(table: pd.DataFrame) -> str:
    """What of the manifest goes into the store; labels may change freely."""
    names = [name for name in ("path", "patient_id", "study_id", "fps") if name in table]
    return hashlib.blake2b(table[names].to_csv(index=False).encode(), digest_size=16).hexdigest()


def _finished(folder: Path) -> dict[str, Any] | None:
    path = folder / STORE_FILE
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _refuse_to_lose_videos(config: PrepareConfig, table: pd.DataFrame) -> None:
    """A finished store may grow, never silently shrink."""
    if _finished(config.out) is None:
        return
    lost = sorted(set(read_table(config.out / INDEX_FILE)["path"]) - set(table["path"]))
    if lost:
        raise RunFolderError(
            f"{config.out}: holds {len(lost)} videos that {config.manifest} does not list, the first is "
            f"{lost[0]}; choose another folder"
        )


def _write_shards(plan: Plan, num_videos: int, workers: int) -> None:
    done = num_videos - sum(len(job.videos) for job in plan.jobs)
    rejected = 0
    with progress("preparing", total=num_videos, unit="videos", done=done) as bar:
        for number, count in run_jobs(write_shard, plan.jobs, workers=workers):
            rejected += count
            bar.advance(len(plan.jobs[number].videos), f"{rejected} rejected" if rejected else "")


def _finish(config: PrepareConfig, table: pd.DataFrame, plan: Plan, digest: str) -> PrepareSummary:
    """Put the tables of the shards together; ``store.json`` comes last and marks the store as whole."""
    shards = [read_table(table_path(config.out, number)) for number in plan.numbers]
    rows = table[["path", "patient_id", "study_id"]].merge(pd.concat(shards), on="path", validate="1:1")
    stored, rejected = rows[rows["reason"] == ""], rows[rows["reason"] != ""]
    if stored.empty:
        path, reason = rejected[["path", "reason"]].iloc[0]
        raise UserError(
            f"{config.manifest}: none of {len(rows)} videos can be read; the first: {path}: {reason}"
        )
    with atomic_path(config.out / INDEX_FILE) as path:
        stored[list(INDEX_COLUMNS)].to_csv(path, index=False)
    with atomic_path(config.out / REJECTED_FILE) as path:
        rejected[["path", "reason"]].to_csv(path, index=False)
    summary = PrepareSummary(
        stored=len(stored),
        rejected=len(rejected),
        frames=int(stored["num_frames"].sum()),
        seconds=round(float(stored["duration_seconds"].sum()), 6),
    )
    content = {"settings": _settings(config), "manifest": str(config.manifest), "manifest_digest": digest}
    write_json(config.out / STORE_FILE, content | {"summary": asdict(summary)})
    return summary
