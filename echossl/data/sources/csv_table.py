"""The user's own table as a manifest: whatever separates its cells, and whatever its columns are called."""

import csv
import difflib
import io
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from echossl.config.sources import CsvSource
from echossl.data.cells import EMPTY_AMONG_NUMBERS, EMPTY_WORDS
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
    content = path.read_bytes()
    if content.startswith(WORKBOOKS):
        raise UserError(f"{path}: a workbook of a spreadsheet program; save the sheet as CSV UTF-8")
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front
        rows = _split(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a table in UTF-8 ({error}); save it as CSV UTF-8") from error
    if not rows:
        raise UserError(f"{path}: the file is empty; its first row must name the columns")
    return _as_table(path, [name.strip() for name in rows[0]], rows[1:])


def _split(text: str) -> list[list[str]]:
    """Rows of cells; what separates the header into most cells is the separator."""

    def rows(sign: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=sign))

    header = io.StringIO(text, newline="").readline()
    return rows(max(DELIMITERS, key=lambda sign: len(next(csv.reader([header], delimiter=sign), []))))


def _as_table(path: Path, header: list[str], rows: Sequence[list[str]]) -> pd.DataFrame:
    """Rows that fit the header; columns without a name, such as row numbers, are left out."""
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise UserError(f"{path}: row 1: the column {twice[0]!r} stands there twice; rename one")
    numbered = {number: row for number, row in enumerate(rows, start=2) if any(row)}
    for number, row in numbered.items():
        if len(row) != len(header):
            found = f"found {len(row)} cells, expected {len(header)}"
            raise UserError(f"{path}: row {number}: {found}; quote texts that hold a separator")
    named = [place for place, name in enumerate(header) if name]
    cells = [[row[place].strip() for place in named] for row in numbered.values()]
    names = [header[place] for place in named]
    return pd.DataFrame(cells, index=pd.Index(numbered, dtype="int64"), columns=names, dtype=str)


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
