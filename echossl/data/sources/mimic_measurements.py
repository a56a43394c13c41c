"""The structured measurements of MIMIC-IV-ECHO: a long table of texts becomes one row per examination.

Nothing is guessed. A number counts only with a unit that is known and a size that is possible; everything
else is not assessed, and counted by kind. Rules:

* ``3.5-4.0`` is the middle of the range; ``>4`` is a little above 4, ``<1`` a little below 1, so that a bound
  falls on its own side of every threshold.
* A unit written beside the number must agree with that of the column.
* Of several velocities or gradients of an examination the highest counts, of several areas the lowest, of
  several ejection fractions the median.
* The left ventricle's ejection fraction is that of the biplane method, else of three dimensions, else the
  middle of the reported range.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.data.cells import EMPTY_AMONG_NUMBERS, EMPTY_WORDS
from echossl.data.sources.tables import counted, joined, read_table

_PERCENT = {"%": 1.0, "percent": 1.0}


@dataclass(frozen=True)
class Quantity:
    """What is measured.

    Attributes:
        names: values of the column ``measurement``, those of both reporting systems.
        units: unit as it is written (see :func:`unit_key`) to the factor into the unit of the column.
        above: a measurement is above this
        up_to: and at most this, in the unit of the column; else it is a wrong unit or a typing error.
        of_several: which of several values of an examination counts.
    """

    names: tuple[str, ...]
    units: Mapping[str, float]
    above: float
    up_to: float
    of_several: str


# the laboratory changed its reporting system: the older one gives the ejection fraction as a range (lvef to
# lvef_upper), the newer one by method (biplane_lvef, lvef_3d)
QUANTITIES = {
    "peak_velocity_m_per_s": Quantity(
        ("av_pk_vel",), {"m/s": 1.0, "cm/s": 0.01, "mm/s": 0.001}, 0.3, 8.0, "max"
    ),
    "mean_gradient_mmhg": Quantity(("av_mean_grad",), {"mmhg": 1.0}, 0.0, 150.0, "max"),
    "valve_area_cm2": Quantity(
        ("av_area_continuity", "av_area"), {"cm2": 1.0, "mm2": 0.01, "m2": 10_000.0}, 0.1, 8.0, "min"
    ),
    "lvef_biplane": Quantity(("biplane_lvef",), _PERCENT, 1.0, 100.0, "median"),
    "lvef_3d": Quantity(("lvef_3d",), _PERCENT, 1.0, 100.0, "median"),
    "lvef_low": Quantity(("lvef",), _PERCENT, 1.0, 100.0, "median"),
    "lvef_high": Quantity(("lvef_upper",), _PERCENT, 1.0, 100.0, "median"),
}
STENOSIS = "aortic_stenosis"
# what the aortic valve is made of; "native" or nothing where it was not replaced
PROSTHESES = ("avr_structure1", "avr_structure2")
LEAFLETS = "av_leaflets"
NOT_REPLACED = frozenset(("native", *(word.lower() for word in EMPTY_AMONG_NUMBERS)))
_PROSTHETIC = re.compile(r"prosth|mechanical|bioprosth|tavr|tissue valve")
REPORTED_ORDER = ("none", "mild", "moderate", "severe")
COLUMNS = (
    "subject_id",
    "measurement_id",
    "measurement_datetime",
    "test_type",
    "measurement",
    "result",
    "unit",
)
_RESULT = re.compile(
    r"(?P<sign>[<>≤≥]=?)?\s*(?P<low>\d+(?:\.\d*)?|\.\d+)"
    r"(?:\s*(?:-|\u2013|to)\s*(?P<high>\d+(?:\.\d*)?|\.\d+))?\s*(?P<unit>[a-zµ%][a-z0-9/%²^ ]*)?"
)


def read_examinations(
    path: Path, subjects: Sequence[str], test_types: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """The aortic valve's measurements and the ejection fraction of every examination.

    Args:
        path: ``structured-measurement.csv``, also gzipped.
        subjects: subject ids whose examinations are wanted.
        test_types: kinds of examination that count, such as ``tte``.

    Returns:
        Indexed by ``measurement_id``: ``subject_id``, ``time`` (NaT where it cannot be read),
        ``peak_velocity_m_per_s``, ``mean_gradient_mmhg``, ``valve_area_cm2``, ``lvef`` (percent) as float64
        with NaN where not assessed, ``as_reported`` (none, mild, moderate, severe, or empty), ``prosthesis``
        and ``high_flow`` (bool: the reader explains the gradient by flow). And what was not assessed.

    Raises:
        UserError: if the file is no such table.
    """
    texts = (STENOSIS, LEAFLETS, *PROSTHESES)
    names = {name for quantity in QUANTITIES.values() for name in quantity.names}.union(texts)
    wanted = {"subject_id": frozenset(subjects), "test_type": frozenset(t.lower() for t in test_types)}
    rows = read_table(path, COLUMNS, only={"measurement": names, **wanted})
    rows["measurement"] = rows["measurement"].str.lower()
    examinations = rows.drop_duplicates("measurement_id").set_index("measurement_id")[["subject_id"]]
    times = pd.to_datetime(rows["measurement_datetime"], errors="coerce", format="ISO8601")
    examinations["time"] = times.groupby(rows["measurement_id"]).min()
    notes = []
    for name, quantity in QUANTITIES.items():
        examinations[name], note = _measured(rows, name, quantity)
        notes.append(note)
    examinations["lvef"] = _ejection_fraction(examinations)
    examinations["as_reported"], note = _reported(rows)
    examinations["as_reported"] = examinations["as_reported"].fillna("")
    for name, is_so in (("prosthesis", _is_prosthesis(rows)), ("high_flow", _is_high_flow(rows))):
        examinations[name] = examinations.index.isin(rows.loc[is_so, "measurement_id"])
    return examinations, joined(*notes, note)


def _measured(rows: pd.DataFrame, name: str, quantity: Quantity) -> tuple[pd.Series, str]:
    """One value per examination, and what could not be used."""
    own = rows[rows["measurement"].isin(quantity.names) & ~rows["result"].isin(EMPTY_AMONG_NUMBERS)]
    refused: Counter[str] = Counter()
    values = []
    for result, unit in zip(own["result"], own["unit"], strict=True):
        value, reason = parse_result(result, unit, quantity)
        values.append(value)
        refused.update([reason] if reason else [])
    found = pd.Series(values, index=own.index, dtype="float64").groupby(own["measurement_id"])
    said = ", ".join(f"{count} with {reason}" for reason, count in sorted(refused.items()))
    return found.agg(quantity.of_several), f"{name} not assessed: {said}" if said else ""


def parse_result(result: str, unit: str, quantity: Quantity) -> tuple[float, str]:
    """A number in the unit of the quantity.

    Args:
        result: text such as ``4.2``, ``3.5-4.0``, ``>4`` or ``420 cm/s``.
        unit: the unit of its column.
        quantity: what is measured.

    Returns:
        The value and ``""``, or NaN and the reason why there is none.
    """
    match = _RESULT.fullmatch(result.strip().lower())
    if not match:
        return math.nan, "no number"
    beside = unit_key(match["unit"] or "")
    key = unit_key(unit) or beside
    if beside and beside != key:
        return math.nan, "two different units"
    if key not in quantity.units:
        return math.nan, f"the unknown unit {(unit.strip() if unit_key(unit) else beside) or '(none)'}"
    low = float(match["low"])
    high = float(match["high"] or low)
    # the rounding makes 400 cm/s exactly the 4.0 m/s of a threshold
    value = round((low + high) / 2 * quantity.units[key], 6)
    if high < low or not quantity.above < value <= quantity.up_to:
        return math.nan, "an impossible value"
    return _beside(value, match["sign"] or ""), ""


def _beside(value: float, sign: str) -> float:
    """The next number on the side of a strict bound."""
    if sign in {"<", ">"}:
        return float(np.nextafter(value, math.inf if sign == ">" else -math.inf))
    return value


def unit_key(unit: str) -> str:
    """``mm Hg``, ``cm²``, ``M/sec`` and ``cm^2`` as ``mmhg``, ``cm2``, ``m/s`` and ``cm2``."""
    key = re.sub(r"[\s^.]", "", unit.lower()).replace("²", "2").replace("sq", "2")
    return "" if unit.strip() in EMPTY_AMONG_NUMBERS else re.sub(r"/sec(ond)?s?$", "/s", key)


def _ejection_fraction(examinations: pd.DataFrame) -> pd.Series:
    low, high = examinations["lvef_low"], examinations["lvef_high"]
    middle = ((low + high) / 2).where(high >= low).fillna(low).fillna(high)
    return examinations["lvef_biplane"].fillna(examinations["lvef_3d"]).fillna(middle)


def reported_grade(text: str) -> str:
    """The reader's grade of a text such as ``Mod (1.0-1.5cm2)``; empty where it names none, or two."""
    # what stands in brackets are the thresholds of the form
    words = re.sub(r"\(.*?\)", "", text.lower())
    if re.search(r"exclude|present|not |cannot|unable", words):
        return ""
    grades = {grade for word, grade in _GRADE_WORDS if re.search(word, words)}
    return grades.pop() if len(grades) == 1 else ""


_GRADE_WORDS = (
    (r"^\s*(none|no|normal|minimal|trivial)\b", "none"),
    (r"\bmild", "mild"),
    (r"\bmod", "moderate"),
    (r"\bsever", "severe"),
)


def _reported(rows: pd.DataFrame) -> tuple[pd.Series, str]:
    """The worst grade that a reader gave, per examination, and the texts that are no grade."""
    own = rows[(rows["measurement"] == STENOSIS) & ~rows["result"].isin(EMPTY_WORDS)]
    grades = own["result"].map(reported_grade)
    note = counted(
        "as_reported not assessed because the text names no single grade", own["result"][grades == ""]
    )
    ranks = grades.map({grade: rank for rank, grade in enumerate(REPORTED_ORDER)})
    worst = ranks.groupby(own["measurement_id"]).max()
    return worst.map(dict(enumerate(REPORTED_ORDER))), note


def _is_prosthesis(rows: pd.DataFrame) -> pd.Series:
    results = rows["result"].str.lower()
    replaced = rows["measurement"].isin(PROSTHESES) & ~results.isin(NOT_REPLACED)
    return replaced | ((rows["measurement"] == LEAFLETS) & results.str.contains(_PROSTHETIC))


def _is_high_flow(rows: pd.DataFrame) -> pd.Series:
    """Texts such as ``None, incr vel high output``: a fast jet through a valve that is not narrow."""
    return (rows["measurement"] == STENOSIS) & rows["result"].str.lower().str.contains(r"^none,\s*incr")
