"""Decode every video of a manifest once into the clip store; interrupt it at any moment and go on later."""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from echossl.config.data import PrepareConfig
from echossl.data.claim import claim_folder, settings_of, space_needed
from echossl.data.manifest import read_manifest
from echossl.data.parts import PART_LOCKS, Part, at_work, looking_around, short_lock
from echossl.data.plan import (
    PLAN_FILE,
    Plan,
    Terms,
    make_plan,
    read_plan,
    remove_half_written,
    remove_leftovers,
    write_plan,
)
from echossl.data.shards import ShardJob, without_video, write_shard
from echossl.data.store_tables import (
    DAMAGED_FILE,
    INDEX_COLUMNS,
    INDEX_FILE,
    REJECTED_FILE,
    SETTINGS_FILE,
    STORE_FILE,
    read_store_file,
    read_table,
    shard_numbers,
    table_path,
)
from echossl.data.workers import run_jobs
from echossl.errors import RunFolderError, UserError
from echossl.files import atomic_path, write_json
from echossl.progress import progress


@dataclass(frozen=True)
class PrepareSummary:
    """What a clip store holds.

    Attributes:
        stored: number of videos.
        rejected: number of videos that could not be read; ``rejected.csv`` says why.
        frames: number of frames.
        seconds: total length of the videos.
        missing_shards: shards that other parts have yet to make; the store is finished when there are none.
    """

    stored: int
    rejected: int
    frames: int
    seconds: float
    missing_shards: int = 0

    def as_text(self) -> str:
        """The same in words, for a person."""
        text = f"{self.stored} videos stored, {self.rejected} rejected"
        if self.rejected:
            text += f" (see {REJECTED_FILE}; a run without shard tries them again)"
        if self.missing_shards:
            text += (
                f"; not finished: {self.missing_shards} shards of other parts are missing, the last part to "
                "end finishes the store"
            )
        return text


def prepare(config: PrepareConfig) -> PrepareSummary:
    """Make, continue or extend a clip store, or do one part of that.

    A finished store of the same videos is left as it is; new videos are added to it, after the rows that are
    there. A video that cannot be read is listed in ``rejected.csv`` with the reason, and tried again by every
    later run without ``shard``. Of several parts (``shard``) the last to end finishes the store; a run
    without ``shard`` does whatever dead parts left. What ``damaged.csv`` lists is made anew.

    Raises:
        ManifestError: if the manifest has faults.
        RunFolderError: if the folder holds something else: other settings, other videos, other files; or if
            somebody else is at work in it, or it cannot be written to.
        UserError: if no video at all can be read.
        EchosslError: if the disk is full; the same command continues once there is space.
    """
    table = read_manifest(config.manifest)
    part = Part.of(config.shard)
    terms = Terms(_digest(table), part.num_parts)
    with space_needed(config.out):
        claim_folder(config)
        with looking_around(config.out):
            finished = _summary_if_finished(config, terms)
            if finished and not make_plan(table, config).jobs:
                return finished
        with ExitStack() as stack:
            with short_lock(config.out):
                alone = stack.enter_context(at_work(config.out, part))
                plan = _begin(config, table, terms) if alone else _join(config, terms)
            _write_shards(plan, part, config, len(table))
            with short_lock(config.out):
                return _finish(config, table, plan, terms)


def _digest(table: pd.DataFrame) -> str:
    """What of the manifest goes into the store; labels may change freely."""
    names = [name for name in ("path", "patient_id", "study_id", "fps") if name in table]
    return hashlib.blake2b(table[names].to_csv(index=False).encode(), digest_size=16).hexdigest()


def _summary_if_finished(config: PrepareConfig, terms: Terms) -> PrepareSummary | None:
    content = read_store_file(config.out)
    is_whole = all((config.out / name).is_file() for name in (INDEX_FILE, REJECTED_FILE))
    if content is None or not is_whole or content["manifest_digest"] != terms.manifest_digest:
        return None
    return PrepareSummary(**content["summary"])


def _begin(config: PrepareConfig, table: pd.DataFrame, terms: Terms) -> Plan:
    """Plan afresh, with nobody else at work: all that does not belong here is from runs that are over."""
    plan = make_plan(table, config)
    if (config.out / STORE_FILE).is_file() and (config.out / INDEX_FILE).is_file():
        _give_up_store(config, table, plan)
    (config.out / PLAN_FILE).unlink(missing_ok=True)
    remove_leftovers(config.out, plan.kept)
    # what it lists is gone with the shards
    (config.out / DAMAGED_FILE).unlink(missing_ok=True)
    if terms.num_parts > 1:
        write_plan(plan, config.out, terms)
    return plan


def _give_up_store(config: PrepareConfig, table: pd.DataFrame, plan: Plan) -> None:
    """A finished store may grow, and can be used meanwhile; what it holds never silently shrinks."""
    stored = read_table(config.out / INDEX_FILE)
    lost = sorted(set(stored["path"]) - set(table["path"]))
    if lost:
        raise RunFolderError(
            f"{config.out}: holds {len(lost)} videos that {config.manifest} does not list, the first is "
            f"{lost[0]}; choose another folder"
        )
    if set(stored["shard"]) - set(plan.kept):
        (config.out / STORE_FILE).unlink()


def _join(config: PrepareConfig, terms: Terms) -> Plan:
    """Go by the plan of the parts that are at work."""
    written = read_plan(config)
    if written is None:
        if _summary_if_finished(config, terms):
            return Plan((), ())
        raise RunFolderError(f"{config.out}: other parts are just ending here; try again")
    plan, theirs = written
    if theirs.num_parts != terms.num_parts:
        raise RunFolderError(
            f"{config.out}: parts of {theirs.num_parts} are at work here, not of {terms.num_parts}; wait for "
            f"them or use shard=i/{theirs.num_parts}"
        )
    if theirs.manifest_digest != terms.manifest_digest:
        raise RunFolderError(f"{config.out}: parts of another manifest are at work here; wait for them")
    return plan


def _write_shards(plan: Plan, part: Part, config: PrepareConfig, num_videos: int) -> None:
    own = [job for job in plan.jobs if part.has(job.number)]
    finished = set(shard_numbers(config.out))
    jobs = [job for job in own if job.number not in finished]
    remove_half_written(config.out, jobs)
    total = num_videos if part.num_parts == 1 else _num_videos(own)
    rejected = 0
    with progress("preparing", total=total, unit="videos", done=total - _num_videos(jobs)) as bar:
        results = run_jobs(
            write_shard,
            jobs,
            workers=config.workers,
            without=without_video,
            item_seconds=config.seconds_per_video,
        )
        for number, count in results:
            rejected += count
            bar.advance(len(jobs[number].videos), f"{rejected} rejected" if rejected else "")


def _num_videos(jobs: Sequence[ShardJob]) -> int:
    return sum(len(job.videos) for job in jobs)


def _finish(config: PrepareConfig, table: pd.DataFrame, plan: Plan, terms: Terms) -> PrepareSummary:
    """Put the tables of the shards together, if all are there."""
    has_plan = (config.out / PLAN_FILE).is_file()
    if terms.num_parts > 1 and not has_plan and (finished := _summary_if_finished(config, terms)):
        # another part has come to this point too
        return finished
    done = set(shard_numbers(config.out))
    # in this order the newest word on a video that was rejected before is the last one
    numbers = (*plan.kept, *(job.number for job in plan.jobs))
    tables = [read_table(table_path(config.out, number)) for number in numbers if number in done]
    missing = len(plan.numbers) - len(tables)
    if not tables:
        return PrepareSummary(stored=0, rejected=0, frames=0, seconds=0.0, missing_shards=missing)
    said = _last_words(pd.concat(tables, ignore_index=True))
    rows = table[["path", "patient_id", "study_id"]].merge(said, on="path", validate="1:1")
    summary = _summary(rows, missing)
    if not missing:
        _mark_as_whole(config, rows, summary, terms)
    return summary


def _last_words(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per video: that of a stored one, else the last that rejects it."""
    stored_last = rows.sort_values("reason", key=lambda reasons: reasons == "", kind="stable")
    return stored_last.drop_duplicates("path", keep="last")


def _in_stable_order(rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Videos that have a row in the store keep it, because runs go by its number; new ones come after."""
    path = folder / INDEX_FILE
    before: list[str] = read_table(path, ["path"])["path"].tolist() if path.is_file() else []
    places = {video: row for row, video in enumerate(before)}
    return rows.sort_values("path", key=lambda paths: paths.map(places).fillna(len(places)), kind="stable")


def _summary(rows: pd.DataFrame, missing_shards: int) -> PrepareSummary:
    stored = rows[rows["reason"] == ""]
    return PrepareSummary(
        stored=len(stored),
        rejected=len(rows) - len(stored),
        frames=int(stored["num_frames"].sum()),
        seconds=round(float(stored["duration_seconds"].sum()), 6),
        missing_shards=missing_shards,
    )


def _mark_as_whole(config: PrepareConfig, rows: pd.DataFrame, summary: PrepareSummary, terms: Terms) -> None:
    """Write the tables of the store; ``store.json`` comes last and says that it is whole."""
    stored, rejected = rows[rows["reason"] == ""], rows[rows["reason"] != ""]
    if stored.empty:
        # nothing is worth keeping, so that parts try again too
        remove_leftovers(config.out, ())
        if terms.num_parts == 1:
            # the folder is free for other settings, which may be what helps
            (config.out / SETTINGS_FILE).unlink()
        path, reason = rejected[["path", "reason"]].iloc[0]
        raise UserError(
            f"{config.manifest}: none of {len(rows)} videos can be read; the first: {path}: {reason}"
        )
    with atomic_path(config.out / INDEX_FILE) as path:
        _in_stable_order(stored, config.out)[list(INDEX_COLUMNS)].to_csv(path, index=False)
    with atomic_path(config.out / REJECTED_FILE) as path:
        rejected[["path", "reason"]].to_csv(path, index=False)
    content = {"settings": settings_of(config), "manifest": str(config.manifest)}
    # paths are absolute: by this folder they are found again after all has moved
    content["manifest_folder"] = str(config.manifest.absolute().parent)
    content |= {"manifest_digest": terms.manifest_digest, "summary": asdict(summary)}
    write_json(config.out / STORE_FILE, content)
    for path in (config.out / PLAN_FILE, *config.out.glob(PART_LOCKS)):
        path.unlink(missing_ok=True)
