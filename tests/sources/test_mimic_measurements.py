"""Texts of the echo laboratory: numbers by unit, grades by word."""

import math

import pandas as pd
import pytest

from echossl.data.severity import grade_from
from echossl.data.sources.mimic_measurements import (
    COLUMNS,
    QUANTITIES,
    parse_result,
    read_examinations,
    reported_grade,
    unit_key,
)

VELOCITY, GRADIENT, AREA = (
    QUANTITIES[name] for name in ("peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2")
)


@pytest.mark.parametrize(
    ("quantity", "result", "unit", "value"),
    [
        (VELOCITY, "4.2", "m/s", 4.2),
        (VELOCITY, " 4.2 ", "M/sec", 4.2),
        (VELOCITY, "420", "cm/s", 4.2),
        (VELOCITY, "400", "cm/sec", 4.0),
        (VELOCITY, "4200", "mm/s", 4.2),
        (VELOCITY, "4.2 m/s", "", 4.2),
        (VELOCITY, "420cm/s", "cm/s", 4.2),
        (VELOCITY, "3.5-4.0", "m/s", 3.75),
        (VELOCITY, "3.5 to 4", "m/s", 3.75),
        (VELOCITY, "3.5 \u2013 4.0", "m/s", 3.75),
        (VELOCITY, ".9", "m/s", 0.9),
        (VELOCITY, "≥4", "m/s", 4.0),
        (VELOCITY, ">=4", "m/s", 4.0),
        (GRADIENT, "41", "mm Hg", 41.0),
        (GRADIENT, "41", "mmHg", 41.0),
        (AREA, "0.9", "cm2", 0.9),
        (AREA, "0.9", "cm²", 0.9),
        (AREA, "0.9", "cm^2", 0.9),
        (AREA, "90", "mm2", 0.9),
        (AREA, "0.0001", "m2", 1.0),
    ],
)
def test_numbers_come_in_one_unit(quantity, result, unit, value):
    assert parse_result(result, unit, quantity) == (value, "")


@pytest.mark.parametrize(
    ("quantity", "result", "unit", "reason"),
    [
        (VELOCITY, "4.2", "mmHg", "the unknown unit mmHg"),
        (VELOCITY, "4.2", "NA", "the unknown unit (none)"),
        (VELOCITY, "4.2 knots", "", "the unknown unit knots"),
        (VELOCITY, "4.2", "cm/s", "an impossible value"),
        (VELOCITY, "12", "m/s", "an impossible value"),
        (VELOCITY, "0", "m/s", "an impossible value"),
        (VELOCITY, "4.0-3.5", "m/s", "an impossible value"),
        (VELOCITY, "-4", "m/s", "no number"),
        (VELOCITY, "4,2", "m/s", "no number"),
        (VELOCITY, "unable", "m/s", "no number"),
        (VELOCITY, "4.2 cm/s", "m/s", "two different units"),
        (AREA, "90", "cm2", "an impossible value"),
        (AREA, "0.9", "cm2/m2", "the unknown unit cm2/m2"),
        (GRADIENT, "400", "mmHg", "an impossible value"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_reason(quantity, result, unit, reason):
    value, found = parse_result(result, unit, quantity)
    assert math.isnan(value)
    assert found == reason


@pytest.mark.parametrize(
    ("quantity", "result", "grade"),
    [
        (VELOCITY, "<2.0", "none"),
        (VELOCITY, "2.0", "mild"),
        (VELOCITY, ">4", "severe"),
        (VELOCITY, "<4", "moderate"),
        (AREA, "<1.0", "severe"),
        (AREA, "1.0", "severe"),
        (AREA, ">1.0", "moderate"),
        (AREA, ">1.5", "mild"),
    ],
)
def test_a_bound_stays_on_its_side_of_a_threshold(quantity, result, grade):
    value, _ = parse_result(result, "m/s" if quantity is VELOCITY else "cm2", quantity)
    assert value == pytest.approx(float(result.strip("<>")), abs=1e-9)
    measured = (value, None, None) if quantity is VELOCITY else (None, None, value)
    assert grade_from(*measured).grade == grade


@pytest.mark.parametrize("number", range(50, 800, 25))
def test_every_unit_gives_the_same_number(number):
    values = {
        parse_result(text, unit, VELOCITY)[0]
        for text, unit in ((f"{number / 100}", "m/s"), (f"{number}", "cm/s"), (f"{number * 10}", "mm/s"))
    }
    assert values == {number / 100}


@pytest.mark.parametrize(
    ("unit", "key"),
    [
        ("", ""),
        ("NA", ""),
        ("mm Hg", "mmhg"),
        ("CM²", "cm2"),
        ("m / sec", "m/s"),
        ("cm/s.", "cm/s"),
        ("%", "%"),
    ],
)
def test_units_however_they_are_written(unit, key):
    assert unit_key(unit) == key


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("Minimal", "none"),
        ("None", "none"),
        ("None, incr vel high output", "none"),
        ("None, incr grad from AR/stroke vol", "none"),
        ("Mild (>1.5cm2)", "mild"),
        ("Mod (1.0-1.5cm2)", "moderate"),
        ("Moderate", "moderate"),
        ("Severe (<1.0cm2)", "severe"),
        ("Severe (<0.6cm2/m2)", "severe"),
        ("Very severe (>5m/s;>60mmHg)", "severe"),
        ("Low flow/low gradient severe", "severe"),
        ("Mild-moderate", ""),
        ("Mod-severe", ""),
        ("Present - not quantified", ""),
        ("Cannot exclude", ""),
        ("Cannot exclude severe", ""),
        ("Not severe", ""),
        ("4.2", ""),
    ],
)
def test_trap_15_only_a_single_certain_word_is_a_grade(text, grade):
    assert reported_grade(text) == grade


def examinations(tmp_path, *lines: tuple[str, ...], subjects=("1", "2")):
    """Lines are measurement id, measurement, result, unit, and subject where it is not 1."""
    rows = [
        (line[4] if len(line) > 4 else "1", line[0], "2150-01-01 10:00:00", "TTE", *line[1:4])
        for line in lines
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(tmp_path / "m.csv", index=False)
    return read_examinations(tmp_path / "m.csv", subjects, ["tte"])


def test_several_values_of_an_examination(tmp_path):
    table, note = examinations(
        tmp_path,
        ("a", "av_pk_vel", "3.9", "m/s"),
        ("a", "av_pk_vel", "410", "cm/s"),
        ("a", "av_pk_vel", "", "m/s"),
        ("a", "av_mean_grad", "30", "mmHg"),
        ("a", "av_mean_grad", "25", "mmHg"),
        ("a", "av_area_continuity", "1.1", "cm2"),
        ("a", "av_area", "95", "mm2"),
        ("a", "aortic_stenosis", "Mild", ""),
        ("a", "aortic_stenosis", "Severe (<1.0cm2)", ""),
    )
    own = table.loc["a"]
    assert own["peak_velocity_m_per_s"] == 4.1
    assert own["mean_gradient_mmhg"] == 30
    assert own["valve_area_cm2"] == 0.95
    assert own["as_reported"] == "severe"
    assert note == ""


@pytest.mark.parametrize(
    ("lines", "lvef"),
    [
        ([("lvef", "50"), ("lvef_upper", "60")], 55),
        ([("lvef", "50")], 50),
        ([("lvef_upper", "60")], 60),
        ([("lvef", "60"), ("lvef_upper", "50")], 60),
        ([("lvef", "50"), ("lvef_3d", "48")], 48),
        ([("lvef", "50"), ("lvef_3d", "48"), ("biplane_lvef", "46")], 46),
        ([("lvef", "0.55")], math.nan),
    ],
)
def test_ejection_fraction_of_both_reporting_systems(tmp_path, lines, lvef):
    table, _ = examinations(tmp_path, *(("a", name, value, "%") for name, value in lines))
    assert table.loc["a", "lvef"] == pytest.approx(lvef, nan_ok=True)


def test_other_patients_kinds_and_measurements_are_not_read(tmp_path):
    table, _ = examinations(
        tmp_path,
        ("a", "AV_PK_VEL", "2", "m/s"),
        ("b", "av_pk_vel", "3", "m/s", "2"),
        ("c", "av_pk_vel", "4", "m/s", "3"),
        ("d", "tr_velocity", "3", "m/s"),
    )
    assert table.index.tolist() == ["a", "b"]
    assert table["subject_id"].tolist() == ["1", "2"]
    assert table["peak_velocity_m_per_s"].tolist() == [2.0, 3.0]


def test_reasons_are_counted(tmp_path):
    _, note = examinations(
        tmp_path,
        ("a", "av_pk_vel", "430", "m/s"),
        ("b", "av_pk_vel", "4", "furlongs"),
        ("c", "av_pk_vel", "5", "furlongs"),
        ("d", "aortic_stenosis", "Present - not quantified", ""),
    )
    assert (
        "peak_velocity_m_per_s not assessed: 1 with an impossible value, 2 with the unknown unit furlongs"
        in note
    )
    assert "names no single grade: 1 (first: Present - not quantified)" in note


@pytest.mark.parametrize(
    ("name", "result", "prosthesis"),
    [
        ("avr_structure1", "Bioprosthetic", True),
        ("avr_structure2", "TAVR", True),
        ("avr_structure1", "Native", False),
        ("avr_structure1", "", False),
        ("av_leaflets", "Mechanical prosthesis", True),
        ("av_leaflets", "Mildly thickened", False),
    ],
)
def test_prostheses(tmp_path, name, result, prosthesis):
    table, _ = examinations(tmp_path, ("a", name, result, ""))
    assert bool(table.loc["a", "prosthesis"]) is prosthesis


def test_no_measurement_at_all(tmp_path):
    table, note = examinations(tmp_path, ("a", "av_pk_vel", "2", "m/s"), subjects=("9",))
    assert table.empty
    assert note == ""
