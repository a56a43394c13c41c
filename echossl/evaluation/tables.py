"""Tables of predictions of any tool: read as text, brought to the same column names, faults by row."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.data.cells import read_parquet_cells
from echossl.errors import UserError
from echossl.evaluation.cuts import SCORE_SUFFIX

KEYS = ("patient_id", "study_id", "split")
# the split of a table that names none
WHOLE = "all"
FAULTS_SHOWN = 5
Unit = Literal["studies", "videos"]


@dataclass(frozen=True)
class TableColumns:
    """What the columns of a table are called.

    Attributes:
        patient: whose it is; ``patient_id`` unless given. Required.
        study: which study of the patient; ``study_id`` unless given. Without it a patient is one study.
        split: ``split`` unless given. Without it the table is one split, ``all``.
        label: the truth; needed only if its score is not called ``LABEL_score``.
        score: the prediction that belongs to ``label``; of several classes what their columns start with, as
            ``prob`` of ``prob_none, prob_severe``.
    """

    patient: str | None = None
    study: str | None = None
    split: str | None = None
    label: str | None = None
    score: str | None = None


def read_table(path: Path, columns: TableColumns | None = None) -> pd.DataFrame:
    """Read a CSV (or tab separated ``.tsv``, ``.txt``) table.

    Args:
        path: the table; a column ``path`` says that its rows are videos.
        columns: names of its columns, where they are not the usual ones.

    Returns:
        All columns as text, with ``patient_id, study_id, split`` filled in; ``attrs["unit"]`` says what a row
        is, ``attrs["columns"]`` what the file holds and ``attrs["called"]`` what it calls our columns. Of
        videos ``study_id`` is the path, so that rows differ.

    Raises:
        UserError: if there is no such file or column, or it is no table.
    """
    names = columns or TableColumns()
    table = _read(path)
    table = _renamed(path, table, names)
    table.attrs["unit"] = "studies"
    table.attrs["has_studies"] = "study_id" in table
    if "study_id" not in table:
        table["study_id"] = table["patient_id"]
    elif (table["study_id"] == "").all():
        table["study_id"] = table["patient_id"]
        table.attrs["has_studies"] = False
    if "path" in table:
        if names.study is not None:
            raise UserError(
                f"{path}: its rows are videos, as its column path says, so --study {names.study} has no "
                "effect; leave it out"
            )
        table["study_id"], table.attrs["unit"] = table["path"], "videos"
    if "split" not in table:
        table["split"] = WHOLE
    return table


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a predictions.csv")
    separator = "\t" if path.suffix.lower() in {".tsv", ".txt"} else ","
    try:
        # all text: a patient called 007 stays 007, and an empty label is told apart from a wrong one
        table = pd.read_csv(path, dtype=str, keep_default_na=False, sep=separator)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a CSV table ({_told_apart(path, error)})") from error
    names = {";": "semicolons", "\t": "tabs", ",": "commas"}
    other = next((sign for sign in names if sign != separator and sign in str(table.columns[0])), None)
    if len(table.columns) == 1 and other is not None:
        raise UserError(
            f"{path}: its columns are parted by {names[other]}, expected {names[separator]} (.csv has "
            "commas, .tsv and .txt have tabs); save it anew, its decimals with points"
        )
    return table


def _told_apart(path: Path, error: Exception) -> str:
    """Why a file cannot be read as a table, and what to do."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "it looks like a file of Excel; save it as CSV"
    if isinstance(error, UnicodeDecodeError):
        return "its letters are not in UTF-8; save it as CSV UTF-8"
    return f"{' '.join(str(error).split())}; give a predictions.csv"


def found_columns(table: pd.DataFrame) -> str:
    """The columns that the file of a table holds, for messages; not those that were filled in."""
    return ", ".join(str(name) for name in table.attrs.get("columns", table.columns))


def called(table: pd.DataFrame, name: str) -> str:
    """What the file of a table calls one of our columns."""
    return str(table.attrs.get("called", {}).get(name, name))


def _renamed(path: Path, table: pd.DataFrame, names: TableColumns) -> pd.DataFrame:
    found = found_columns(table)
    wanted = {"patient_id": names.patient, "study_id": names.study, "split": names.split}
    given = {new: old for new, old in wanted.items() if old is not None}
    if names.score is not None:
        if names.label is None:
            raise UserError(f"{path}: a score column is named, but no label column; add --label")
        given |= {names.label: names.label, **_score_columns(table, names.label, names.score)}
    missing = [old for old in given.values() if old not in table]
    if missing:
        raise UserError(f"{path}: no column {', '.join(missing)}; found {found}")
    if "patient_id" not in given and "patient_id" not in table:
        raise UserError(f"{path}: no column patient_id; found {found}; name yours with --patient")
    # a copy and no renaming, so that one column may be patient and study
    renamed = table.assign(**{new: table[old] for new, old in given.items()})
    renamed.attrs |= {"columns": tuple(table.columns), "called": given}
    return renamed


def _score_columns(table: pd.DataFrame, label: str, score: str) -> dict[str, str]:
    """Our names of the score's columns: one, or one for each class where only their beginning is named."""
    own = f"{label}{SCORE_SUFFIX}"
    starts = f"{score}_"
    classes = [name for name in table.columns if name.startswith(starts)]
    if classes and (score not in table or score == label):
        return {f"{own}_{name.removeprefix(starts)}": name for name in classes}
    return {own: score}


def read_manifest_table(path: Path, columns: TableColumns | None = None) -> pd.DataFrame:
    """Columns for subgroups and measurements: any table with ``patient_id``, or a Parquet manifest.

    Args:
        path: the table.
        columns: what it may call patients and studies where it has not our names for them.

    Returns:
        Its columns as text; ``attrs["folder"]`` is where relative paths start.

    Raises:
        UserError: if there is no such file, it is no table or it names no patients.
    """
    is_parquet = path.suffix.lower() == ".parquet" and path.is_file()
    table = _whole_numbers(read_parquet_cells(path).table) if is_parquet else _read(path)
    names = columns or TableColumns()
    for ours, theirs in (("patient_id", names.patient), ("study_id", names.study)):
        if ours not in table and theirs in table:
            table[ours] = table[theirs]
    if "patient_id" not in table:
        own = f" or {names.patient}" if names.patient else ""
        raise UserError(f"{path}: no column patient_id{own}; found {found_columns(table)}")
    table.attrs["folder"] = str(path.absolute().parent)
    return table


def _whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """1.0 of a measured or marked column is written 1, as where no cell of its column is empty."""
    others = [name for name in table.columns if name not in {"path", "patient_id", "study_id"}]
    return table.assign(
        **{name: table[name].str.replace(r"^(-?\d+)\.0$", r"\1", regex=True) for name in others}
    )


def key_faults(table: pd.DataFrame) -> list[str]:
    """What is wrong with patients, studies and splits, as sentences without the file's name."""
    names = ("patient_id", "path" if table.attrs["unit"] == "videos" else "study_id")
    faults = [
        f"row {row}: {called(table, name)} is empty" for name in names for row in rows_of(table[name] == "")
    ]
    if again := rows_of(table.duplicated(["patient_id", "study_id"])):
        faults.append(_twice(table, again))
    for patient, splits in table.groupby("patient_id")["split"].unique().items():
        if len(splits) > 1:
            faults.append(f"patient {patient!r} is in splits {', '.join(splits)}; keep each patient in one")
    return faults


def _twice(table: pd.DataFrame, rows: list[int]) -> str:
    """Of rows whose patient and study are there already: the first, and how many there are."""
    patient, study = table["patient_id"][rows[0] - 2], table["study_id"][rows[0] - 2]
    start = f"row {rows[0]}{and_more(rows)}"
    if table.attrs["unit"] == "videos":
        return f"{start}: video {study!r} is there already; keep one row of each"
    if not table.attrs["has_studies"]:
        return (
            f"{start}: patient {patient!r} is there already, and no column says which study; name it "
            "with --study, or average the scores of a patient"
        )
    return (
        f"{start}: study {study!r} of patient {patient!r} is there already; evaluation is by "
        "study, so average the scores of its videos first"
    )


def faults_by_value(
    table: pd.DataFrame, column: str, wrong: npt.ArrayLike, name: str, expected: str
) -> list[str]:
    """A sentence for each wrong value of a column, with its first row and how many there are.

    Args:
        table: from :func:`read_table`.
        column: where the values stand.
        wrong: (rows,) bool.
        name: what the column is called in the sentence.
        expected: what should stand there.
    """
    rows_by_value: dict[str, list[int]] = {}
    for row in rows_of(wrong):
        rows_by_value.setdefault(table[column].iloc[row - 2], []).append(row)
    return [
        f"row {rows[0]}{and_more(rows)}: {name} is {value!r}, expected {expected}"
        for value, rows in rows_by_value.items()
    ]


def and_more(rows: list[int]) -> str:
    """`` and 3 rows more`` beside the first of several."""
    more = len(rows) - 1
    return f" and {more} row{'s' if more > 1 else ''} more" if more else ""


def rows_of(wrong: npt.ArrayLike) -> list[int]:
    """Row numbers of a spreadsheet, where the header is row 1."""
    return [int(place) + 2 for place in np.flatnonzero(np.asarray(wrong))]


def refuse_faults(path: Path, faults: list[str]) -> None:
    """Raise UserError with the first of many faults, a line each."""
    if faults:
        more = len(faults) - FAULTS_SHOWN
        rest = [f"{path}: and {more} more"] if more > 0 else []
        raise UserError("\n".join([f"{path}: {fault}" for fault in faults[:FAULTS_SHOWN]] + rest))
