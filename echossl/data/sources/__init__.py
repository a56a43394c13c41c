"""Layouts of data sets on disk: each source turns a folder into a manifest.

A new one is one file, and one line in ``SOURCES``.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from echossl.data.manifest import write_manifest
from echossl.data.sources.folder import index_folder
from echossl.data.sources.phantom import index_phantom
from echossl.data.splits import assign_splits
from echossl.errors import UserError

__all__ = ["SOURCES", "index_folder", "index_phantom", "index_source"]

SOURCES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "folder": index_folder,
    "phantom": index_phantom,
}


def index_source(
    source: str,
    root: Path,
    *,
    out: Path,
    patient_pattern: str | None = None,
    split_shares: Mapping[str, float] | None = None,
    stratify: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Write the manifest of a folder.

    Args:
        source: name of the layout, a key of ``SOURCES``.
        root: the folder.
        out: the manifest to write.
        patient_pattern: for ``folder``: regular expression whose first group is the patient.
        split_shares: split name to share of the patients; empty keeps those of the source, if any.
        stratify: column that is split evenly.
        seed: seed of the splits.

    Returns:
        The table that was written; ``attrs["note"]`` says what was assumed, where something was.

    Raises:
        UserError: if there is no such source, or it finds nothing.
    """
    if source not in SOURCES:
        raise UserError(f"source {source!r}: no such layout; there are {', '.join(SOURCES)}")
    if patient_pattern is not None and source != "folder":
        raise UserError(f"patient_pattern: only the source folder takes one; {source} knows its patients")
    if patient_pattern is not None:
        table = index_folder(root, patient_pattern=patient_pattern)
    else:
        table = SOURCES[source](Path(root))
    if split_shares:
        table["split"] = assign_splits(table, split_shares, seed=seed, stratify=stratify)
    write_manifest(table, out)
    return table
