"""Label columns of aortic stenosis from measurements, by rule, and whether the measurements disagree."""

import math
from collections.abc import Sequence

import pandas as pd

from echossl.data.labels import CLASS_MAPS, apply_class_map
from echossl.data.severity import ACC_AHA_2020, EACVI_ASE_2017, Graded, SeverityRule, grade_from

MEASUREMENTS = ("peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2")
RULES = {rule.name: rule for rule in (ACC_AHA_2020, EACVI_ASE_2017)}


def grade_columns(measured: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The columns of some class maps.

    Args:
        measured: the columns ``MEASUREMENTS``, NaN where not measured.
        labels: names of class maps of the four grades: those of ``RULES`` are graded by their own rule, the
            others are cuts of the grade by ACC/AHA.

    Returns:
        A column per label, indexed as ``measured``: 0.0 and 1.0 or the names of the classes, NaN where
        nothing was measured.

    Raises:
        UserError: if a number cannot be a measurement in its unit.
    """
    rules = {name: RULES.get(name, ACC_AHA_2020) for name in labels}
    grades = {rule.name: _grades(measured, rule) for rule in rules.values()}
    columns = {name: apply_class_map(grades[rule.name], CLASS_MAPS[name]) for name, rule in rules.items()}
    return pd.DataFrame(columns, index=measured.index)


def discordance(measured: pd.DataFrame) -> pd.Series:
    """Whether area and flow disagree about severe: 1.0, 0.0, or NaN where one of them was not measured."""
    velocity, gradient, area = (measured[name].isna() for name in MEASUREMENTS)
    found = [math.nan if graded is None else float(graded.discordant) for graded in _graded(measured)]
    return pd.Series(found, index=measured.index, dtype="float64").mask(area | (velocity & gradient))


def _grades(measured: pd.DataFrame, rule: SeverityRule) -> pd.Series:
    grades = [math.nan if graded is None else graded.grade for graded in _graded(measured, rule)]
    return pd.Series(grades, index=measured.index, dtype=object, name=rule.name)


def _graded(measured: pd.DataFrame, rule: SeverityRule = ACC_AHA_2020) -> list[Graded | None]:
    """One per row; None where nothing was measured."""
    rows = zip(*(measured[name] for name in MEASUREMENTS), strict=True)
    return [None if all(map(math.isnan, row)) else grade_from(*row, rule=rule) for row in rows]
