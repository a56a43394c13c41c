"""Open every video of a manifest before the long work starts, and say what cannot be used."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from echossl.config.video import ClipConfig
from echossl.data.decode import frame_times
from echossl.data.manifest import read_manifest
from echossl.data.workers import leave_if_stopped, run_jobs
from echossl.errors import DecodeError
from echossl.progress import progress
from echossl.video.reader import open_video
from echossl.video.sampling import duration_seconds

DEFAULT_CLIP = ClipConfig()
VIDEOS_PER_JOB = 16


@dataclass(frozen=True)
class Checked:
    """What a video file is; ``problem`` is empty if it can be used, ``note`` says what is odd about it."""

    path: str
    num_frames: int = 0
    fps: float = math.nan
    height: int = 0
    width: int = 0
    duration_seconds: float = 0.0
    problem: str = ""
    note: str = ""


def check(manifest_path: Path, workers: int, *, clip: ClipConfig = DEFAULT_CLIP) -> pd.DataFrame:
    """Open every file of a manifest and decode its first, middle and last frame.

    Args:
        manifest_path: the manifest.
        workers: processes; 0 takes one per core.
        clip: a shorter video gets a note, or is a problem where ``clip.too_short`` is ``error``.

    Returns:
        One row per video in the order of the manifest: ``path, patient_id, num_frames, fps, height, width,
        duration_seconds, problem, note``. Nothing raises for the sake of one video.

    Raises:
        ManifestError: if the table itself has faults.
    """
    table = read_manifest(manifest_path)
    rates = table["fps"] if "fps" in table else pd.Series(float("nan"), index=table.index)
    videos = list(zip(table["path"], rates.astype(float), strict=True))
    jobs = [
        (tuple(videos[first : first + VIDEOS_PER_JOB]), clip)
        for first in range(0, len(videos), VIDEOS_PER_JOB)
    ]
    found: dict[int, list[Checked]] = {}
    with progress("checking", total=len(videos), unit="videos") as bar:
        for number, checked in run_jobs(_check_some, jobs, workers=workers):
            found[number] = checked
            bar.advance(len(checked))
    rows = [asdict(video) for number in sorted(found) for video in found[number]]
    result = pd.DataFrame(rows)
    result.insert(1, "patient_id", table["patient_id"])
    return result


def _check_some(job: tuple[Sequence[tuple[str, float]], ClipConfig]) -> list[Checked]:
    videos, clip = job
    return [_check_one(path, fps, clip) for path, fps in videos]


def _check_one(path: str, manifest_fps: float, clip: ClipConfig) -> Checked:
    leave_if_stopped()
    try:
        with open_video(path) as reader:
            last = reader.num_frames - 1
            reader.read([0, last // 2, last])
            times, fps = frame_times(reader, path, None if math.isnan(manifest_fps) else manifest_fps)
            found = Checked(
                path, reader.num_frames, fps, reader.height, reader.width, duration_seconds(times)
            )
    except DecodeError as error:
        return Checked(path, problem=error.reason)
    return _judged(found, clip)


def _judged(found: Checked, clip: ClipConfig) -> Checked:
    """A clip can repeat what is shorter than it, unless that is said to be an error."""
    if found.num_frames == 1:
        odd = "a single picture, no video"
    elif found.duration_seconds < clip.clip_seconds:
        odd = f"too short: {found.duration_seconds:.5g} s, a clip takes {clip.clip_seconds:g} s"
    else:
        return found
    return replace(found, problem=odd) if clip.too_short == "error" else replace(found, note=odd)
