"""What can be wrong with a table of videos: every check yields all its faults, in words."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from echossl.data.cells import EMPTY_AMONG_NUMBERS
from echossl.video.kinds import is_file, is_folder

# a wrong root makes every row a fault; beyond this many of one kind only their number is said
MOST_LINES_OF_A_KIND = 10
BINARY_WORDS = (*EMPTY_AMONG_NUMBERS, "0", "1", "0.0", "1.0")


def find_faults(
    table: pd.DataFrame,
    required: Sequence[str],
    binary: Sequence[str],
    *,
    lenient: bool = False,
    files_needed: bool = True,
) -> list[str]:
    """Every fault of a table.

    Args:
        table: cells of text, paths absolute, indexed by the row number of the spreadsheet.
        required: columns that must be there.
        binary: columns that must be there and hold 0, 1 or nothing.
        lenient: let missing files and patients in two splits pass.
        files_needed: whether the files must be there.

    Returns:
        One line per fault; an empty list if the table is fine.
    """
    missing = [name for name in required if name not in table]
    if missing:
        found = ", ".join(table.columns)
        return [f"row 1: the column {name!r} is missing; found {found}" for name in missing]
    if table.empty:
        return ["the table has no rows; list one video per row"]
    checks = [
        _empty_cells(table, required),
        _duplicate_paths(table),
        *([_missing_files(table)] if files_needed and not lenient else []),
        *([] if lenient else [_patients_in_two_splits(table)]),
        _partly_filled_split(table),
        _studies_of_two_patients(table),
        _frame_rates(table),
        *(_binary_labels(table, name) for name in binary),
    ]
    return list(chain.from_iterable(_at_most(check) for check in checks))


def is_there(path: Path) -> bool:
    """Whether a video may lie there: a file, or a folder of pictures."""
    return is_file(path) or is_folder(path)


def _at_most(faults: Iterator[str]) -> Iterator[str]:
    for count, fault in enumerate(faults):
        if count == MOST_LINES_OF_A_KIND:
            yield f"... and {1 + sum(1 for _ in faults)} more rows like the last one"
            return
        yield fault


def _empty_cells(table: pd.DataFrame, required: Sequence[str]) -> Iterator[str]:
    for name in required:
        for row in table.index[table[name] == ""]:
            yield f"row {row}: {name} is empty; every video needs one"


def _duplicate_paths(table: pd.DataFrame) -> Iterator[str]:
    first: dict[str, int] = {}
    for row, path in table["path"].items():
        if path and first.setdefault(path, int(str(row))) != row:
            yield f"row {row}: {path} stands already in row {first[path]}; list a video once"


def _missing_files(table: pd.DataFrame) -> Iterator[str]:
    for row, path in table["path"].items():
        if path and not is_there(Path(path)):
            yield f"row {row}: no such file {path}; correct the path or remove the row"


def _patients_in_two_splits(table: pd.DataFrame) -> Iterator[str]:
    if "split" in table:
        for row, patient, split, first_row, first in _conflicts(table, "patient_id", "split"):
            yield (
                f"row {row}: patient {patient} is in split {split}, but in row {first_row} in split {first}; "
                "a patient belongs to one split"
            )


def _studies_of_two_patients(table: pd.DataFrame) -> Iterator[str]:
    if "study_id" in table:
        for row, study, patient, first_row, first in _conflicts(table, "study_id", "patient_id"):
            yield (
                f"row {row}: study {study} belongs to patient {patient}, but in row {first_row} to patient "
                f"{first}; make study ids unique"
            )


def _conflicts(table: pd.DataFrame, key: str, value: str) -> Iterator[tuple[int, str, str, int, str]]:
    """Rows that differ from the first of their key: row, key, value, first row, first value."""
    filled = table[(table[key] != "") & (table[value] != "")]
    seen: dict[str, tuple[int, str]] = {}
    for row, name, found in zip(filled.index, filled[key], filled[value], strict=True):
        first_row, first = seen.setdefault(name, (row, found))
        if found != first:
            yield row, name, found, first_row, first


def _partly_filled_split(table: pd.DataFrame) -> Iterator[str]:
    if "split" not in table or (table["split"] == "").all():
        return
    for row in table.index[table["split"] == ""]:
        yield f"row {row}: split is empty while other rows have one; fill all or none"


def _frame_rates(table: pd.DataFrame) -> Iterator[str]:
    if "fps" not in table:
        return
    filled = table["fps"][~table["fps"].isin(EMPTY_AMONG_NUMBERS)]
    wrong = filled[~(pd.to_numeric(filled, errors="coerce") > 0)]
    for row, found in wrong.items():
        yield f"row {row}: fps is {found!r}, expected frames per second above 0, or empty"


def _binary_labels(table: pd.DataFrame, name: str) -> Iterator[str]:
    if name not in table:
        yield f"row 1: the label column {name!r} is missing; found {', '.join(table.columns)}"
        return
    for row, found in table[name][~table[name].isin(BINARY_WORDS)].items():
        yield f"row {row}: {name} is {found!r}, expected 0, 1 or empty (not assessed), or uncertain"
