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
from echossl.evaluation.auc import Floats
from echossl.evaluation.correlation import weighted_spearman
from echossl.evaluation.discrimination import auroc_figure, clusters_of
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.joined import SeveralValuesError, of_studies
from echossl.evaluation.resampling import figure_of
from echossl.evaluation.study import Predictions

MEASUREMENTS = ("peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2")
GRADE_COLUMN = "as_grade"
DISCORDANT = "discordant"
# a column of numbers with more different values is cut at its median
MOST_GROUPS = 6
UNKNOWN = "not known"


def _agreeing(
    predictions: Predictions, table: pd.DataFrame, columns: Sequence[str], part: str, missing: dict[str, str]
) -> list[str]:
    """Columns that nobody asked for, but those that differ within a study, which ``missing`` then says."""
    kept = []
    for name in columns:
        try:
            of_studies(predictions, table, [name])
        except SeveralValuesError as error:
            _note(missing, part, str(error))
        else:
            kept.append(name)
    return kept


def _note(missing: dict[str, str], part: str, reason: str) -> None:
    told = missing.get(part, "")
    if reason not in told:
        missing[part] = f"{told}; {reason}" if told else reason


def subgroups_of(
    predictions: Predictions, table: pd.DataFrame, config: EvaluationConfig, missing: dict[str, str]
) -> tuple[Subgroup, ...]:
    """The AUROC within each group of each column; discordant grades apart wherever they are marked.

    ``missing`` is told of a mark that differs within a study, as :func:`correlations_of` and
    :func:`grades_of` tell it of the columns that they take by themselves.

    Raises:
        UserError: if a column that is asked for is missing or has several values in a study.
    """
    columns = list(config.subgroups)
    if DISCORDANT in table and DISCORDANT not in columns:
        columns += _agreeing(predictions, table, [DISCORDANT], "subgroups", missing)
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
    numbers = _numbers(cells)
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
    predictions: Predictions, table: pd.DataFrame, config: EvaluationConfig, missing: dict[str, str]
) -> tuple[Correlation, ...]:
    """Spearman's correlation of the score with every measurement.

    Raises:
        UserError: if a column that is asked for is missing, has several values in a study or holds what is no
            number; of columns that are taken because they are there ``missing`` is told instead.
    """
    columns = list(config.correlate or ())
    if config.correlate is None:
        there = [name for name in MEASUREMENTS if name in table]
        columns = _agreeing(predictions, table, there, "correlations", missing)
    grade_column = _grade_column(predictions, table, config, missing)
    cells = of_studies(predictions, table, [*columns, *([grade_column] if grade_column else [])])
    if config.correlate is None:
        columns = _numeric(cells, columns, missing)
    found = [_correlation(predictions, cells, name, grade_column, config) for name in columns]
    return tuple(one for one in found if one is not None)


def _numeric(cells: pd.DataFrame, columns: Sequence[str], missing: dict[str, str]) -> list[str]:
    """Columns that nobody asked for, without those that hold words, which ``missing`` then says."""
    kept = []
    for name in columns:
        known = cells[name] != ""
        if np.isfinite(_numbers(cells[name])[known]).all():
            kept.append(name)
        else:
            _note(missing, "correlations", f"column {name}: holds what is no number")
    return kept


def _numbers(cells: pd.Series) -> Floats:
    numbers: Floats = pd.to_numeric(cells.where(cells != ""), errors="coerce").to_numpy(np.float64)
    return numbers


def _correlation(
    predictions: Predictions,
    cells: pd.DataFrame,
    name: str,
    grade_column: str | None,
    config: EvaluationConfig,
) -> Correlation | None:
    """None for a column that says nothing of these studies."""
    known = (cells[name] != "").to_numpy()
    values = _numbers(cells[name])
    if not np.isfinite(values[known]).all():
        raise UserError(f"column {name}: holds what is no number; correlate measurements only")
    if not known.any():
        return None
    part, values = predictions.take(np.flatnonzero(known)), values[known]
    method = "percentile" if config.method == "delong" else config.method
    clusters = clusters_of(part, config)
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


def grades_of(
    predictions: Predictions, table: pd.DataFrame, config: EvaluationConfig, missing: dict[str, str]
) -> GradeScores | None:
    """Scores by grade; None without a column of grades.

    Raises:
        UserError: if a column that is asked for is missing or has several values in a study.
    """
    column = _grade_column(predictions, table, config, missing)
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


def _grade_column(
    predictions: Predictions, table: pd.DataFrame, config: EvaluationConfig, missing: dict[str, str]
) -> str | None:
    if config.grades or GRADE_COLUMN not in table:
        return config.grades
    return GRADE_COLUMN if _agreeing(predictions, table, [GRADE_COLUMN], "grades", missing) else None
