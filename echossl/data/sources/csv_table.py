"""The user's own table as a manifest: whatever separates its cells, and whatever its columns are called."""

import csv
import difflib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from echossl.config.sources import CsvSource
from echossl.data.cells import EMPTY_AMONG_NUMBERS, EMPTY_WORDS, read_csv_cells
from echossl.data.manifest import REQUIRED_COLUMNS, TEXT_COLUMNS
from echossl.data.sources.tables import counted, joined
from echossl.errors import UserError

DELIMITERS = (",", ";", "\t")
# how a workbook of a spreadsheet program begins
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
DECIMAL_COMMA = re.compile(r"-?\d+(,\d+)?")


def index_csv(root: Path, settings: CsvSource) -> pd.DataFrame:
    """Turn a table that lists videos into a manifest.

    Args:
        root: the table: text in UTF-8, its cells separated by commas, semicolons or tabs.
        settings: ``columns`` says which of its columns is which of the manifest's; a column that is called as
            the manifest wants it needs no word. All others are kept as labels.

    Returns:
        The rows whose file is there, in the table's order, with absolute paths. Ids, texts and labels stand
        as they do in the table, but for decimal commas. ``attrs["note"]`` says what was changed or left out.

    Raises:
        UserError: if the file is no such table, a column is missing, a path or patient is empty, or no file
            is there.
    """
    table = _renamed(root, _read(root), settings.columns)
    _refuse_empty(root, table)
    start = (settings.videos or root.parent).absolute()
    paths = [_file(start, name, settings.suffix) for name in table["path"]]
    there = [path.exists() for path in paths]
    found = table.assign(path=[str(path) for path in paths])[there].reset_index(drop=True)
    lost = [f"row {row}, {path}" for row, path in zip(table.index, paths, strict=True) if not path.exists()]
    if found.empty:
        first = f", the first is {lost[0]}" if lost else ""
        raise UserError(
            f"{root}: none of the {len(lost)} files that it lists is there{first}; say where they lie with "
            "videos=FOLDER, and with suffix=.avi if the table leaves it out"
        )
    left_out = counted(f"of {len(table)} files that it lists not there and left out", lost)
    found.attrs["note"] = joined(table.attrs["note"], left_out)
    return found


def _read(path: Path) -> pd.DataFrame:
    """Every cell as text; the index is the row number that a spreadsheet shows."""
    if not path.is_file():
        raise UserError(f"{path}: no such table; give a CSV file")
    with path.open("rb") as file:
        if file.read(8).startswith(WORKBOOKS):
            raise UserError(f"{path}: a workbook of a spreadsheet program; save the sheet as CSV UTF-8")
    cells = read_csv_cells(path, delimiter=_delimiter(path))
    if cells.faults:
        raise UserError("\n".join(f"{path}: {fault}" for fault in cells.faults))
    # a column without a name holds row numbers
    return cells.table.drop(columns="", errors="ignore")


def _delimiter(path: Path) -> str:
    """What separates the header into most cells."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        # longer is no header, and csv refuses a cell of more than 131,072 characters
        header = file.readline(100_000)
    return max(DELIMITERS, key=lambda sign: len(next(csv.reader([header], delimiter=sign), [])))


def _renamed(path: Path, table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """The manifest's columns first, then the labels; what was mapped to a name wins over what had it."""
    for name, own in columns.items():
        if own not in table:
            raise UserError(_missing(path, f"columns.{name}={own}", own, list(table.columns)))
    for name in REQUIRED_COLUMNS:
        if name not in columns and name not in table:
            words = f"{path}: no column {name!r}; say which it is with columns.{name}=NAME"
            raise UserError(f"{words}; found {', '.join(table.columns)}")
    mapped = {name: table[own] for name, own in columns.items()}
    rest = [name for name in table.columns if name not in columns.values()]
    everything = {name: table[name] for name in rest} | mapped
    first = [name for name in TEXT_COLUMNS if name in everything]
    labels = [name for name in everything if name not in first]
    with_commas = [name for name in labels if _has_decimal_commas(everything[name])]
    for name in labels:
        cells = everything[name].mask(everything[name].isin(_empty_words(everything[name])), "")
        everything[name] = cells.str.replace(",", ".") if name in with_commas else cells
    result = pd.DataFrame({name: everything[name] for name in (*first, *labels)})
    dropped = [name for name in rest if name in mapped]
    result.attrs["note"] = joined(
        counted("columns that make way for others given their name", dropped),
        counted("columns with decimal commas, which became points", with_commas),
    )
    return result


def _has_decimal_commas(cells: pd.Series) -> bool:
    filled = _filled(cells)
    return bool(filled.str.contains(",").any() and filled.str.fullmatch(DECIMAL_COMMA).all())


def _empty_words(cells: pd.Series) -> Sequence[str]:
    """The words for nothing in a column: ``None`` is one among numbers, among words it may be a class."""
    filled = _filled(cells)
    values = pd.to_numeric(filled.str.replace(",", "."), errors="coerce")
    return EMPTY_AMONG_NUMBERS if len(filled) and values.notna().all() else EMPTY_WORDS


def _filled(cells: pd.Series) -> pd.Series:
    return cells[~cells.isin(EMPTY_AMONG_NUMBERS)]


def _missing(path: Path, word: str, own: str, found: Sequence[str]) -> str:
    guesses = difflib.get_close_matches(own, found, n=1)
    meant = f", did you mean {guesses[0]}?" if guesses else ";"
    return f"{path}: {word}: no such column{meant} found {', '.join(found)}"


def _refuse_empty(path: Path, table: pd.DataFrame) -> None:
    for name in REQUIRED_COLUMNS:
        empty = table.index[table[name].isin(EMPTY_AMONG_NUMBERS)]
        if len(empty):
            raise UserError(f"{path}: row {empty[0]}: {name} is empty; every video needs one")


def _file(start: Path, name: str, suffix: str) -> Path:
    """Where the file of a name is; ``1.2.840.10`` has no suffix although it has a dot."""
    path = start / name
    dotted = suffix if suffix.startswith(".") else f".{suffix}"
    if not suffix or name.lower().endswith(dotted.lower()) or (PurePosixPath(name).suffix and path.exists()):
        return path
    return path.with_name(path.name + dotted)
