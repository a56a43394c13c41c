"""MIMIC-IV-ECHO: from DICOM files, lists and measurements in text to graded studies."""

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest
from layout_mimic_iv_echo import (
    build_mimic_iv_echo,
    lvef_of,
    measurement_of,
    study_of,
    subject_of,
)

from echossl.data import assign_splits, read_manifest
from echossl.data.labels import encode_labels
from echossl.data.severity import grade_from
from echossl.data.sources import index_source
from echossl.errors import UserError
from echossl.video import open_video

MEASUREMENTS = "structured-measurement.csv.gz"


@pytest.fixture(scope="module")
def built(phantom_videos, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("mimic")
    build_mimic_iv_echo(phantom_videos, root)
    return root


@pytest.fixture
def root(built, tmp_path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(built, tmp_path / "mimic-iv-echo"))


def index(root: Path, out: Path, *options: str) -> pd.DataFrame:
    """What is written and read again, with the note of the source."""
    written = index_source("mimic_iv_echo", root, out=out / "manifest.csv", options=options)
    table = read_manifest(out / "manifest.csv")
    table.attrs["note"] = written.attrs["note"]
    return table


def measurements(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "1.0" / MEASUREMENTS, dtype=str, keep_default_na=False)


def rewrite(root: Path, table: pd.DataFrame) -> None:
    table.to_csv(root / "1.0" / MEASUREMENTS, index=False)


def change(root: Path, patient: str, name: str, **cells: str) -> None:
    """Other cells in one patient's measurement of the first examination."""
    table = measurements(root)
    own = table["measurement_id"] == str(measurement_of(patient))
    table.loc[own & (table["measurement"] == name), list(cells)] = list(cells.values())
    rewrite(root, table)


def add(root: Path, patient: str, name: str, result: str, unit: str = "", **others: str) -> None:
    table = measurements(root)
    row = table[table["measurement_id"] == str(measurement_of(patient))].iloc[0]
    line = row.to_dict() | {"measurement": name, "result": result, "unit": unit} | others
    rewrite(root, pd.concat([table, pd.DataFrame([line])], ignore_index=True))


def study(table: pd.DataFrame, patient: str) -> pd.Series:
    """The first row of a patient's study."""
    return table[table["study_id"].astype(str) == str(study_of(patient))].iloc[0]


def test_every_file_is_listed_with_its_patient_and_study(built, phantom_videos, tmp_path):
    table = index(built, tmp_path)
    assert set(table["path"]) == {str(path) for path in built.rglob("*.dcm")}
    counts = phantom_videos.groupby("patient_id").size()
    for patient, count in counts.items():
        own = table[table["patient_id"] == str(subject_of(patient))]
        assert len(own) == count
        assert (own["study_id"] == str(study_of(patient))).all()
    assert (table["source"] == "mimic_iv_echo").all()
    with open_video(table["path"][0]) as video:
        assert video.num_frames > 5


def test_labels_are_the_measurements_of_the_phantom(built, phantom_videos, tmp_path):
    """Whatever the unit, the reporting system, and whether a study is joined by id or by time."""
    table = index(built, tmp_path)
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


def test_trap_11_splits_by_patient(built, tmp_path):
    table = index(built, tmp_path)
    assert "there are no splits" in table.attrs["note"]
    table["split"] = assign_splits(table, {"train": 0.5, "test": 0.5}, seed=0, stratify="as_severe")
    assert table.groupby("patient_id")["split"].nunique().eq(1).all()


def test_no_date_and_no_rate_is_copied(built, tmp_path):
    index(built, tmp_path)
    text = (tmp_path / "manifest.csv").read_text()
    assert "2150" not in text
    assert not {"fps", "acquisition_datetime", "study_datetime", "time"} & set(
        text.splitlines()[0].split(",")
    )


def test_an_examination_of_another_kind_does_not_count(built, tmp_path):
    # 7.77 m/s was measured a day later through the oesophagus
    assert (index(built, tmp_path)["peak_velocity_m_per_s"] < 7).all()
    table = index(built, tmp_path, "test_types=[TEE]")
    by_time = study(table, "P00002")
    assert by_time["peak_velocity_m_per_s"] == 7.77
    # the study list links this one to an examination that is not asked for
    assert pd.isna(study(table, "P00001")["peak_velocity_m_per_s"])


def test_days_between_study_and_examination(built, tmp_path):
    """The examinations are 20 hours after the studies."""
    near, far = index(built, tmp_path, "days=0.9"), index(built, tmp_path, "days=0.8")
    assert (
        study(near, "P00002")["as_acc_aha_2020"] == study(index(built, tmp_path), "P00002")["as_acc_aha_2020"]
    )
    assert pd.isna(study(far, "P00002")["as_acc_aha_2020"])
    assert study(far, "P00001")["as_acc_aha_2020"] == study(near, "P00001")["as_acc_aha_2020"]
    assert (
        "4 of 8 studies have measurements (tte, by measurement_id, else the nearest within 0.8 days)"
        in (far.attrs["note"])
    )


def test_the_nearest_examination_counts(root, tmp_path):
    earlier = measurements(root)
    own = earlier[earlier["measurement_id"] == str(measurement_of("P00002"))].copy()
    own["measurement_datetime"] = "2150-03-31 10:00:00"
    own["measurement_id"] = "1"
    own.loc[own["measurement"] == "av_pk_vel", "result"] = "111"
    rewrite(root, pd.concat([earlier, own], ignore_index=True))
    assert study(index(root, tmp_path), "P00002")["peak_velocity_m_per_s"] == 1.11


def test_an_examination_of_another_patient_is_never_taken(root, tmp_path):
    path = root / "1.0" / "echo-study-list.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[table["study_id"] == str(study_of("P00001")), "measurement_id"] = str(measurement_of("P00003"))
    table.to_csv(path, index=False)
    assert pd.isna(study(index(root, tmp_path), "P00001")["peak_velocity_m_per_s"])


def test_trap_15_what_was_not_measured_is_empty_and_never_negative(root, tmp_path):
    table = measurements(root)
    own = table["measurement_id"] == str(measurement_of("P00001"))
    rewrite(root, table[~(own & table["measurement"].str.startswith(("av_", "aortic")))])
    found = study(index(root, tmp_path), "P00001")
    names = ["peak_velocity_m_per_s", "as_acc_aha_2020", "as_severe", "discordant", "as_reported"]
    assert found[names].isna().all()
    assert found["lvef"] == lvef_of("P00001")


def test_discordance_needs_area_and_flow(root, tmp_path):
    change(root, "P00001", "av_area_continuity", result="")
    change(root, "P00003", "av_pk_vel", result="")
    change(root, "P00003", "av_mean_grad", result="NA")
    table = index(root, tmp_path)
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
def test_what_cannot_be_a_velocity_is_refused_and_counted(root, tmp_path, result, unit, reason):
    change(root, "P00003", "av_pk_vel", result=result, unit=unit)
    table = index(root, tmp_path)
    own = study(table, "P00003")
    assert pd.isna(own["peak_velocity_m_per_s"])
    assert own["as_acc_aha_2020"] == "severe"  # by the gradient
    assert f"peak_velocity_m_per_s not assessed: 1 with {reason}" in table.attrs["note"]


def test_a_prosthesis_and_high_flow_are_not_graded(root, tmp_path):
    add(root, "P00001", "avr_structure1", "Bioprosthesis")
    add(root, "P00002", "aortic_stenosis", "None, incr vel high output")
    add(root, "P00003", "avr_structure1", "Native")
    table = index(root, tmp_path)
    for patient in ("P00001", "P00002"):
        own = study(table, patient)
        assert own[["as_acc_aha_2020", "as_severe", "discordant"]].isna().all()
        assert own["peak_velocity_m_per_s"] > 0
    assert study(table, "P00003")["as_severe"] == 1
    assert "because of a prosthesis, or of high flow as the reader says: 2" in table.attrs["note"]


def test_files_of_an_older_version_are_found(root, tmp_path):
    expected = index(root, tmp_path).drop(columns="path")
    (root / "0.1").mkdir()
    (root / "1.0" / "files").rename(root / "0.1" / "files")
    shutil.copyfile(root / "1.0" / "echo-record-list.csv", root / "0.1" / "echo-record-list.csv")
    found = index(root, tmp_path)
    assert found["path"].str.contains("/0.1/files/").all()
    assert "tables of 1.0, files also from 0.1" in found.attrs["note"]
    pd.testing.assert_frame_equal(found.drop(columns="path"), expected)


def test_unpacked_measurements_elsewhere(root, tmp_path):
    expected = index(root, tmp_path)
    packed = root / "1.0" / MEASUREMENTS
    elsewhere = tmp_path / "elsewhere" / "measurements.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    pd.testing.assert_frame_equal(index(root, tmp_path, f"measurements={elsewhere}"), expected)
    bare = index(root, tmp_path)
    assert not {"as_severe", "lvef"} & set(bare.columns)
    assert "no structured-measurement.csv(.gz) found, so there are no labels" in bare.attrs["note"]
    with pytest.raises(UserError, match="measurements: no such file"):
        index(root, tmp_path, f"measurements={tmp_path / 'gone.csv'}")


def test_the_first_version_has_no_measurement_ids(root, tmp_path):
    """Without ids all studies are joined by time, and without the study list by the time of their files."""
    path = root / "1.0" / "echo-study-list.csv"
    expected = index(root, tmp_path)
    pd.read_csv(path).drop(columns="measurement_id").to_csv(path, index=False)
    pd.testing.assert_frame_equal(index(root, tmp_path), expected)
    path.unlink()
    pd.testing.assert_frame_equal(index(root, tmp_path), expected)


def test_views_from_a_table(built, tmp_path):
    names = sorted(path.relative_to(built / "1.0").as_posix() for path in built.rglob("*.dcm"))
    views = pd.DataFrame({"dicom_filepath": names[1:], "Predicted_View": ["PLAX"] * (len(names) - 1)})
    views.to_csv(tmp_path / "views.csv", index=False)
    table = index(built, tmp_path, f"views={tmp_path / 'views.csv'}")
    assert (table["view"] == "plax").sum() == len(names) - 1
    assert f"none there for 1 of {len(names)} files" in table.attrs["note"]
    views.rename(columns={"Predicted_View": "class"}).to_csv(tmp_path / "views.csv", index=False)
    with pytest.raises(UserError, match=r"found the columns dicom_filepath, class, expected one of view, "):
        index(built, tmp_path, f"views={tmp_path / 'views.csv'}")
    with pytest.raises(UserError, match=r"gone\.csv: no such file"):
        index(built, tmp_path, f"views={tmp_path / 'gone.csv'}")


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("echo-record-list.csv", "dicom_filepath"),
        ("echo-record-list.csv", "subject_id"),
        (MEASUREMENTS, "unit"),
    ],
)
def test_a_missing_column_is_named_with_those_that_are_there(root, tmp_path, table, column):
    path = root / "1.0" / table
    pd.read_csv(path, dtype=str).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(UserError, match=rf"{table}: the column '{column}' is missing; found ") as error:
        index(root, tmp_path)
    assert "\n" not in str(error.value)


def test_a_part_of_the_download_and_none_of_it(root, tmp_path):
    files = sorted(root.rglob("*.dcm"))
    for path in files[2:]:
        path.unlink()
    table = index(root, tmp_path)
    assert table["path"].tolist() == [str(path) for path in files[:2]]
    assert f"(of {len(files)}) but not there: {len(files) - 2} (first: files/p10/" in table.attrs["note"]
    for path in files[:2]:
        path.unlink()
    with pytest.raises(UserError, match=r"none of the \d+ files that it lists is below"):
        index(root, tmp_path)
    with pytest.raises(UserError, match=r"found no echo-record-list\.csv here"):
        index(tmp_path / "mimic-iv-echo" / "1.0" / "files", tmp_path)
