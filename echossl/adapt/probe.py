"""The probe: how much do frozen features know, for several starts side by side?"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from echossl.adapt.budget import of_split
from echossl.adapt.probe_features import video_features
from echossl.adapt.probe_scores import Scores, label_scores, number_scores, one_thread
from echossl.config.probe import ProbeArm, ProbeConfig
from echossl.data.manifest import read_manifest
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.evaluation.panel_files import LABELLED_NAME, label_metric, number_metric, scores_path
from echossl.evaluation.panel_tables import write_summary
from echossl.files import atomic_path
from echossl.progress import track
from echossl.runs import RunFolder

# paths of videos -> a table with that index and a column per cause
Latents = Callable[[Sequence[str]], pd.DataFrame]


def probe(config: ProbeConfig, latents: Latents | None = None) -> Path:
    """Probe every arm with every seed. A finished run returns at once, an interrupted one continues.

    Args:
        config: the settings.
        latents: reads the true causes of videos, which ``config.truth`` asks for. They come from outside,
            so that nothing that learns knows a way to the truth; here they only serve to score.

    Returns:
        ``summary.md`` in the run folder. Beside it lie ``results.csv``, ``labelled.csv`` (whose labels each
        run has read), ``predictions/`` and ``features/``.

    Raises:
        UserError: if the manifest, the store, a start and the settings do not fit together.
    """
    run = RunFolder.open(config.out, config, command="probe")
    path = config.out / "summary.md"
    if run.result is not None:
        return path
    started = time.monotonic()
    store = ClipStore.open(config.data.store)
    videos, splits = _videos(config, store, latents)
    tasks = [(arm, seed) for arm in config.arms for seed in _seeds(config, arm)]
    for arm, seed in track(tasks, "probing", total=len(tasks), unit="encoders"):
        known = videos[["row", "path", "split"]]
        features = video_features(config, arm, seed, store, known)
        with one_thread():
            labelled = {}
            for column in config.columns:
                scores = label_scores(config, videos, features, column, splits)
                labelled[label_metric(column, config.columns)] = scores
            for target in config.all_targets:
                labelled[number_metric(target)] = number_scores(config, videos, features, target, splits)
        _write_scores(config, arm, seed, labelled)
    write_summary(config.out, {arm.name: arm.title for arm in config.arms}, config.bootstrap)
    run.finish({"num_videos": len(videos), "seconds": round(time.monotonic() - started, 2)})
    return path


def _seeds(config: ProbeConfig, arm: ProbeArm) -> tuple[int, ...]:
    return config.seeds if arm.has_seeds else config.seeds[:1]


def _videos(
    config: ProbeConfig, store: ClipStore, latents: Latents | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The stored videos of the needed splits, with all that is to be predicted, and the scored splits."""
    manifest = read_manifest(config.data.manifest, binary_columns=config.columns, files_needed=False)
    missing = [name for name in config.targets if name not in manifest]
    if missing:
        raise UserError(f"{config.data.manifest}: no column {missing[0]!r}, which targets asks for")
    table = store.rows_for(manifest)
    of_split(table, config.train_split)
    splits = config.splits or tuple(name for name in ("val", "test") if (table["split"] == name).any())
    for split in splits or ("test",):
        of_split(table, split)
    videos = table[table["split"].isin((config.train_split, *splits))].reset_index(drop=True)
    if config.truth is None:
        return videos, splits
    if latents is None:
        raise ValueError("config.truth is set, but nothing reads it; see echossl.study.probe")
    found = latents(videos["path"].tolist())
    clash = sorted(set(found.columns) & set(videos.columns))
    if clash:
        raise UserError(
            f"{config.data.manifest}: has a column {clash[0]!r}, which latents would hide; leave one out"
        )
    return videos.join(found, on="path"), splits


def _write_scores(config: ProbeConfig, arm: ProbeArm, seed: int, found: dict[str, Scores]) -> None:
    for metric, scores in found.items():
        with atomic_path(scores_path(config.out, metric, arm.name, seed)) as temporary:
            scores.table.to_csv(temporary, index=False)
    # the same for every arm and seed
    labelled = [scores.labelled.assign(metric=metric) for metric, scores in found.items()]
    with atomic_path(config.out / LABELLED_NAME) as temporary:
        columns = ["metric", "fraction", "draw", "patient_id"]
        pd.concat(labelled)[columns].to_csv(temporary, index=False)
