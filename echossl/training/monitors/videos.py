"""Which videos are looked at: a few patients of each split, the same at every look."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.monitors import MonitorConfig
from echossl.data.labels import NOT_ASSESSED_CODE, encode_labels
from echossl.data.manifest import read_manifest
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.training.monitors.probe import FOLDS

FEWEST_PATIENTS = 2


def choose_videos(config: MonitorConfig, manifest: Path, store: ClipStore) -> pd.DataFrame:
    """The videos to look at.

    Args:
        config: settings.
        manifest: the table of videos.
        store: the clip store.

    Returns:
        One row per video: the manifest's columns, ``label`` (1, 0, or -1 where not assessed or without a
        label column) and ``row`` in the store.

    Raises:
        UserError: if the manifest lacks a split or column, or a class has too few patients.
    """
    table = read_manifest(manifest, files_needed=False)
    splits = {"split": config.split}
    if config.column is not None:
        splits["fit_split"] = config.fit_split
    _require_columns(config, manifest, table)
    for key, split in splits.items():
        _require_split(manifest, table, key, split)
    table = table[table["split"].isin(list(splits.values()))]
    stored = store.rows_for(table.assign(label=_labels(config, table)))
    chosen = pd.concat([_few_of(config, stored[stored["split"] == split]) for split in set(splits.values())])
    for key, split in splits.items():
        _require_patients(config, key, chosen[chosen["split"] == split])
    return chosen.sort_values("row").reset_index(drop=True)


def _require_columns(config: MonitorConfig, manifest: Path, table: pd.DataFrame) -> None:
    for column in config.leak_columns:
        if column not in table:
            raise UserError(
                f"monitor.leak_columns: {manifest} has no column {column!r}; found {', '.join(table.columns)}"
            )


def _require_split(manifest: Path, table: pd.DataFrame, key: str, split: str) -> None:
    found = sorted(set(table["split"])) if "split" in table else []
    if split not in found:
        has = f"the splits {', '.join(repr(name) for name in found)}" if found else "no splits"
        raise UserError(
            f"monitor.{key}: no video of split {split!r}, {manifest} has {has}; set monitor.{key} to one "
            "that is there, or put some patients into that split"
        )


def _labels(config: MonitorConfig, table: pd.DataFrame) -> npt.NDArray[np.int64]:
    """(rows,) 1, 0 or -1.

    Raises:
        UserError: if there is no such column, or it is not binary.
    """
    if config.column is None:
        return np.full(len(table), NOT_ASSESSED_CODE, dtype=np.int64)
    try:
        return encode_labels(table, config.column, kind="binary")
    except UserError as error:
        raise UserError(f"monitor.column: {error}; kNN and probe need 0, 1 or empty") from error


def _few_of(config: MonitorConfig, videos: pd.DataFrame) -> pd.DataFrame:
    """The videos of a split that are looked at; both classes keep their share of the patients."""
    labels = videos.groupby("patient_id")["label"].max()
    order = labels.reset_index().sort_values(["label", "patient_id"])["patient_id"].to_numpy()
    patients = order[evenly(len(order), config.most_patients)]
    groups = videos[videos["patient_id"].isin(patients)].sort_values("path").groupby("patient_id")
    return pd.concat(group.iloc[evenly(len(group), config.videos_per_patient)] for _, group in groups)


def evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` of the numbers below ``count``, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _require_patients(config: MonitorConfig, key: str, videos: pd.DataFrame) -> None:
    found = videos["patient_id"].nunique()
    if found < FEWEST_PATIENTS:
        raise UserError(f"monitor.{key}: {found} patients are stored, expected {FEWEST_PATIENTS} or more")
    if config.column is None:
        return
    # the probe is fitted and asked within one split only if there are two parts of each class at least
    fewest = FOLDS if config.fit_split == config.split else 1
    counts = [videos.loc[videos["label"] == label, "patient_id"].nunique() for label in (1, 0)]
    if min(counts) < fewest:
        raise UserError(
            f"monitor.column: {config.column} has {counts[0]} positive and {counts[1]} negative patients "
            f"among those looked at of monitor.{key}, expected {fewest} of each or more; take another column "
            "or split, or raise monitor.most_patients"
        )
