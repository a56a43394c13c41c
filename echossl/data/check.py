"""Look through every video of a manifest before the long work starts, and say what cannot be used."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from echossl.config.data import CheckConfig
from echossl.config.video import Backend, ClipConfig
from echossl.data.across import duplicate_findings, first_with_same_pixels, split_findings
from echossl.data.check_video import Checked, check_video, refused
from echossl.data.manifest import read_manifest
from echossl.data.workers import leave_if_stopped, run_jobs, working_on
from echossl.errors import UserError
from echossl.files import atomic_path
from echossl.progress import progress

VIDEOS_PER_JOB = 8
# between several findings of one video; a reason in words has semicolons of its own
BETWEEN = " | "
COLUMNS = (
    "path",
    "patient_id",
    "num_frames",
    "fps",
    "height",
    "width",
    "duration_seconds",
    "digest",
    "duplicate_of",
    "problem",
    "note",
)


@dataclass(frozen=True)
class CheckJob:
    """Some videos for one worker.

    Attributes:
        videos: path and the manifest's frame rate of each.
        clip: what will be cut from them.
        backend: video decoder.
        refused: path and reason of those that ended a worker process.
    """

    videos: tuple[tuple[str, float], ...]
    clip: ClipConfig
    backend: Backend = "auto"
    refused: tuple[tuple[str, str], ...] = ()


def check(config: CheckConfig) -> pd.DataFrame:
    """Decode every frame of every file of a manifest, each where a crash of its decoder hurts nothing else.

    Returns:
        One row per video in the order of the manifest: ``path, patient_id, num_frames, fps, height, width,
        duration_seconds, digest, duplicate_of, problem, note``. ``digest`` is equal for equal pixels,
        ``duplicate_of`` the path of the first video with them. ``problem`` is empty if the video can be used;
        it and ``note`` hold ``kind: words``, several joined by `` | ``. A missing file and a patient in two
        splits are problems of their rows. Nothing raises for the sake of one video.

    Raises:
        ManifestError: if the table itself has other faults.
    """
    table = read_manifest(config.manifest, lenient=True)
    checked = _look_through(table, config)
    repeats = first_with_same_pixels([video.digest for video in checked])
    for finding in chain(split_findings(table), duplicate_findings(table, repeats)):
        video = checked[finding.row]
        (video.problems if finding.is_problem else video.notes).append(finding.text)
    originals = [checked[repeats[row]].path if row in repeats else "" for row in range(len(checked))]
    videos = zip(checked, table["patient_id"], originals, strict=True)
    return pd.DataFrame([_row(*video) for video in videos], columns=list(COLUMNS))


def summarise_check(table: pd.DataFrame) -> list[str]:
    """What a person wants to read first: how many videos can be used, and how many of each finding there are.

    Args:
        table: as :func:`check` gives it.

    Returns:
        Lines of text.
    """
    bad = int((table["problem"] != "").sum())
    odd = int(((table["note"] != "") & (table["problem"] == "")).sum())
    lines = [f"{len(table)} videos: {len(table) - bad} can be used, {odd} of them with a note; {bad} cannot"]
    for column in ("problem", "note"):
        found = [
            (text.partition(": ")[0], path, text)
            for path, texts in zip(table["path"], table[column], strict=True)
            for text in texts.split(BETWEEN)
            if text
        ]
        counts = Counter(kind for kind, _, _ in found)
        example = {kind: f"{path}: {text.partition(': ')[2]}" for kind, path, text in reversed(found)}
        lines += [f"{column} {kind}: {count}, first {example[kind]}" for kind, count in counts.most_common()]
    return lines


def refuse_other_table(out: Path) -> None:
    """Keep a table that is no check of videos, for example the manifest itself, from being replaced.

    Raises:
        UserError: if there is such a file.
    """
    if out.is_file() and "problem" not in pd.read_csv(out, nrows=0, encoding_errors="replace").columns:
        raise UserError(f"{out}: is there already and no table of an earlier check; give another -o")


def write_check(table: pd.DataFrame, out: Path) -> None:
    """Write the table of :func:`check` as CSV, whole or not at all."""
    with atomic_path(out) as temporary:
        table.to_csv(temporary, index=False)


def _row(video: Checked, patient: str, original: str) -> dict[str, Any]:
    texts = {"problem": BETWEEN.join(video.problems), "note": BETWEEN.join(video.notes)}
    return asdict(video) | {"patient_id": patient, "duplicate_of": original} | texts


def _look_through(table: pd.DataFrame, config: CheckConfig) -> list[Checked]:
    rates = table["fps"] if "fps" in table else pd.Series(float("nan"), index=table.index)
    videos = list(zip(table["path"], rates.astype(float), strict=True))
    jobs = [
        CheckJob(tuple(videos[first : first + VIDEOS_PER_JOB]), config.clip, config.backend)
        for first in range(0, len(videos), VIDEOS_PER_JOB)
    ]
    found: dict[int, list[Checked]] = {}
    bad = 0
    with progress("checking", total=len(videos), unit="videos") as bar:
        limit = config.seconds_per_video
        for number, checked in run_jobs(
            _check_some, jobs, workers=config.workers, without=_without, item_seconds=limit
        ):
            found[number] = checked
            bad += sum(bool(video.problems) for video in checked)
            bar.advance(len(checked), f"{bad} cannot be used" if bad else "")
    return [video for number in sorted(found) for video in found[number]]


def _without(job: CheckJob, path: str, reason: str) -> CheckJob:
    return replace(job, refused=(*job.refused, (path, reason)))


def _check_some(job: CheckJob) -> list[Checked]:
    bad = dict(job.refused)
    checked = []
    for path, fps in job.videos:
        leave_if_stopped()
        if path in bad:
            checked.append(refused(path, bad[path]))
        else:
            working_on(path)
            checked.append(check_video(path, fps, job.clip, backend=job.backend))
    working_on(None)
    return checked
