import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from layout_camus import SPACING_MM, build_camus, build_camus_first, ejection_fraction
from phantom_frames import grey_frames

from echossl.config.sources import CamusSource
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.sources.camus import index_camus
from echossl.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def root(phantom_videos, tmp_path_factory) -> Path:
    return build_camus(phantom_videos, tmp_path_factory.mktemp("camus"))


@pytest.fixture(scope="module")
def first_root(phantom_videos, tmp_path_factory) -> Path:
    return build_camus_first(phantom_videos, tmp_path_factory.mktemp("camus_first"))


@pytest.fixture
def copy(root, tmp_path) -> Path:
    return shutil.copytree(root, tmp_path / "copy")


def info(path: str, view: str) -> dict[str, str]:
    text = Path(path).with_name(f"Info_{view}.cfg").read_text()
    return dict(re.findall(r"^(\w+): (.*)$", text, re.MULTILINE))


def test_a_row_for_each_view_of_each_patient(root):
    found = index_camus(root, CamusSource())
    sequences = sorted(str(path) for path in root.rglob("*_half_sequence.nii.gz"))
    assert sorted(found["path"]) == sequences
    assert len(found) == 16
    for row in found.itertuples():
        patient, view = re.search(r"(patient\d+)_(\dCH)", Path(row.path).name).groups()
        assert row.patient_id == row.study_id == patient == Path(row.path).parent.name
        assert row.view == {"2CH": "a2c", "4CH": "a4c"}[view]
    assert found["patient_id"].tolist() == sorted(found["patient_id"])


def test_what_the_info_files_say(root):
    found = index_camus(root, CamusSource())
    for row in found.itertuples():
        said = info(row.path, "2CH" if row.view == "a2c" else "4CH")
        assert row.fps == float(said["FrameRate"])
        assert row.ef == float(said["EF"]) == pytest.approx(ejection_fraction(int(row.patient_id[7:]) - 1))
        assert (row.ef_below_50, row.ef_below_40) == (float(row.ef < 50), float(row.ef < 40))
        assert (row.age_years, row.sex) == (float(said["Age"]), said["Sex"])
        assert row.image_quality == said["ImageQuality"].lower()
        # the file counts from 1, frames are counted from 0
        frames = nibabel.load(row.path).shape[2]
        assert (row.ed_frame, row.es_frame) == (0, frames - 1)
    assert not found.attrs["note"]


@pytest.mark.parametrize("place", ["", "database_nifti"])
def test_the_lists_of_splits_are_found_in_the_root_or_beside_it(root, place):
    found = index_camus(root / place, CamusSource())
    for kind, split in (("training", "train"), ("validation", "val"), ("testing", "test")):
        listed = (root / "database_split" / f"subgroup_{kind}.txt").read_text().split()
        assert set(found.loc[found["split"] == split, "patient_id"]) == set(listed)


def test_patients_that_no_list_names_are_in_no_split_that_is_used(copy):
    (copy / "database_split" / "subgroup_validation.txt").unlink()
    found = index_camus(copy, CamusSource())
    assert set(found["split"]) == {"train", "test", "unlisted"}
    assert "patients that no list of a split names: 1 (first: patient0004)" in found.attrs["note"]


def test_a_patient_in_two_lists_is_refused(copy):
    with (copy / "database_split" / "subgroup_testing.txt").open("a") as file:
        file.write("patient0001\n")
    with pytest.raises(UserError, match=r"patient0001 is listed as"):
        index_camus(copy, CamusSource())


def test_without_lists_there_is_no_split(copy):
    shutil.rmtree(copy / "database_split")
    assert "split" not in index_camus(copy, CamusSource())


def test_one_view(root):
    found = index_camus(root, CamusSource(views=("4CH",)))
    assert set(found["view"]) == {"a4c"}
    assert len(found) == 8


def test_stills_where_the_sequence_is_not_there_and_never_a_mask(copy):
    for path in copy.rglob("patient0002_*_half_sequence.nii.gz"):
        path.unlink()
    found = index_camus(copy, CamusSource())
    own = found[found["patient_id"] == "patient0002"]
    assert [Path(path).name for path in own["path"]] == [
        f"patient0002_{view}_{what}.nii.gz" for view in ("2CH", "4CH") for what in ("ED", "ES")
    ]
    assert own["phase"].tolist() == ["ed", "es", "ed", "es"]
    assert own["ed_frame"].isna().all()
    assert (found.loc[found["patient_id"] != "patient0002", "phase"] == "").all()
    assert not found["path"].str.contains("_gt").any()
    assert "since their sequence is not there: 4" in found.attrs["note"]


def test_info_files_that_are_lost_or_odd(copy):
    folder = copy / "database_nifti"
    (folder / "patient0001" / "Info_2CH.cfg").unlink()
    (folder / "patient0002" / "Info_2CH.cfg").write_text("EF: 0.56\nFrameRate: 0\nAge: old\nno pair\n: \n")
    found = index_camus(copy, CamusSource(views=("2CH",))).set_index("patient_id")
    both = ["patient0001", "patient0002"]
    assert found.loc[both, ["fps", "ef", "ef_below_50", "age_years", "es_frame"]].isna().all(axis=None)
    assert (
        found.loc["patient0003":, ["fps", "ef", "ef_below_50", "age_years", "es_frame"]]
        .notna()
        .all(axis=None)
    )
    note = index_camus(copy, CamusSource(views=("2CH",))).attrs["note"]
    assert "without a FrameRate in an Info file, give it with fps=NUMBER: 2" in note
    assert "ef not assessed because no number above 1 and up to 100: 1 (first: 0.56)" in note
    assert "age_years not assessed because no number above 0 and up to 130: 1 (first: old)" in note
    assert "Info_2CH.cfg" in note


def test_the_first_distribution(first_root):
    found = index_camus(first_root, CamusSource())
    assert len(found) == 16
    assert all(path.endswith("_sequence.mhd") for path in found["path"])
    assert found["patient_id"].nunique() == 8
    # both halves have a patient0001
    assert {"training_patient0001", "testing_patient0001"} <= set(found["patient_id"])
    assert (
        found["split"]
        == found["patient_id"].str.split("_").str[0].map({"training": "train", "testing": "test"})
    ).all()
    assert found["ef"].notna().all()
    assert "fps" not in found
    assert "without a FrameRate in an Info file, give it with fps=NUMBER: 16" in found.attrs["note"]


def test_a_frame_rate_for_the_sequences_that_state_none(first_root, copy):
    found = index_camus(first_root, CamusSource(fps=50))
    assert (found["fps"] == 50).all()
    assert not found.attrs["note"]
    stated = index_camus(copy, CamusSource())
    (copy / "database_nifti" / "patient0002" / "Info_2CH.cfg").unlink()
    for path in copy.rglob("patient0003_*_half_sequence.nii.gz"):
        path.unlink()
    found = index_camus(copy, CamusSource(fps=50)).set_index(["patient_id", "view"])
    assert found.loc[("patient0002", "a2c"), "fps"] == 50
    # a still takes what is stated and needs nothing else
    rest = found.drop([("patient0002", "a2c"), ("patient0003", "a2c"), ("patient0003", "a4c")])["fps"]
    assert rest.isin(stated["fps"]).all()


def test_half_of_the_first_distribution_has_no_splits(first_root):
    found = index_camus(first_root / "training", CamusSource())
    assert "split" not in found
    assert found["patient_id"].str.startswith("training_").all()


def test_both_distributions_in_one_folder_are_the_same_patients(copy, first_root):
    shutil.copytree(first_root / "training", copy / "training")
    found = index_camus(copy, CamusSource())
    assert len(found) == 16
    assert found["path"].str.endswith(".nii.gz").all()
    assert "the same patients in another form, left out" in found.attrs["note"]


def test_the_manifest_reads(root, tmp_path):
    write_manifest(index_camus(root, CamusSource()), tmp_path / "manifest.csv")
    table = read_manifest(tmp_path / "manifest.csv", binary_columns=["ef_below_50", "ef_below_40"])
    assert set(table["ef_below_50"]) == {0, 1}


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        index_camus(tmp_path / "gone", CamusSource())
    (tmp_path / "patient0001_4CH_ED_gt.nii.gz").touch()
    with pytest.raises(UserError, match="found no file such as patient0001_4CH_half_sequence"):
        index_camus(tmp_path, CamusSource())


def test_the_layout_has_the_axes_and_the_spacing_of_the_real_files(root, phantom_videos):
    volume = nibabel.load(root / "database_nifti/patient0001/patient0001_4CH_half_sequence.nii.gz")
    frames, _ = grey_frames(phantom_videos["path"][0])
    assert volume.shape[:2] == (frames.shape[2], 2 * frames.shape[1])
    assert np.allclose(volume.header.get_zooms()[:2], (SPACING_MM, SPACING_MM / 2))
    assert np.array_equal(np.asarray(volume.dataobj)[:, ::2, 0].T, frames[0])


@pytest.mark.skipif(not (SHARED / "camus_a4c" / "nii").is_dir(), reason="the real files are not there")
def test_real_stills_without_info_files():
    found = index_camus(SHARED / "camus_a4c" / "nii", CamusSource())
    assert len(found) == 24
    assert found["patient_id"].nunique() == 12
    assert found["phase"].value_counts().to_dict() == {"ed": 12, "es": 12}
    assert found.columns.tolist() == ["path", "patient_id", "study_id", "view", "source", "phase"]
    volume = nibabel.load(found["path"][0])
    assert volume.ndim == 2
    assert volume.affine[0, 0] < 0
