"""Pre-training on several sources: their videos in one table, and how the batches are made of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.config.data import DataConfig, SourceConfig
from echossl.config.training import PretrainConfig
from echossl.data.fused_sampler import FusedSampler, source_shares
from echossl.data.fused_store import FusedStore, matching_levels
from echossl.data.manifest import read_manifest
from echossl.data.reports import with_reports
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.objectives import Objective
from echossl.training.statistics import grey_counts

# column of the table of videos; a manifest may have a column "source" of its own
SOURCE_COLUMN = "fused_source"


def stored_videos(
    manifest_file: Path,
    store_folder: Path,
    *,
    split: str,
    report_column: str | None = None,
    binary_columns: Sequence[str] = (),
) -> tuple[ClipStore, pd.DataFrame]:
    """A store, and the manifest's rows of a split, all without splits, with their places in the store.

    Args:
        manifest_file: the manifest.
        store_folder: the clip store.
        split: whose rows are wanted.
        report_column: takes only studies with a report in this column; see
            :func:`echossl.data.reports.with_reports`.
        binary_columns: that hold 0, 1 or nothing; see :func:`echossl.data.manifest.read_manifest`.

    Raises:
        UserError: if the split has no videos, or no reports where they are wanted.
    """
    manifest = read_manifest(manifest_file, files_needed=False, binary_columns=binary_columns)
    if "split" in manifest:
        found = sorted(set(manifest["split"]))
        manifest = manifest[manifest["split"] == split]
        if manifest.empty:
            raise UserError(
                f"{manifest_file}: column split: no video of split {split!r}, found "
                f"{', '.join(repr(name) for name in found)}; set split to one of them"
            )
    if report_column is not None:
        manifest = with_reports(manifest, column=report_column, name=str(manifest_file))
    store = ClipStore.open(store_folder)
    return store, store.rows_for(manifest)


def fused_videos(config: PretrainConfig) -> tuple[FusedStore, pd.DataFrame]:
    """The stores of all sources as one, and their videos, with the name of the source before patient ids.

    Raises:
        UserError: if a source has no videos of the split, or its pictures have another size.
    """
    sources: tuple[DataConfig | SourceConfig, ...] = (config.data, *config.fusion.sources)
    names = [config.fusion.name, *(source.name for source in config.fusion.sources)]
    pairs = [stored_videos(source.manifest, source.store, split=config.split) for source in sources]
    stores, tables = [store for store, _ in pairs], [table for _, table in pairs]
    levels: list[np.ndarray | None] = [None] * len(stores)
    if config.fusion.grey == "matched":
        counts = [grey_counts(store, table["row"].to_numpy()) for store, table in pairs]
        levels[1:] = [matching_levels(own, counts[0]) for own in counts[1:]]
    fused = FusedStore(stores, levels)
    moved = [
        table.assign(
            row=table["row"] + int(first),
            patient_id=[f"{name}:{patient}" for patient in table["patient_id"]],
            **{SOURCE_COLUMN: name},
        )
        for name, table, first in zip(names, tables, fused.first_rows[:-1], strict=True)
    ]
    return fused, pd.concat(moved, ignore_index=True)


def fused_sampler(config: PretrainConfig, objective: Objective, table: pd.DataFrame) -> FusedSampler:
    """Batches with the share of each source that the settings ask for.

    Raises:
        UserError: if a source has fewer patients than its share of a batch.
    """
    return FusedSampler(
        {str(name): videos for name, videos in table.groupby(SOURCE_COLUMN, sort=False)},
        _shares(config, table),
        positives=objective.positives or "two_videos",
        num_clips=objective.num_clips,
        batch_size=config.batch_size,
        clip=config.clip,
        seed=config.seed,
    )


def said_of_sources(config: PretrainConfig, table: pd.DataFrame) -> str:
    """Patients and share of each source, for the record."""
    counts = _patients(table)
    shares = _shares(config, table)
    parts = [
        f"{name} {count} patients {share:.1%}"
        for (name, count), share in zip(counts.items(), shares, strict=True)
    ]
    return ", ".join(parts)


def _patients(table: pd.DataFrame) -> dict[str, int]:
    groups = table.groupby(SOURCE_COLUMN, sort=False)["patient_id"]
    return {str(name): int(patients.nunique()) for name, patients in groups}


def _shares(config: PretrainConfig, table: pd.DataFrame) -> np.ndarray:
    return source_shares(np.array(list(_patients(table).values())), config.fusion)
