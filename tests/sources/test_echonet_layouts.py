"""EchoNet-Dynamic, EchoNet-LVH and EchoNet-Pediatric: from the published form to a manifest."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from layout_echonet_dynamic import WRONG_FRAME_RATE, build_echonet_dynamic
from layout_echonet_files import ejection_fraction, first_videos, hashed_name, number_of, split_of
from layout_echonet_lvh import build_echonet_lvh, measurements_cm
from layout_echonet_pediatric import build_echonet_pediatric, child_of, fold_of

from echossl.data import read_manifest
from echossl.data.sources import index_source
from echossl.errors import UserError
from echossl.video import open_video

BUILDERS = {
    "echonet_dynamic": build_echonet_dynamic,
    "echonet_lvh": build_echonet_lvh,
    "echonet_pediatric": build_echonet_pediatric,
}
TABLES = {
    "echonet_dynamic": ("FileList.csv", "EF"),
    "echonet_lvh": ("MeasurementsList.csv", "CalcValue"),
    "echonet_pediatric": ("pediatric_echo_avi/pediatric_echo_avi/PSAX/FileList.csv", "Split"),
}


@pytest.fixture(scope="module")
def built(phantom_videos, tmp_path_factory) -> dict[str, Path]:
    roots = {name: tmp_path_factory.mktemp(name) for name in BUILDERS}
    for name, root in roots.items():
        BUILDERS[name](phantom_videos, root)
    return roots


@pytest.fixture
def copy(built, tmp_path):
    """A copy that a test may break."""

    def make(name: str) -> Path:
        return Path(shutil.copytree(built[name], tmp_path / name))

    return make


def index(name: str, root: Path, out: Path, *options: str) -> pd.DataFrame:
    """What is written and read again, with the note of the source."""
    written = index_source(name, root, out=out, options=options)
    table = read_manifest(out)
    table.attrs["note"] = written.attrs["note"]
    return table


@pytest.mark.parametrize("name", BUILDERS)
def test_every_video_is_listed_once_and_opens(built, tmp_path, name):
    table = index(name, built[name], tmp_path / "manifest.csv")
    on_disk = {str(path) for path in built[name].rglob("*.avi")}
    assert set(table["path"]) == on_disk
    assert table["path"].is_unique
    assert (table["source"] == name).all()
    with open_video(table["path"][0]) as video:
        assert video.num_frames > 5


@pytest.mark.parametrize("name", BUILDERS)
def test_trap_11_splits_are_those_published_and_share_no_patient(built, tmp_path, name):
    table = index(name, built[name], tmp_path / "manifest.csv")
    assert set(table["split"]) == {"train", "val", "test"}
    assert table.groupby("patient_id")["split"].nunique().eq(1).all()
    assert table.groupby("study_id")["patient_id"].nunique().eq(1).all()


@pytest.mark.parametrize("name", BUILDERS)
def test_trap_03_the_frame_rate_of_the_table_is_not_believed(built, tmp_path, name):
    table = index(name, built[name], tmp_path / "manifest.csv")
    assert not {"fps", "num_frames", "frames"} & {column.lower() for column in table.columns}
    with open_video(table["path"][0]) as video:
        assert abs(video.fps - WRONG_FRAME_RATE) > 1


def test_dynamic_labels_are_those_of_the_patients(built, phantom_videos, tmp_path):
    table = index("echonet_dynamic", built["echonet_dynamic"], tmp_path / "m.csv").set_index("patient_id")
    truth = first_videos(phantom_videos)
    assert len(table) == len(truth)
    for _, row in truth.iterrows():
        own = table.loc[hashed_name(row["patient_id"])]
        fraction = ejection_fraction(row)
        assert own["ef"] == pytest.approx(fraction)
        assert own["esv_ml"] == pytest.approx(120 * (1 - fraction / 100), abs=1e-3)
        assert own["edv_ml"] == 120
        assert own["ef_below_50"] == (fraction < 50)
        assert own["ef_below_40"] == (fraction < 40)
        assert own["split"] == split_of(row["patient_id"])
        assert own["view"] == "a4c"
    assert {0, 1} == set(table["ef_below_50"])


def test_lvh_measurements_are_one_row_per_video(built, phantom_videos, tmp_path):
    table = index("echonet_lvh", built["echonet_lvh"], tmp_path / "m.csv").set_index("patient_id")
    for _, row in first_videos(phantom_videos).iterrows():
        own, measured = table.loc[hashed_name(row["patient_id"])], measurements_cm(row)
        for calculation in ("IVSd", "LVIDd", "LVPWd"):
            assert own[f"{calculation.lower()}_cm"] == pytest.approx(measured[calculation])
        if number_of(row["patient_id"]) % 3:
            assert own["lvids_cm"] == pytest.approx(measured["LVIDs"])
        else:
            assert pd.isna(own["lvids_cm"])
        assert own["split"] == split_of(row["patient_id"])
    assert (table["view"] == "plax").all()


def test_trap_16_lvh_gives_its_own_labels_and_no_stenosis(built, tmp_path):
    table = index("echonet_lvh", built["echonet_lvh"], tmp_path / "m.csv")
    labels = set(table.columns) - {"path", "patient_id", "study_id", "view", "source", "split"}
    assert labels == {"ivsd_cm", "lvidd_cm", "lvpwd_cm", "lvids_cm"}


def test_pediatric_patients_come_from_the_names_and_folds_are_settings(built, phantom_videos, tmp_path):
    root, out = built["echonet_pediatric"], tmp_path / "m.csv"
    table = index("echonet_pediatric", root, out)
    assert "fold 8 is the split val, 9 is test, the others train" in table.attrs["note"]
    other = index("echonet_pediatric", root, out, "validation_fold=2", "test_fold=3")
    splits = {8: "val", 9: "test"}, {2: "val", 3: "test"}
    for patient, videos in phantom_videos.groupby("patient_id"):
        child, study = child_of(patient)
        own = table[table["patient_id"] == child]
        assert len(own) == len(videos)
        assert (own["study_id"] == f"{child}-{study}").all()
        assert sorted(own["view"]) == ["a4c"] + ["psax"] * (len(videos) - 1)
        assert own["ef"].to_numpy() == pytest.approx(ejection_fraction(videos.iloc[0]))
        assert (own["sex"] == ("F" if number_of(patient) % 2 else "M")).all()
        assert (own["age_years"] == number_of(patient) % 18).all()
        for found, folds in zip((table, other), splits, strict=True):
            expected = folds.get(fold_of(patient), "train")
            assert (found.loc[found["patient_id"] == child, "split"] == expected).all()


def test_pediatric_one_view(built, tmp_path):
    root, out = built["echonet_pediatric"], tmp_path / "m.csv"
    assert set(index("echonet_pediatric", root, out, "views=[PSAX]")["view"]) == {"psax"}
    inner = root / "pediatric_echo_avi" / "pediatric_echo_avi" / "A4C"
    assert set(index("echonet_pediatric", inner, out, "views=[A4C]")["view"]) == {"a4c"}
    with pytest.raises(UserError, match=r"found no PSAX/FileList\.csv here or below"):
        index("echonet_pediatric", inner, out)
    with pytest.raises(UserError, match="both 3; choose two folds"):
        index("echonet_pediatric", root, out, "validation_fold=3", "test_fold=3")


def test_trap_11_a_child_in_two_folds_stays_in_the_strictest_split(copy, tmp_path):
    root = copy("echonet_pediatric")
    path = root / TABLES["echonet_pediatric"][0]
    table = pd.read_csv(path)
    table.loc[0, "Split"] = 9
    table.to_csv(path, index=False)
    moved = table["FileName"][0].split("-")[0]
    found = index("echonet_pediatric", root, tmp_path / "m.csv")
    assert (found.loc[found["patient_id"] == moved, "split"] == "test").all()
    assert "put whole into the strictest split (test, val, train): 1" in found.attrs["note"]


def test_trap_15_what_was_not_assessed_stays_empty(copy, tmp_path):
    root = copy("echonet_dynamic")
    path = root / "FileList.csv"
    table = pd.read_csv(path, dtype={"EF": object})
    table.loc[0, "EF"], table.loc[1, "EF"], table.loc[2, "EF"] = "", "No Systolic", "0.55"
    table.to_csv(path, index=False)
    found = index("echonet_dynamic", root, tmp_path / "m.csv")
    assert found["ef"].isna().tolist()[:4] == [True, True, True, False]
    assert found["ef_below_50"].isna().tolist()[:4] == [True, True, True, False]
    assert "EF not assessed because no number above 1 and up to 100: 2 (first: " in found.attrs["note"]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_missing_column_is_named_with_those_that_are_there(copy, tmp_path, name):
    root, (table, column) = copy(name), TABLES[name]
    pd.read_csv(root / table).drop(columns=column).to_csv(root / table, index=False)
    with pytest.raises(
        UserError, match=rf"{Path(table).name}: the column '{column}' is missing; found "
    ) as error:
        index(name, root, tmp_path / "m.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BUILDERS)
def test_absent_files_are_counted_and_all_absent_is_an_error(copy, tmp_path, name):
    root = copy(name)
    whole = index(name, root, tmp_path / "m.csv")
    videos = sorted((root / TABLES[name][0]).parent.rglob("*.avi"))
    videos[0].unlink()
    shutil.copyfile(videos[1], videos[1].with_name("unlisted.avi"))
    found = index(name, root, tmp_path / "m.csv")
    assert len(found) == len(whole) - 1
    assert f"but not there: 1 (first: {videos[0].stem}" in found.attrs["note"]
    assert "there but not listed in " in found.attrs["note"]
    for path in videos[1:]:
        path.unlink()
    with pytest.raises(UserError, match=r"none of the \d+ files that it lists is below .*; unpack all parts"):
        index(name, root, tmp_path / "m.csv")


@pytest.mark.parametrize("name", BUILDERS)
def test_names_by_other_systems_are_found(copy, tmp_path, name):
    """Nested folders, other case, no suffix, a byte order mark and Windows line ends change nothing."""
    expected = index(name, copy(name), tmp_path / "m.csv").drop(columns="path")
    nested = tmp_path / "download" / name.upper()
    nested.parent.mkdir()
    (tmp_path / name).rename(nested)
    for number, path in enumerate(sorted(nested.rglob("*.avi"))):
        path.rename(path.with_name(path.stem if number % 2 else f"{path.stem}.AVI"))
    for path in nested.rglob("*List.csv"):
        text = path.read_text()
        path.unlink()
        renamed = path.with_name(path.name.lower())
        renamed.write_bytes(("\ufeff" + text.replace("\n", "\r\n")).encode())
    found = index(name, nested.parent, tmp_path / "m.csv").drop(columns="path")
    pd.testing.assert_frame_equal(found, expected)


def test_lvh_a_video_in_two_splits_is_refused(copy, tmp_path):
    root = copy("echonet_lvh")
    path = root / "MeasurementsList.csv"
    table = pd.read_csv(path, index_col=0)
    table.loc[0, "split"] = "test"
    table.to_csv(path)
    with pytest.raises(UserError, match=r"row 3: 0X.* is in split train, above in test; correct it"):
        index("echonet_lvh", root, tmp_path / "m.csv")


def test_lvh_several_values_are_averaged_and_other_calculations_named(copy, tmp_path):
    root = copy("echonet_lvh")
    path = root / "MeasurementsList.csv"
    table = pd.read_csv(path, index_col=0)
    again = table.iloc[[0]].assign(CalcValue=table["CalcValue"][0] + 0.2)
    strange = table.iloc[[0]].assign(Calc="LVOT", CalcValue=2.0)
    millimetres = table.iloc[[1]].assign(CalcValue=48.0)
    pd.concat([table, again, strange, millimetres], ignore_index=True).to_csv(path)
    found = index("echonet_lvh", root, tmp_path / "m.csv").set_index("patient_id")
    own = found.loc[table["HashedFileName"][0]]
    assert own["ivsd_cm"] == pytest.approx(table["CalcValue"][0] + 0.1)
    assert own["lvidd_cm"] == pytest.approx(table["CalcValue"][1])
    assert "lvot_cm" not in found
    note = index("echonet_lvh", root, tmp_path / "m.csv").attrs["note"]
    assert "calculations that are not taken: LVOT" in note
    assert "CalcValue not assessed because no number above 0 and up to 15: 1 (first: 48.0)" in note


def test_pediatric_names_and_folds_that_cannot_be(copy, tmp_path):
    root = copy("echonet_pediatric")
    path = root / TABLES["echonet_pediatric"][0]
    table = pd.read_csv(path)
    table.assign(Split=table["Split"].astype(float)).to_csv(path, index=False)
    index("echonet_pediatric", root, tmp_path / "m.csv")
    table.assign(Split=12).to_csv(path, index=False)
    with pytest.raises(UserError, match=r"row 2: Split is '12', expected a fold from 0 to 9"):
        index("echonet_pediatric", root, tmp_path / "m.csv")
    (path.parent / "Videos" / table["FileName"][0]).rename(path.parent / "Videos" / "child.avi")
    table.assign(FileName=["child.avi", *table["FileName"][1:]]).to_csv(path, index=False)
    with pytest.raises(UserError, match="the file 'child' is not named PATIENT-STUDY-NUMBER"):
        index("echonet_pediatric", root, tmp_path / "m.csv")
