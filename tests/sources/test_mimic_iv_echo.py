"""MIMIC-IV-ECHO: from DICOM files, lists and measurements in text to graded studies."""

import gzip
import shutil

import pandas as pd
import pytest
from layout_mimic_iv_echo import (
    MEASUREMENTS,
    index,
    lvef_of,
    measurement_of,
    measurements,
    rewrite,
    study,
    study_of,
    subject_of,
)

from echossl.data import assign_splits
from echossl.data.labels import encode_labels
from echossl.data.severity import grade_from
from echossl.errors import UserError
from echossl.video import open_video


def test_every_file_is_listed_with_its_patient_and_study(built_mimic, phantom_videos, tmp_path):
    table = index(built_mimic, tmp_path)
    assert set(table["path"]) == {str(path) for path in built_mimic.rglob("*.dcm")}
    counts = phantom_videos.groupby("patient_id").size()
    for patient, count in counts.items():
        own = table[table["patient_id"] == str(subject_of(patient))]
        assert len(own) == count
        assert (own["study_id"] == str(study_of(patient))).all()
    assert (table["source"] == "mimic_iv_echo").all()
    with open_video(table["path"][0]) as video:
        assert video.num_frames > 5


def test_labels_are_the_measurements_of_the_phantom(built_mimic, phantom_videos, tmp_path):
    """Whatever the unit, the reporting system, and whether a study is joined by id or by time."""
    table = index(built_mimic, tmp_path)
    for _, row in phantom_videos.drop_duplicates("patient_id").iterrows():
        own = study(table, row["patient_id"])
        for name in ("peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2"):
            assert own[name] == pytest.approx(row[name], abs=1e-9)
        assert own["as_acc_aha_2020"] == row["as_grade"]
        assert own["as_severe"] == row["severe_as"]
        assert own["lvef"] == lvef_of(row["patient_id"])
        graded = grade_from(*row[["peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2"]])
        assert own["discordant"] == graded.discordant
        if row["as_grade"] == "none":
            assert pd.isna(own["as_reported"])
        else:
            assert own["as_reported"] == row["as_grade"]
    assert "8 of 8 studies have measurements" in table.attrs["note"]
    assert encode_labels(table, "as_acc_aha_2020").min() >= 0


def test_trap_11_splits_by_patient(built_mimic, tmp_path):
    table = index(built_mimic, tmp_path)
    assert "there are no splits" in table.attrs["note"]
    table["split"] = assign_splits(table, {"train": 0.5, "test": 0.5}, seed=0, stratify="as_severe")
    assert table.groupby("patient_id")["split"].nunique().eq(1).all()


def test_no_date_and_no_rate_is_copied(built_mimic, tmp_path):
    index(built_mimic, tmp_path)
    text = (tmp_path / "manifest.csv").read_text()
    assert "2150" not in text
    assert not {"fps", "acquisition_datetime", "study_datetime", "time"} & set(
        text.splitlines()[0].split(",")
    )


def test_an_examination_of_another_kind_does_not_count(built_mimic, tmp_path):
    # 7.77 m/s was measured a day later through the oesophagus
    assert (index(built_mimic, tmp_path)["peak_velocity_m_per_s"] < 7).all()
    table = index(built_mimic, tmp_path, "test_types=[TEE]")
    by_time = study(table, "P00002")
    assert by_time["peak_velocity_m_per_s"] == 7.77
    # the study list links this one to an examination that is not asked for
    assert pd.isna(study(table, "P00001")["peak_velocity_m_per_s"])


def test_days_between_study_and_examination(built_mimic, tmp_path):
    """The examinations are 20 hours after the studies."""
    near, far = index(built_mimic, tmp_path, "days=0.9"), index(built_mimic, tmp_path, "days=0.8")
    assert (
        study(near, "P00002")["as_acc_aha_2020"]
        == study(index(built_mimic, tmp_path), "P00002")["as_acc_aha_2020"]
    )
    assert pd.isna(study(far, "P00002")["as_acc_aha_2020"])
    assert study(far, "P00001")["as_acc_aha_2020"] == study(near, "P00001")["as_acc_aha_2020"]
    assert (
        "4 of 8 studies have measurements (tte, by measurement_id, else the nearest within 0.8 days)"
        in (far.attrs["note"])
    )


def test_the_nearest_examination_counts(mimic_root, tmp_path):
    earlier = measurements(mimic_root)
    own = earlier[earlier["measurement_id"] == str(measurement_of("P00002"))].copy()
    own["measurement_datetime"] = "2150-03-31 10:00:00"
    own["measurement_id"] = "1"
    own.loc[own["measurement"] == "av_pk_vel", "result"] = "111"
    rewrite(mimic_root, pd.concat([earlier, own], ignore_index=True))
    assert study(index(mimic_root, tmp_path), "P00002")["peak_velocity_m_per_s"] == 1.11


def test_an_examination_of_another_patient_is_never_taken(mimic_root, tmp_path):
    path = mimic_root / "1.0" / "echo-study-list.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[table["study_id"] == str(study_of("P00001")), "measurement_id"] = str(measurement_of("P00003"))
    table.to_csv(path, index=False)
    assert pd.isna(study(index(mimic_root, tmp_path), "P00001")["peak_velocity_m_per_s"])


def test_files_of_an_older_version_are_found(mimic_root, tmp_path):
    expected = index(mimic_root, tmp_path).drop(columns="path")
    (mimic_root / "0.1").mkdir()
    (mimic_root / "1.0" / "files").rename(mimic_root / "0.1" / "files")
    shutil.copyfile(mimic_root / "1.0" / "echo-record-list.csv", mimic_root / "0.1" / "echo-record-list.csv")
    found = index(mimic_root, tmp_path)
    assert found["path"].str.contains("/0.1/files/").all()
    assert "tables of 1.0, files also from 0.1" in found.attrs["note"]
    pd.testing.assert_frame_equal(found.drop(columns="path"), expected)


def test_unpacked_measurements_elsewhere(mimic_root, tmp_path):
    expected = index(mimic_root, tmp_path)
    packed = mimic_root / "1.0" / MEASUREMENTS
    elsewhere = tmp_path / "elsewhere" / "measurements.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    pd.testing.assert_frame_equal(index(mimic_root, tmp_path, f"measurements={elsewhere}"), expected)
    bare = index(mimic_root, tmp_path)
    assert not {"as_severe", "lvef"} & set(bare.columns)
    assert "no structured-measurement.csv(.gz) found, so there are no labels" in bare.attrs["note"]
    with pytest.raises(UserError, match="measurements: no such file"):
        index(mimic_root, tmp_path, f"measurements={tmp_path / 'gone.csv'}")


def test_the_first_version_has_no_measurement_ids(mimic_root, tmp_path):
    """Without ids all studies are joined by time, and without the study list by the time of their files."""
    path = mimic_root / "1.0" / "echo-study-list.csv"
    expected = index(mimic_root, tmp_path)
    pd.read_csv(path).drop(columns="measurement_id").to_csv(path, index=False)
    pd.testing.assert_frame_equal(index(mimic_root, tmp_path), expected)
    path.unlink()
    pd.testing.assert_frame_equal(index(mimic_root, tmp_path), expected)


def test_views_from_a_table(built_mimic, tmp_path):
    names = sorted(path.relative_to(built_mimic / "1.0").as_posix() for path in built_mimic.rglob("*.dcm"))
    views = pd.DataFrame({"dicom_filepath": names[1:], "Predicted_View": ["PLAX"] * (len(names) - 1)})
    views.to_csv(tmp_path / "views.csv", index=False)
    table = index(built_mimic, tmp_path, f"views={tmp_path / 'views.csv'}")
    assert (table["view"] == "plax").sum() == len(names) - 1
    assert f"none there for 1 of {len(names)} files" in table.attrs["note"]
    views.rename(columns={"Predicted_View": "class"}).to_csv(tmp_path / "views.csv", index=False)
    with pytest.raises(UserError, match=r"found the columns dicom_filepath, class, expected one of view, "):
        index(built_mimic, tmp_path, f"views={tmp_path / 'views.csv'}")
    with pytest.raises(UserError, match=r"gone\.csv: no such file"):
        index(built_mimic, tmp_path, f"views={tmp_path / 'gone.csv'}")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("echo-record-list.csv", "dicom_filepath"),
        ("echo-record-list.csv", "subject_id"),
        (MEASUREMENTS, "unit"),
    ],
)
def test_a_missing_column_is_named_with_those_that_are_there(mimic_root, tmp_path, table, column):
    path = mimic_root / "1.0" / table
    pd.read_csv(path, dtype=str).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(UserError, match=rf"{table}: the column '{column}' is missing; found ") as error:
        index(mimic_root, tmp_path)
    assert "\n" not in str(error.value)


def test_a_part_of_the_download_and_none_of_it(mimic_root, tmp_path):
    files = sorted(mimic_root.rglob("*.dcm"))
    for path in files[2:]:
        path.unlink()
    table = index(mimic_root, tmp_path)
    assert table["path"].tolist() == [str(path) for path in files[:2]]
    assert f"(of {len(files)}) but not there: {len(files) - 2} (first: files/p10/" in table.attrs["note"]
    for path in files[:2]:
        path.unlink()
    with pytest.raises(UserError, match=r"none of the \d+ files that it lists is below"):
        index(mimic_root, tmp_path)
    with pytest.raises(UserError, match=r"found no echo-record-list\.csv here"):
        index(tmp_path / "mimic-iv-echo" / "1.0" / "files", tmp_path)
