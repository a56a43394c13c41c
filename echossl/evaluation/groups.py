"""Groups of studies by a column of any table, and measurements beside the scores."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import EvaluationConfig
from echossl.data.class_maps import CLASS_MAPS
from echossl.data.severity import GRADES
from echossl.errors import UserError
from echossl.evaluation.assessment import Correlation, Figure, GradeScores, Subgroup
from echossl.evaluation.correlation import weighted_spearman
from echossl.evaluation.discrimination import auroc_figure
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.resampling import Clusters, figure_of
from echossl.evaluation.study import Predictions

MEASUREMENTS = ("peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2")
GRADE_COLUMN = "as_grade"
DISCORDANT = "discordant"
# a column of numbers with more different values is cut at its median
MOST_GROUPS = 6
UNKNOWN = "not known"


def of_studies(predictions: Predictions, table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a table as one row per study of the predictions, as text, empty where not known.

    Args:
        predictions: the studies.
        table: rows of videos or studies with ``patient_id`` and, unless a patient is a study, ``study_id``.
        columns: those wanted.

    Raises:
        UserError: if a column is missing, no study is in the table, or a study has several values.
    """
    missing = [name for name in columns if name not in table]
    if missing:
        found = ", ".join(str(name) for name in table.columns)
        raise UserError(f"{predictions.source}: no column {', '.join(missing)} in its table; found {found}")
    patients = table["patient_id"].astype(str)
    studies = table["study_id"].astype(str) if "study_id" in table else patients
    # a table without study_id says the same of all studies of a patient
    wanted = predictions.studies if "study_id" in table else predictions.patients
    keys = list(zip(predictions.patients.tolist(), wanted.tolist(), strict=True))
    known = pd.MultiIndex.from_arrays([patients, studies.where(studies != "", patients)])
    if columns and not set(keys) & set(known):
        raise UserError(
            f"{predictions.source}: none of its studies is in the manifest; patient_id and study_id of both "
            "must be the same"
        )
    cells = {name: _one_each(table[name], known, keys, name) for name in columns}
    return pd.DataFrame(cells, columns=list(columns))


def _one_each(column: pd.Series, known: pd.MultiIndex, keys: list[tuple[str, str]], name: str) -> list[str]:
    text = column.astype(object).where(column.notna(), "").map(_written)
    values: dict[tuple[str, str], str] = {}
    wanted = set(keys)
    for key, cell in zip(known, text, strict=True):
        if key in wanted and cell and values.setdefault(key, cell) != cell:
            raise UserError(
                f"column {name}: videos of one study have {values[key]!r} and {cell!r}; scores are by study, "
                "so choose a column with one value for each study"
            )
    return [values.get(key, "") for key in keys]


def _written(cell: object) -> str:
    """A cell as text; 1.0 is written 1, as where no cell of its column is empty."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def subgroups_of(
    predictions: Predictions, table: pd.DataFrame, config: EvaluationConfig
) -> tuple[Subgroup, ...]:
    """The AUROC within each group of each column; discordant grades apart wherever they are marked."""
    marked = DISCORDANT in table and DISCORDANT not in config.subgroups
    columns = [*config.subgroups, DISCORDANT] if marked else list(config.subgroups)
    cells = of_studies(predictions, table, columns)
    found = []
    for column in columns:
        # a column that says nothing of these studies makes no group
        if column not in config.subgroups and (cells[column] == "").all():
            continue
        for group, rows in _groups(cells[column]):
            part = predictions.take(np.flatnonzero(rows))
            both = np.unique(part.labels).size == 2
            found.append(
                Subgroup(
                    column,
                    group,
                    part.num_patients,
                    part.labels.size,
                    int(part.labels.sum()),
                    auroc_figure(part, config) if both else None,
                )
            )
    return tuple(found)


def _groups(cells: pd.Series) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    known = (cells != "").to_numpy()
    numbers = pd.to_numeric(cells.where(known), errors="coerce").to_numpy(np.float64)
    if np.isfinite(numbers[known]).all() and np.unique(numbers[known]).size > MOST_GROUPS:
        middle = float(np.median(numbers[known]))
        yield f"at most {middle:g}", known & (numbers <= middle)
        yield f"above {middle:g}", known & (numbers > middle)
    else:
        for value in sorted(set(cells[known])):
            yield value, (cells == value).to_numpy()
    if not known.all():
        yield UNKNOWN, ~known


def correlations_of(
    predictions: Predictions, table: pd.DataFrame, config: EvaluationConfig
) -> tuple[Correlation, ...]:
    """Spearman's correlation of the score with every measurement.

    Raises:
        UserError: if a column that is asked for is missing or holds what is no number.
    """
    asked = config.correlate
    columns = [name for name in MEASUREMENTS if name in table] if asked is None else list(asked)
    grade_column = _grade_column(table, config)
    cells = of_studies(predictions, table, [*columns, *([grade_column] if grade_column else [])])
    found = [_correlation(predictions, cells, name, grade_column, config) for name in columns]
    return tuple(one for one in found if one is not None)


def _correlation(
    predictions: Predictions,
    cells: pd.DataFrame,
    name: str,
    grade_column: str | None,
    config: EvaluationConfig,
) -> Correlation | None:
    """None for a column that says nothing of these studies."""
    known = (cells[name] != "").to_numpy()
    values = pd.to_numeric(cells[name].where(known), errors="coerce").to_numpy(np.float64)
    if not np.isfinite(values[known]).all():
        raise UserError(f"column {name}: holds what is no number; correlate measurements only")
    if not known.any():
        return None
    part, values = predictions.take(np.flatnonzero(known)), values[known]
    method = "percentile" if config.method == "delong" else config.method
    clusters = Clusters.of(part.patients)
    (interval,) = figure_intervals(
        figure_of(weighted_spearman, values, part.scores), clusters, config, method=method
    )
    grades = tuple(cells[grade_column][known].tolist()) if grade_column else ()
    return Correlation(
        name,
        Figure.by(method, interval),
        part.num_patients,
        part.labels.size,
        tuple(values.tolist()),
        tuple(part.scores.tolist()),
        grades,
    )


def grades_of(predictions: Predictions, table: pd.DataFrame, config: EvaluationConfig) -> GradeScores | None:
    """Scores by grade; None without a column of grades."""
    column = _grade_column(table, config)
    if column is None:
        return None
    cells = of_studies(predictions, table, [column])[column]
    found = set(cells) - {""}
    if not found:
        return None
    known = CLASS_MAPS[column].classes if column in CLASS_MAPS else GRADES
    order = [*(name for name in known if name in found), *sorted(found - set(known))]
    scores = {name: tuple(predictions.scores[(cells == name).to_numpy()].tolist()) for name in order}
    return GradeScores(column, scores)


def _grade_column(table: pd.DataFrame, config: EvaluationConfig) -> str | None:
    return config.grades or (GRADE_COLUMN if GRADE_COLUMN in table else None)
