"""A table file as cells of text, with the row numbers a spreadsheet shows. No cell is interpreted here."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from echossl.errors import ManifestError

# what spreadsheets and statistics programs write into an empty cell of labels; ids are read as they stand
EMPTY_WORDS = ("", "NA", "N/A", "NaN", "nan", "null")
# programs write None among numbers too; among words it is a class: no stenosis
EMPTY_AMONG_NUMBERS = (*EMPTY_WORDS, "None")


@dataclass(frozen=True)
class Cells:
    """The text of a table.

    Attributes:
        table: every cell as text; the index is the row number with the header as row 1.
        faults: rows that do not fit the header, in words.
    """

    table: pd.DataFrame
    faults: list[str] = field(default_factory=list)


def read_csv_cells(path: Path, *, delimiter: str = ",") -> Cells:
    """Read a table of text. Wholly empty rows are left out but counted.

    Args:
        path: the file, in UTF-8.
        delimiter: what separates its cells.

    Raises:
        ManifestError: if the file is no such table at all.
    """
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: not a CSV file in UTF-8 ({error}); save it as CSV UTF-8") from error
    if not rows:
        raise ManifestError(f"{path}: the file is empty; its first row must name the columns")
    header = [name.strip() for name in rows[0]]
    if delimiter == "," and len(header) == 1 and ";" in header[0]:
        raise ManifestError(f"{path}: row 1: found columns separated by semicolons, expected commas")
    numbered = {number: row for number, row in enumerate(rows[1:], start=2) if any(row)}
    faults = [
        f"row 1: the column {name!r} stands there {count} times; keep one"
        for name, count in Counter(header).items()
        if name and count > 1
    ]
    faults += [
        f"row {number}: found {len(row)} cells, expected {len(header)}; quote texts that hold a {delimiter!r}"
        for number, row in numbered.items()
        if len(row) != len(header)
    ]
    fitting = {number: row for number, row in numbered.items() if len(row) == len(header)}
    cells = [[cell.strip() for cell in row] for row in fitting.values()]
    table = pd.DataFrame(cells, index=list(fitting), columns=header, dtype=str)
    return Cells(table.loc[:, ~table.columns.duplicated()], faults)


def read_parquet_cells(path: Path) -> Cells:
    """Read a Parquet file; missing values become empty cells.

    Raises:
        ManifestError: if pyarrow is not installed or the file is no Parquet file.
    """
    try:
        table = pd.read_parquet(path)
    except ImportError as error:
        raise ManifestError(
            f"{path}: reading Parquet needs pyarrow; pip install pyarrow, or use CSV"
        ) from error
    except (ValueError, OSError) as error:
        raise ManifestError(f"{path}: not a Parquet file ({error})") from error
    flags = table.select_dtypes("bool").columns
    table = table.astype(dict.fromkeys(flags, int))
    texts = table.astype(object).where(table.notna(), "").astype(str)
    texts.index = pd.RangeIndex(2, len(texts) + 2)
    return Cells(texts)
