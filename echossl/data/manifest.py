"""The table of videos: read it with every fault named at once, and write it.

One row per video. ``path`` and ``patient_id`` are required; ``study_id, view, side, source, split, fps`` and
``report`` have a meaning; every other column is a label. An empty label means *not assessed*, never negative.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from echossl.config.task import UncertainPolicy
from echossl.data.cells import EMPTY_AMONG_NUMBERS, EMPTY_WORDS, read_csv_cells, read_parquet_cells
from echossl.data.faults import find_faults
from echossl.data.uncertain import resolve_uncertain
from echossl.errors import ManifestError
from echossl.files import atomic_path

REQUIRED_COLUMNS = ("path", "patient_id")
TEXT_COLUMNS = ("path", "patient_id", "study_id", "view", "side", "source", "split", "report")


def read_manifest(
    path: Path,
    *,
    binary_columns: Sequence[str] = (),
    lenient: bool = False,
    files_needed: bool = True,
    uncertain: UncertainPolicy = "ignore",
) -> pd.DataFrame:
    """Read and check a manifest.

    Args:
        path: a ``.csv`` (UTF-8, commas) or ``.parquet`` file.
        binary_columns: label columns that must be there and hold 0, 1, uncertain (or -1) or nothing.
        lenient: let missing files and patients in two splits pass, for one who tells them video by video.
        files_needed: whether the video files must be there; training reads them from a clip store.
        uncertain: what an uncertain cell of a binary column counts as; ``ignore`` leaves it empty.

    Returns:
        The table in file order. ``path`` is absolute (relative ones start at the manifest's folder), ids are
        text as they stand (``007`` stays ``007``), a missing ``study_id`` is the ``patient_id``, other text
        columns hold ``""`` where empty. Label columns hold NaN where empty, and are numbers if all values
        are. A ``split`` column without any value is left out. ``attrs["folder"]`` is the manifest's folder,
        ``attrs["uncertain"]`` counts uncertain cells of binary columns: split to column to number.

    Raises:
        ManifestError: one line per fault, naming the file and the row as a spreadsheet counts (header = 1).
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(f"{path}: no such file; make a manifest with echossl index")
    cells = read_parquet_cells(path) if path.suffix == ".parquet" else read_csv_cells(path)
    resolved = resolve_uncertain(cells.table, binary_columns, uncertain)
    table = _with_absolute_paths(resolved.table, path.absolute().parent)
    faults = find_faults(table, REQUIRED_COLUMNS, binary_columns, lenient=lenient, files_needed=files_needed)
    faults = [*cells.faults, *faults]
    if faults:
        raise ManifestError("\n".join(f"{path}: {fault}" for fault in faults))
    typed = _typed(table)
    typed.attrs["folder"] = str(path.absolute().parent)
    typed.attrs["uncertain"] = resolved.counts
    return typed


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Write a manifest atomically; paths below its folder are written relative to it.

    Args:
        table: as :func:`read_manifest` returns it.
        path: a ``.csv`` or ``.parquet`` file.
    """
    path = Path(path)
    folder = path.absolute().parent
    written = table.assign(path=[_relative(name, folder) for name in table["path"]])
    for name in written.select_dtypes("float"):
        values = written[name].dropna()
        if len(values) and bool((values == values.round()).all()):
            # a label is 1, not 1.0, also where some cells are empty
            written[name] = written[name].astype("Int64")
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            written.to_parquet(temporary, index=False)
        else:
            written.to_csv(temporary, index=False)


def _with_absolute_paths(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    if "path" not in table:
        return table
    # abspath and not resolve: a link to a data disk stays the name the user knows. An empty path stays empty,
    # so that it is reported as such
    absolute = [os.path.abspath(folder / name) if name else "" for name in table["path"]]  # noqa: PTH100
    return table.assign(path=absolute)


def _relative(name: str, folder: Path) -> str:
    absolute = Path(os.path.abspath(name))  # noqa: PTH100 - as above
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else str(absolute)


def _typed(cells: pd.DataFrame) -> pd.DataFrame:
    """From cells of text to a table of ids, text and labels."""
    table = cells.reset_index(drop=True)
    if "study_id" not in table:
        table.insert(list(table.columns).index("patient_id") + 1, "study_id", "")
    table["study_id"] = table["study_id"].where(table["study_id"] != "", table["patient_id"])
    if "split" in table and (table["split"] == "").all():
        table = table.drop(columns="split")
    for name in [name for name in table.columns if name not in TEXT_COLUMNS]:
        table[name] = _label_values(table[name])
    return table


def _label_values(cells: pd.Series) -> pd.Series:
    """Numbers if every filled cell is one, text otherwise; NaN where nothing is written."""
    words = cells.mask(cells.isin(EMPTY_WORDS))
    try:
        numbers = pd.to_numeric(cells.mask(cells.isin(EMPTY_AMONG_NUMBERS)))
    except ValueError:
        return words
    # a column of None alone holds the class, as there is no number beside it
    return words if numbers.isna().all() and words.notna().any() else numbers
