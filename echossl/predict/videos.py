"""Videos of any kind into a clip store like that of training; what cannot be, or is unlike it, is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.config.data import CheckConfig, PrepareConfig
from echossl.config.predict import PredictConfig, VideoUse
from echossl.config.video import ClipConfig
from echossl.data.check import check
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare
from echossl.data.store import ClipStore
from echossl.data.store_tables import REJECTED_FILE, read_table
from echossl.errors import EchosslError, UserError
from echossl.predict.model import Model
from echossl.predict.studies import Named, Refusal
from echossl.video.sampling import TOLERANCE_SECONDS

# training has seen no such video, or next to none: of this many, fewer than this share
ENOUGH_VIDEOS, NEXT_TO_NONE = 10, 0.05


@dataclass(frozen=True)
class Prepared:
    """The videos that can be scored.

    Attributes:
        store: their frames; None if there is no video.
        videos: ``row`` of the store, ``path, patient_id, study_id, num_frames, fps, duration_seconds``.
        refused: the others.
    """

    store: ClipStore | None
    videos: pd.DataFrame
    refused: tuple[Refusal, ...]


def prepare_videos(named: Named, model: Model, config: PredictConfig, folder: Path) -> Prepared:
    """Decode the videos as those of training were, each where a crash of its decoder hurts nothing else.

    Args:
        named: which videos.
        model: how they are prepared.
        config: decoding, and what is done with videos that are unlike those of training.
        folder: a scratch folder, to be removed by the caller.

    Raises:
        EchosslError: if the disk is full.
    """
    columns = ["row", "path", "patient_id", "study_id", "num_frames", "fps", "duration_seconds"]
    if named.videos.empty:
        return Prepared(None, pd.DataFrame(columns=columns), ())
    manifest = folder / "manifest.csv"
    write_manifest(named.videos, manifest)
    store = _store(manifest, model, config, folder)
    if isinstance(store, str):
        reasons = _reasons(manifest, config, store)
        return Prepared(None, pd.DataFrame(columns=columns), tuple(_refusals(named.videos, reasons)))
    rejected = read_table(store.path / REJECTED_FILE)
    reasons = dict(zip(rejected["path"], rejected["reason"], strict=True))
    videos = store.table.assign(row=range(len(store)))
    reasons |= _unusable(store, videos, model, take=config.unlike == "take")
    kept = videos.loc[~videos["path"].isin(reasons), columns].set_index("path")
    in_order = [path for path in named.videos["path"] if path in kept.index]
    videos = kept.loc[in_order].reset_index()[columns]
    return Prepared(store, videos, tuple(_refusals(named.videos, reasons)))


def _store(manifest: Path, model: Model, config: PredictConfig, folder: Path) -> ClipStore | str:
    """The store, or why there is none."""
    how = PrepareConfig(
        manifest=manifest,
        out=folder / "store",
        size=model.encoder.metadata.size,
        sector=model.use.sector,
        doppler=model.use.doppler,
        backend=model.use.backend,
        workers=config.workers,
        seconds_per_video=config.seconds_per_video,
        videos_per_shard=8,
    )
    try:
        prepare(how)
    except UserError as error:
        # not one video can be read; the store says the reason of the first alone
        return str(error)
    return ClipStore.open(how.out)


def _reasons(manifest: Path, config: PredictConfig, fallback: str) -> dict[str, str]:
    """What is wrong with each video; what preparation said where a look at it finds no fault."""
    table = check(
        CheckConfig(manifest=manifest, seconds_per_video=config.seconds_per_video, workers=config.workers)
    )
    texts = [text.partition(": ")[2] or text or fallback for text in table["problem"]]
    return dict(zip(table["path"], texts, strict=True))


def _refusals(videos: pd.DataFrame, reasons: dict[str, str]) -> Iterator[Refusal]:
    for path, patient, study in videos[["path", "patient_id", "study_id"]].itertuples(index=False):
        if path in reasons:
            yield Refusal(path, patient, study, " ".join(reasons[path].split()))


def _unusable(store: ClipStore, videos: pd.DataFrame, model: Model, *, take: bool) -> dict[str, str]:
    """Why stored videos are not scored, by their path."""
    found: dict[str, str] = {}
    for _, video in videos.iterrows():
        reason = _too_short(video, model) or _blank(store, int(video["row"]))
        if not reason and not take:
            reason = _unlike(video, model.use)
        if reason:
            found[str(video["path"])] = reason
    return found


def note_of(duration_seconds: float, num_frames: int, clip: ClipConfig) -> str:
    """What was done to a video that is shorter than a clip, in words; empty for one that is long enough."""
    if not duration_seconds < clip.clip_seconds - TOLERANCE_SECONDS:
        return ""
    how = "played in a loop" if clip.too_short == "loop" and num_frames > 1 else "its last frame held"
    return f"shorter than a clip ({duration_seconds:.2f} s of {clip.clip_seconds:.2f} s): {how}"


def _too_short(video: pd.Series, model: Model) -> str:
    clip = model.encoder.metadata.clip
    if clip.too_short == "error" and video["duration_seconds"] < clip.clip_seconds:
        return f"too short: lasts {video['duration_seconds']:.2f} s, a clip needs {clip.clip_seconds:.2f} s"
    return ""


def _blank(store: ClipStore, row: int) -> str:
    try:
        frames = store.frames(row)
    except EchosslError as error:
        return str(error)
    return "shows nothing: every pixel has one grey value" if np.ptp(frames) == 0 else ""


def _unlike(video: pd.Series, use: VideoUse) -> str:
    """What a video has that those of training had not, if those are enough to tell."""
    if use.num_videos < ENOUGH_VIDEOS:
        return ""
    few = NEXT_TO_NONE * use.num_videos
    if video["doppler"] and use.with_doppler < few:
        return _sentence("shows colour Doppler", use.with_doppler, use)
    if video["num_frames"] == 1 and use.stills < few:
        return _sentence("is a still", use.stills, use)
    without = use.num_videos - use.with_sector
    if use.sector != "keep" and not video["outline"] and without < few:
        return _sentence("has no ultrasound sector that can be found", without, use)
    return ""


def _sentence(what: str, count: int, use: VideoUse) -> str:
    return (
        f"{what}, as {count} of {use.num_videos} videos of the clip store of training do; unlike=take scores "
        "it all the same"
    )
