"""The tables of published data sets: found below the user's folder, and read with their columns checked.

Tables come as the owners wrote them, or as somebody saved them again: a byte order mark, Windows line ends,
an unnamed column of row numbers, other case in the header and gzip are all taken. They are read row by row,
and only in part, since some are larger than memory; ``echossl.data.cells`` reads the user's own tables whole
and names every fault. The files that a table lists are found by ``echossl.data.sources.listed``.

Example:
    >>> listing = find_table(root, "FileList.csv")
    >>> table = read_table(listing, ["FileName", "EF"], optional=["FPS"])
"""

import csv
import gzip
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pandas as pd

from echossl.data.cells import EMPTY_AMONG_NUMBERS
from echossl.data.order import natural_key
from echossl.errors import UserError

# folders of archive programs, never of a data set
FOREIGN_FOLDERS = ("__MACOSX",)
DEEPEST_TABLE = 4
# when a patient is in several: what was held out for the test stays held out
STRICTEST_FIRST = ("test", "val", "train")
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def find_all(root: Path, name: str, *, folders: bool = False) -> list[Path]:
    """Files (or folders) of a name on the highest level below a root that has any.

    Archives unpack into nested folders of their own name, so the user's root may be too high.

    Args:
        root: where to start; with ``folders`` it may itself be what is looked for.
        name: file or folder name; case does not matter, and a table may be gzipped.
        folders: look for folders.

    Returns:
        Paths in natural order (``0.1`` before ``1.0``); empty if there is none within four levels.

    Raises:
        UserError: if the root is no folder.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    wanted = {name.casefold()} if folders else {name.casefold(), f"{name}.gz".casefold()}
    if folders and root.name.casefold() in wanted:
        return [root.absolute()]
    level = [root.absolute()]
    for _ in range(DEEPEST_TABLE):
        inside = [entry for folder in level for entry in _entries(folder)]
        level = [Path(entry.path) for entry in inside if entry.is_dir()]
        of_kind = level if folders else [Path(entry.path) for entry in inside if entry.is_file()]
        found = [path for path in of_kind if path.name.casefold() in wanted]
        if found:
            return sorted(found, key=lambda path: natural_key(path.as_posix()))
    return []


def find_table(root: Path, name: str) -> Path:
    """The one table of a name below a root.

    Raises:
        UserError: if there is none, or there are several on the same level.
    """
    found = find_all(root, name)
    if not found:
        raise UserError(f"{root}: found no {name} here or in the folders below; give the unpacked data set")
    if len(found) > 1:
        raise UserError(f"{root}: found {found[0]} and {found[1]}; give the folder of one of them")
    return found[0]


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    only: Mapping[str, Collection[str]] | None = None,
) -> pd.DataFrame:
    """Read some columns of a table as text.

    Args:
        path: a CSV file in UTF-8, also gzipped.
        columns: columns that must be there; their case in the file does not matter.
        optional: columns that are taken where they are there.
        only: column to the values (lower case) that a row must have to be kept; so a long table is never
            held whole.

    Returns:
        Stripped cells of the columns, named as asked for, in file order; the index is the row number that a
        spreadsheet shows. Wholly empty rows are left out.

    Raises:
        UserError: if the file is no such table, or a column is missing.
    """
    try:
        with _open_text(path) as file:
            reader = csv.reader(file)
            header = next(reader, [])
            places = _places(path, header, columns, optional)
            filters = _filters(path, header, only or {})
            rows = dict(_rows(path, reader, list(places.values()), filters))
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error}); download or save it again") from error
    names = list(places)
    return pd.DataFrame(list(rows.values()), index=pd.Index(rows, dtype="int64"), columns=names, dtype=str)


def read_header(path: Path) -> list[str]:
    """The names of a table's columns, stripped.

    Raises:
        UserError: if the file is missing or no table.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with _open_text(path) as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error}); download or save it again") from error


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    # utf-8-sig: spreadsheets put a byte order mark in front
    if path.suffix.lower() == ".gz":
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as packed:
            yield packed
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file


def _places(
    path: Path, header: Sequence[str], columns: Sequence[str], optional: Sequence[str]
) -> dict[str, int]:
    """Column to its place in a row."""
    places = {name.strip().casefold(): place for place, name in reversed(list(enumerate(header)))}
    for name in columns:
        if name.casefold() not in places:
            found = ", ".join(cell.strip() or "(unnamed)" for cell in header) or "an empty file"
            raise UserError(f"{path}: the column {name!r} is missing; found {found}")
    return {name: places[name.casefold()] for name in (*columns, *optional) if name.casefold() in places}


def _filters(
    path: Path, header: Sequence[str], only: Mapping[str, Collection[str]]
) -> dict[int, Collection[str]]:
    """Place in a row to the values that may stand there."""
    return {place: only[name] for name, place in _places(path, header, [*only], ()).items()}


def _rows(
    path: Path, rows: Iterator[list[str]], taken: Sequence[int], filters: Mapping[int, Collection[str]]
) -> Iterator[tuple[int, list[str]]]:
    """Row number and the cells at some places, of the rows that pass the filters."""
    fewest = 1 + max((*taken, *filters))
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) < fewest:
            raise UserError(
                f"{path}: row {number}: found {len(row)} cells, expected {fewest} or more; is the file whole?"
            )
        if all(row[place].strip().lower() in values for place, values in filters.items()):
            yield number, [row[place].strip() for place in taken]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith((".", *FOREIGN_FOLDERS))]


def counted(what: str, items: Collection[str]) -> str:
    """``files that are lost: 3 (first: a.avi)``, or nothing if there are no items."""
    return f"{what}: {len(items)} (first: {next(iter(items))})" if len(items) else ""


def joined(*notes: str) -> str:
    """The notes that say something, as one line."""
    return "; ".join(note for note in notes if note)


def numbers(cells: pd.Series) -> tuple[pd.Series, list[str]]:
    """Cells as float64, NaN where empty or not a finite number; and the cells that are neither."""
    filled = cells.mask(cells.isin(EMPTY_AMONG_NUMBERS))
    values = pd.to_numeric(filled, errors="coerce").astype("float64")
    values = values.where(values.abs() != float("inf"))
    return values, filled[filled.notna() & values.isna()].tolist()


def known_numbers(cells: pd.Series, *, between: tuple[float, float]) -> tuple[pd.Series, str]:
    """Measurements of a column: NaN (not assessed) where empty, no number, or not plausible.

    Args:
        cells: text.
        between: above the first and at most the second is plausible.

    Returns:
        float64, and how many filled cells are not assessed, in words.
    """
    lowest, highest = between
    values, odd = numbers(cells)
    strange = values.notna() & ~((values > lowest) & (values <= highest))
    what = f"{cells.name} not assessed because no number above {lowest:g} and up to {highest:g}"
    return values.mask(strange), counted(what, [*odd, *cells[strange]])


def split_names(cells: pd.Series, listing: Path) -> pd.Series:
    """``train``, ``val`` or ``test`` whatever the case.

    Raises:
        UserError: at another word.
    """
    names = cells.str.lower().map(SPLITS)
    for row in cells.index[names.isna()]:
        raise UserError(f"{listing}: row {row}: split is {cells[row]!r}, expected train, val or test")
    return names


def strictest_splits(patients: pd.Series, splits: pd.Series) -> dict[str, str]:
    """The one split of each patient, whose rows may be in several: test goes before val, val before train.

    Args:
        patients: ids.
        splits: of each row ``train``, ``val``, ``test`` or anything else, which is no split.

    Returns:
        Patient to split, without the patients who are in none.
    """
    found: dict[str, str] = {}
    for split in reversed(STRICTEST_FIRST):
        found |= dict.fromkeys(patients[splits == split], split)
    return found
