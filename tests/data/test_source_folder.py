from pathlib import Path

import pytest

from echossl.config.sources import FolderSource
from echossl.data import read_manifest
from echossl.data.sources import index_source
from echossl.data.sources.folder import index_folder
from echossl.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names_of(table, root: Path) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in table["path"]]


def test_trap_10_videos_come_in_natural_order(tmp_path):
    make(tmp_path, *(f"p{number}/image_{video}.avi" for number in (10, 9, 1) for video in (10, 5, 1)))
    expected = [f"p{number}/image_{video}.avi" for number in (1, 9, 10) for video in (1, 5, 10)]
    assert names_of(index_folder(tmp_path, FolderSource()), tmp_path) == expected


def test_the_first_folder_is_the_patient_and_deeper_ones_are_studies(tmp_path):
    make(tmp_path, "p1/a.avi", "p1/s1/a.avi", "p1/s1/b", "p1/s2/dicom/IM0001", "p2/s1/a.MP4")
    table = index_folder(tmp_path, FolderSource())
    assert table["patient_id"].tolist() == ["p1", "p1", "p1", "p1", "p2"]
    assert table["study_id"].tolist() == ["p1", "p1/s1", "p1/s1", "p1/s2/dicom", "p2/s1"]
    assert table.attrs["note"] == "the first folder is taken as the patient"


def test_files_in_no_folder_are_patients_of_their_own(tmp_path):
    table = index_folder(make(tmp_path, "0X1A.avi", "0X2B.avi"), FolderSource())
    assert table["patient_id"].tolist() == ["0X1A", "0X2B"]
    assert table["study_id"].tolist() == ["0X1A", "0X2B"]
    assert "2 files lie in no folder: each is taken as a patient of its own" in table.attrs["note"]


def test_patient_from_a_pattern(tmp_path):
    make(tmp_path, "A4C/CR1-S1-0001.avi", "PSAX/CR1-S1-0002.avi", "PSAX/CR2-S1-0001.avi")
    table = index_folder(tmp_path, FolderSource(patient_pattern=r"([^/]+)-[^-]+-\d+\.avi$"))
    assert table["patient_id"].tolist() == ["CR1", "CR1", "CR2"]
    assert table["study_id"].tolist() == ["CR1/A4C", "CR1/PSAX", "CR2/PSAX"]


def test_what_is_no_video_is_left_out_and_said(tmp_path):
    make(tmp_path, "p1/a.avi", "p1/.hidden.avi", ".cache/b.avi", "FileList.csv", "p1/a.json", "p1/b.JSON")
    make(tmp_path, "p1/still.png", "README", "DICOMDIR", "p2/frames.tar.gz", "notes.txt")
    table = index_folder(tmp_path, FolderSource())
    assert names_of(table, tmp_path) == ["p1/a.avi"]
    expected = "left out: 2 without suffix, 1 .csv, 1 .gz, 2 .json, 1 .png, 1 .txt"
    assert table.attrs["note"].endswith(expected)


def test_linked_folders_are_followed_once(tmp_path):
    elsewhere = make(tmp_path / "disk", "p7/a.avi")
    root = make(tmp_path / "root", "p1/a.avi")
    (root / "p7").symlink_to(elsewhere / "p7")
    (root / "p7" / "up").symlink_to(root)
    assert names_of(index_folder(root, FolderSource()), root) == ["p1/a.avi", "p7/a.avi"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("(", "no regular expression"), ("p1", "has no group"), (r"p(\d)", "finds no patient in 1 of 2 paths")],
)
def test_patterns_that_cannot_be(tmp_path, pattern, words):
    make(tmp_path, "p1/a.avi", "q/a.avi")
    with pytest.raises(UserError, match=words):
        index_folder(tmp_path, FolderSource(patient_pattern=pattern))


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        index_folder(tmp_path / "gone", FolderSource())
    with pytest.raises(UserError, match="found 1 files, none of which can be a video"):
        index_folder(make(tmp_path, "a.txt"), FolderSource())


def test_index_writes_a_manifest_that_reads(tmp_path):
    make(tmp_path, *(f"p{number}/{video}.avi" for number in range(10) for video in range(2)))
    out = tmp_path / "manifest.csv"
    table = index_source("folder", tmp_path, out=out, split_shares={"train": 0.8, "test": 0.2}, seed=1)
    again = read_manifest(out)
    assert again["path"].tolist() == table["path"].tolist()
    assert (again["split"] == "test").sum() == 4
    assert out.read_text().splitlines()[1].startswith("p0/0.avi,p0,p0,")


def test_volumes_are_videos_and_the_pixels_beside_them_are_not(tmp_path):
    make(
        tmp_path,
        "p1/a.nii.gz",
        "p1/b.nii",
        "p1/c.mhd",
        "p1/C.raw",
        "p1/d.mha",
        "p1/e.raw",
        "p1/f.mhd",
        "p1/f.zraw",
    )
    table = index_folder(tmp_path, FolderSource())
    expected = ["p1/a.nii.gz", "p1/b.nii", "p1/c.mhd", "p1/d.mha", "p1/e.raw", "p1/f.mhd"]
    assert names_of(table, tmp_path) == expected
    assert table.attrs["note"].endswith("left out: 1 .raw, 1 .zraw")


def test_folders_of_pictures_are_videos_in_natural_order(tmp_path):
    pictures = [f"p{patient}/clip_{clip}/{n}.JPG" for patient in (1, 2) for clip in (10, 9) for n in range(3)]
    make(tmp_path, *pictures, "p1/clip_2.avi", "p1/clip_9/info.txt")
    table = index_folder(tmp_path, FolderSource(frame_folders=True, fps=25))
    expected = ["p1/clip_2.avi", "p1/clip_9", "p1/clip_10", "p2/clip_9", "p2/clip_10"]
    assert names_of(table, tmp_path) == expected
    assert table["patient_id"].tolist() == ["p1", "p1", "p1", "p2", "p2"]
    assert table["study_id"].tolist() == table["patient_id"].tolist()
    assert (table["fps"] == 25).all()
    assert "4 folders of pictures are taken as videos; left out: 1 .txt" in table.attrs["note"]


def test_the_root_itself_can_be_a_video(tmp_path):
    root = make(tmp_path / "clip", "1.png", "2.png", "more.a/1.png")
    table = index_folder(root, FolderSource(frame_folders=True))
    assert table["path"].tolist() == [str(root), str(root / "more.a")]
    assert table["patient_id"].tolist() == ["clip", "more"]


def test_single_pictures_are_taken_only_where_there_is_nothing_else(tmp_path):
    make(tmp_path, "p1/2.png", "p1/10.png", "p2/1.bmp", "notes.txt")
    table = index_folder(tmp_path, FolderSource())
    assert names_of(table, tmp_path) == ["p1/2.png", "p1/10.png", "p2/1.bmp"]
    assert "frame_folders=true joins those of a folder" in table.attrs["note"]
    make(tmp_path, "p2/a.avi")
    table = index_folder(tmp_path, FolderSource())
    assert names_of(table, tmp_path) == ["p2/a.avi"]
    assert table.attrs["note"].endswith("left out: 1 .bmp, 2 .png, 1 .txt")


def test_names_that_are_uids_stay_whole(tmp_path):
    make(tmp_path, "1.2.840.1", "1.2.840.2", "a.nii.gz", "b.tar.avi")
    table = index_folder(tmp_path, FolderSource())
    assert table["patient_id"].tolist() == ["1.2.840.1", "1.2.840.2", "a", "b.tar"]


@pytest.mark.skipif(not (SHARED / "pocus_lung").is_dir(), reason="the real files are not there")
def test_real_folder():
    table = index_folder(SHARED / "pocus_lung", FolderSource())
    assert len(table) == 71
    assert not table["path"].str.endswith((".csv", ".md")).any()


@pytest.mark.skipif(not (SHARED / "frame_folders").is_dir(), reason="the real files are not there")
def test_real_folders_of_frames():
    table = index_folder(SHARED / "frame_folders", FolderSource(frame_folders=True, fps=30))
    assert len(table) == table["patient_id"].nunique() == 22
    assert all(Path(path).is_dir() for path in table["path"])
