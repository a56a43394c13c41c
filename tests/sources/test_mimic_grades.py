"""MIMIC-IV-ECHO: what is graded, what is flagged, and what stays empty."""

import pandas as pd
import pytest
from layout_mimic_iv_echo import add, change, index, lvef_of, measurement_of, measurements, rewrite, study

from echossl.data.severity import grade_from


def test_trap_15_what_was_not_measured_is_empty_and_never_negative(mimic_root, tmp_path):
    table = measurements(mimic_root)
    own = table["measurement_id"] == str(measurement_of("P00001"))
    rewrite(mimic_root, table[~(own & table["measurement"].str.startswith(("av_", "aortic")))])
    found = study(index(mimic_root, tmp_path), "P00001")
    names = ["peak_velocity_m_per_s", "as_acc_aha_2020", "as_severe", "discordant", "as_reported"]
    assert found[names].isna().all()
    assert found["lvef"] == lvef_of("P00001")


def test_discordance_needs_area_and_flow(mimic_root, tmp_path):
    change(mimic_root, "P00001", "av_area_continuity", result="")
    change(mimic_root, "P00003", "av_pk_vel", result="")
    change(mimic_root, "P00003", "av_mean_grad", result="NA")
    table = index(mimic_root, tmp_path)
    assert pd.isna(study(table, "P00001")["discordant"])
    assert study(table, "P00001")["as_severe"] == 0
    # an area alone grades, and agrees with nothing
    assert pd.isna(study(table, "P00003")["discordant"])
    assert study(table, "P00003")["as_acc_aha_2020"] == "severe"


@pytest.mark.parametrize(
    ("result", "unit", "reason"),
    [
        ("430", "m/s", "an impossible value"),
        ("4.3", "cm/s", "an impossible value"),
        ("4.3", "", "the unknown unit (none)"),
        ("4.3", "knots", "the unknown unit knots"),
        ("not seen", "m/s", "no number"),
        ("4.3 cm/s", "m/s", "two different units"),
    ],
)
def test_what_cannot_be_a_velocity_is_refused_and_counted(mimic_root, tmp_path, result, unit, reason):
    change(mimic_root, "P00003", "av_pk_vel", result=result, unit=unit)
    table = index(mimic_root, tmp_path)
    own = study(table, "P00003")
    assert pd.isna(own["peak_velocity_m_per_s"])
    assert own["as_acc_aha_2020"] == "severe"  # by the gradient
    assert f"peak_velocity_m_per_s not assessed: 1 with {reason}" in table.attrs["note"]


def test_a_prosthesis_and_high_flow_are_not_graded(mimic_root, tmp_path):
    add(mimic_root, "P00001", "avr_structure1", "Bioprosthesis")
    add(mimic_root, "P00002", "aortic_stenosis", "None, incr vel high output")
    add(mimic_root, "P00003", "avr_structure1", "Native")
    table = index(mimic_root, tmp_path)
    for patient in ("P00001", "P00002"):
        own = study(table, patient)
        assert own[["as_acc_aha_2020", "as_severe", "discordant"]].isna().all()
        assert own["peak_velocity_m_per_s"] > 0
    assert study(table, "P00003")["as_severe"] == 1
    assert "because of a prosthesis, or of high flow as the reader says: 2" in table.attrs["note"]


@pytest.mark.parametrize(
    ("bound", "grade"), [("<4", "moderate"), (">4", "severe"), ("<3", "mild"), ("<2", "none")]
)
def test_a_bound_is_written_on_its_side_of_the_threshold(mimic_root, tmp_path, bound, grade):
    change(mimic_root, "P00001", "av_pk_vel", result=bound, unit="m/s")
    change(mimic_root, "P00001", "av_mean_grad", result="")
    change(mimic_root, "P00001", "av_area_continuity", result="")
    own = study(index(mimic_root, tmp_path), "P00001")
    assert own["as_acc_aha_2020"] == grade
    assert grade_from(own["peak_velocity_m_per_s"]).grade == grade
    assert own["peak_velocity_m_per_s"] == pytest.approx(float(bound[1:]))


@pytest.mark.parametrize("choice", ["keep", "drop"])
def test_low_gradient_stenosis_is_kept_by_its_flow_or_dropped(mimic_root, tmp_path, choice):
    change(mimic_root, "P00001", "av_pk_vel", result="3.2", unit="m/s")
    change(mimic_root, "P00001", "av_mean_grad", result="30", unit="mmHg")
    change(mimic_root, "P00001", "av_area_continuity", result="0.7", unit="cm2")
    before, table = index(mimic_root, tmp_path), index(mimic_root, tmp_path, f"discordant={choice}")
    own = study(table, "P00001")
    assert own["discordant"] == 1
    assert own["peak_velocity_m_per_s"] == 3.2
    columns = ["as_acc_aha_2020", "as_severe"]
    count = before.loc[before["discordant"] == 1, "study_id"].nunique()
    what = "studies whose area and flow disagree about severe"
    if choice == "keep":
        assert own[columns].tolist() == ["moderate", 0]
        assert f"{what}, graded by flow (discordant=drop leaves them out): {count}" in table.attrs["note"]
    else:
        assert own[columns].isna().all()
        assert f"{what}, not graded: {count}" in table.attrs["note"]
        settled = table["discordant"] != 1
        pd.testing.assert_frame_equal(
            table.loc[settled, columns], before.loc[settled, columns], check_dtype=False
        )
