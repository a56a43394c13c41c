import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from layout_tmed2 import SIDE, build_tmed2
from PIL import Image

from echossl.config.sources import Tmed2Source
from echossl.data.labels import encode_labels
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.sources.tmed2 import index_tmed2
from echossl.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
THREE = {"no_AS": "none", "mild_AS": "early", "mildtomod_AS": "early"} | dict.fromkeys(
    ("moderate_AS", "severe_AS"), "significant"
)


@pytest.fixture(scope="module")
def root(phantom_videos, tmp_path_factory) -> Path:
    return build_tmed2(phantom_videos, tmp_path_factory.mktemp("tmed2"))


@pytest.fixture
def copy(root, tmp_path) -> Path:
    """A copy whose tables may be changed."""
    return shutil.copytree(root, tmp_path / "copy")


def published(root: Path, part: str, fold: int = 0) -> pd.DataFrame:
    path = root / "approved_users_only" / "DEV479" / f"TMED2_fold{fold}_{part}part.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_every_row_is_what_the_tables_say(root):
    found = index_tmed2(root, Tmed2Source()).set_index("path")
    tables = pd.concat([published(root, "labeled"), published(root, "unlabeled")])
    pictures = {str(path) for path in root.rglob("*.png")}
    assert len(pictures) == len(tables)
    for row in tables.itertuples():
        path = str(root / "approved_users_only" / row.SourceFolder / row.query_key)
        assert path in pictures
        if path not in found.index:
            continue
        mine = found.loc[path]
        patient, study, _ = re.split("s|_", row.query_key)
        assert (mine["patient_id"], mine["study_id"]) == (patient, f"{patient}s{study}")
        expected = {"A4CorA2CorOther": "other", "Not_Provided": ""}
        assert mine["view"] == expected.get(row.view_label, row.view_label.lower())
        if row.diagnosis_label == "Not_Provided":
            assert found.loc[path, ["tmed_3class", "tmed_5class", "tmed_binary"]].isna().all()
        else:
            assert mine["tmed_3class"] == THREE[row.diagnosis_label]
            assert mine["tmed_binary"] == float(row.diagnosis_label != "no_AS")


def test_trap_08_pictures_are_rows_of_their_own_and_never_a_video(root):
    found = index_tmed2(root, Tmed2Source())
    assert all(Path(path).is_file() for path in found["path"])
    assert found["path"].is_unique
    several = found.groupby("study_id")["view"].nunique()
    assert (several > 1).any()
    with Image.open(found["path"][0]) as picture:
        assert (picture.size, picture.mode) == ((SIDE, SIDE), "L")


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_trap_11_no_patient_is_in_two_splits(root, fold):
    found = index_tmed2(root, Tmed2Source(fold=fold))
    assert found.groupby("patient_id")["split"].nunique().max() == 1
    assert set(found["split"]) <= {"train", "val", "test"}


def test_a_patient_in_two_published_splits_stays_in_the_stricter_one(root):
    found = index_tmed2(root, Tmed2Source())
    labelled = published(root, "labeled")
    own = labelled[labelled["query_key"].str.startswith("1s")]
    assert set(own["diagnosis_classifier_split"]) == {"train", "test"}
    in_train = set(own.loc[own["diagnosis_classifier_split"] == "train", "query_key"])
    assert (found.loc[found["patient_id"] == "1", "split"] == "test").all()
    names = found["path"].map(lambda path: Path(path).name)
    assert not set(names) & in_train
    assert f"stricter split too, left out: {len(in_train)}" in found.attrs["note"]
    # what is left of each published split is in it still
    assessed = found["tmed_3class"].notna()
    mine = dict(zip(names[assessed], found["split"][assessed], strict=True))
    theirs = dict(zip(labelled["query_key"], labelled["diagnosis_classifier_split"], strict=True))
    assert mine == {key: split for key, split in theirs.items() if key in mine}
    assert {key for key, split in theirs.items() if split == "test"} <= set(mine)


def test_patients_without_a_diagnosis_follow_their_view_split_or_train(root):
    found = index_tmed2(root, Tmed2Source())
    by_patient = found.groupby("patient_id")["split"].first()
    by_view = published(root, "labeled").query("diagnosis_label == 'Not_Provided'")
    patients = by_view["query_key"].str.split("s").str[0]
    assert by_patient[patients].tolist() == by_view["view_classifier_split"].tolist()
    assert by_patient["4"] == "train"


def test_the_unlabelled_can_stay_away(root):
    found = index_tmed2(root, Tmed2Source(unlabelled=False))
    assert found["tmed_3class"].notna().all()
    with_diagnosis = published(root, "labeled").query("diagnosis_label != 'Not_Provided'")
    assert len(found) < len(with_diagnosis) + 1


def test_the_manifest_is_read_with_its_labels(root, tmp_path):
    found = index_tmed2(root, Tmed2Source())
    write_manifest(found, tmp_path / "manifest.csv")
    table = read_manifest(tmp_path / "manifest.csv")
    codes = encode_labels(table, "tmed_3class")
    order = {"none": 0, "early": 1, "significant": 2}
    expected = [order.get(name, -1) for name in found["tmed_3class"].fillna("")]
    assert codes.tolist() == expected
    assert np.unique(codes).tolist() == [-1, 0, 1, 2]


def test_trap_15_no_diagnosis_is_an_empty_cell_and_no_negative(root, tmp_path):
    write_manifest(index_tmed2(root, Tmed2Source()), tmp_path / "manifest.csv")
    cells = pd.read_csv(tmp_path / "manifest.csv", dtype=str, keep_default_na=False)
    tables = pd.concat([published(root, "labeled"), published(root, "unlabeled")])
    without = set(tables.loc[tables["diagnosis_label"] == "Not_Provided", "query_key"])
    is_without = cells["path"].map(lambda path: Path(path).name in without)
    assert 0 < is_without.sum() < len(cells)
    for name in ("tmed_3class", "tmed_5class", "tmed_binary"):
        assert (cells.loc[is_without, name] == "").all()
        assert (cells.loc[~is_without, name] != "").all()


def test_the_inner_folder_other_case_and_doubled_folders_are_found(copy):
    before = index_tmed2(copy, Tmed2Source())
    base = copy / "approved_users_only"
    (base / "view_labeled_set").rename(base / "View_Labeled_Set")
    folder = base / "unlabeled_set" / "unlabeled_set"
    folder.rename(base / "moved")
    folder.mkdir()
    (base / "moved").rename(folder / "unlabeled_set")
    after = index_tmed2(base, Tmed2Source())
    for name in ("patient_id", "split", "view"):
        assert after[name].tolist() == before[name].tolist()
    assert [Path(path).name for path in after["path"]] == [Path(path).name for path in before["path"]]


def test_pictures_that_are_lost_or_listed_nowhere_are_counted(copy):
    before = index_tmed2(copy, Tmed2Source())
    Path(before["path"][0]).unlink()
    (copy / "approved_users_only" / "view_labeled_set" / "labeled" / "999s1_0.png").touch()
    after = index_tmed2(copy, Tmed2Source())
    assert len(after) == len(before) - 1
    assert "listed pictures not there and left out: 1" in after.attrs["note"]
    assert "pictures that no table lists, left out: 1 (first: " in after.attrs["note"]


def test_without_the_table_of_the_unlabelled(copy):
    for path in copy.rglob("*_unlabeledpart.csv"):
        path.unlink()
    found = index_tmed2(copy, Tmed2Source())
    assert len(found) < len(published(copy, "labeled")) + 1
    assert "no table of unlabelled pictures is there" in found.attrs["note"]


def test_what_is_not_there_is_said(copy, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        index_tmed2(tmp_path / "gone", Tmed2Source())
    with pytest.raises(
        UserError, match=r"no DEV56/TMED2_fold0_labeledpart\.csv .*found it in DEV165, DEV479"
    ):
        index_tmed2(copy, Tmed2Source(subset="DEV56"))
    table = copy / "approved_users_only" / "DEV479" / "TMED2_fold0_labeledpart.csv"
    text = table.read_text()
    table.write_text(text.replace("query_key", "key"))
    with pytest.raises(UserError, match="the column 'query_key' is missing; found key, view_label"):
        index_tmed2(copy, Tmed2Source())
    table.write_text(text.replace("0s1_0.png", "picture.png"))
    with pytest.raises(
        UserError, match=r"row \d+: query_key is .*picture.png.* expected one like 4860s1_0.png"
    ):
        index_tmed2(copy, Tmed2Source())
    table.write_text(text.replace("severe_AS", "critical_AS"))
    with pytest.raises(UserError, match=r"labeledpart\.csv: diagnosis_label: row \d+: found 'critical_AS'"):
        index_tmed2(copy, Tmed2Source())
    table.write_text(text)
    for path in copy.rglob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match=r"none of the \d+ listed pictures is there"):
        index_tmed2(copy, Tmed2Source())


@pytest.mark.skipif(not (SHARED / "tmed2").is_dir(), reason="the real file is not there")
def test_a_real_picture_has_the_size_and_name_of_the_layout(tmp_path):
    real = SHARED / "tmed2" / "5269s1_0.png"
    with Image.open(real) as picture:
        assert (picture.size, picture.mode) == ((SIDE, SIDE), "L")
    folder = tmp_path / "view_and_diagnosis_labeled_set" / "labeled"
    folder.mkdir(parents=True)
    (folder / real.name).symlink_to(real)
    (tmp_path / "DEV479").mkdir()
    (tmp_path / "DEV479" / "TMED2_fold0_labeledpart.csv").write_text(
        "query_key,view_label,diagnosis_label,SourceFolder,view_classifier_split,diagnosis_classifier_split\n"
        "5269s1_0.png,PLAX,severe_AS,view_and_diagnosis_labeled_set/labeled,train,val\n"
    )
    found = index_tmed2(tmp_path, Tmed2Source())
    expected = ["5269", "5269s1", "plax", "tmed2", "val", "significant", "severe", 1.0]
    assert found.drop(columns="path").iloc[0].tolist() == expected
