"""Columns of a manifest or any other table, joined to the studies or videos of predictions."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from echossl.errors import UserError
from echossl.evaluation.study import Predictions


class SeveralValuesError(UserError):
    """A column says several things of one study, or of one video where videos are judged."""


def of_studies(predictions: Predictions, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a table as one row per study of the predictions, as text, empty where not known.

    Args:
        predictions: the studies, or videos.
        table: rows of videos or studies with ``patient_id`` and, unless a patient is a study, ``study_id``;
            for predictions of videos with ``path``, see :func:`paths_as_in`.
        columns: those wanted.

    Raises:
        SeveralValuesError: if a study has several values.
        UserError: if a column is missing, or no study is in the table.
    """
    missing = [name for name in columns if name not in table]
    if missing:
        found = ", ".join(str(name) for name in table.columns)
        raise UserError(f"{predictions.source}: no column {', '.join(missing)} in its table; found {found}")
    if not columns:
        return pd.DataFrame(index=range(predictions.labels.size))
    name, rows = _named(predictions, table)
    # a table that names no study says the same of all studies of a patient
    wanted = predictions.patients if name == "patient_id" else predictions.studies
    keys = list(zip(predictions.patients.tolist(), wanted.tolist(), strict=True))
    patients = table["patient_id"].astype(str)
    known = pd.MultiIndex.from_arrays([patients, rows.where(rows != "", patients)])
    if not set(keys) & set(known):
        raise UserError(
            f"{predictions.source}: none of its {predictions.unit} is in the manifest; patient_id and "
            f"{'study_id' if name == 'patient_id' else name} of both must be the same"
        )
    one = predictions.unit.replace("studies", "study").replace("videos", "video")
    cells = {column: _one_each(table[column], known, keys, one) for column in columns}
    return pd.DataFrame(cells, columns=list(columns))


def paths_as_in(table: pd.DataFrame, videos: Collection[str]) -> pd.Series:
    """The column ``path`` as others name these videos: as it stands, or from the folder of the table.

    Args:
        table: with ``path``; ``attrs["folder"]`` is where relative paths of a manifest start.
        videos: paths of the others.
    """
    paths = table["path"].astype(str)
    folder = table.attrs.get("folder")
    if folder is None or set(paths) & set(videos):
        return paths
    # not resolved: a link to a data disk stays the name that a manifest is read with
    return paths.map(lambda name: os.path.normpath(Path(folder) / name) if name else "")


def _named(predictions: Predictions, table: pd.DataFrame) -> tuple[str, pd.Series]:
    """The column that tells the rows of a patient apart, and its cells."""
    if predictions.unit == "videos" and "path" in table:
        return "path", paths_as_in(table, predictions.studies.tolist())
    if "study_id" not in table:
        return "patient_id", table["patient_id"].astype(str)
    if predictions.unit == "videos":
        raise UserError(
            f"{predictions.source}: its rows are videos, but the manifest has no column path that says which"
        )
    return "study_id", table["study_id"].astype(str)


def _one_each(column: pd.Series, known: pd.MultiIndex, keys: list[tuple[str, str]], one: str) -> list[str]:
    text = column.astype(object).where(column.notna(), "").map(_written)
    values: dict[tuple[str, str], str] = {}
    wanted = set(keys)
    for key, cell in zip(known, text, strict=True):
        if key in wanted and cell and values.setdefault(key, cell) != cell:
            rows = "videos" if one == "study" else "rows"
            raise SeveralValuesError(
                f"column {column.name}: {rows} of one {one} have {values[key]!r} and {cell!r}; scores are by "
                f"{one}, so choose a column with one value for each {one}"
            )
    return [values.get(key, "") for key in keys]


def _written(cell: object) -> str:
    """A cell as text; 1.0 is written 1, as where no cell of its column is empty."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
