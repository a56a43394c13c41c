"""A tree of DICOM files as a manifest: found by content, ids hashed, nothing of the patient anywhere."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pydicom = pytest.importorskip("pydicom")
from pydicom import uid  # noqa: E402
from pydicom.dataset import Dataset  # noqa: E402
from source_dicom_files import expected_id, write  # noqa: E402

from echossl.config.sources import DicomSource  # noqa: E402
from echossl.data.manifest import read_manifest, write_manifest  # noqa: E402
from echossl.data.sources import index_source  # noqa: E402
from echossl.data.sources.dicom import index_dicom  # noqa: E402
from echossl.errors import UserError  # noqa: E402
from echossl.video import open_video  # noqa: E402

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"


def code(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "399214001", "SCT", meaning
    return item


@pytest.fixture
def settings(tmp_path: Path) -> DicomSource:
    return DicomSource(salt_file=tmp_path / "secrets" / "salt.txt")


def names_of(table: pd.DataFrame, root: Path) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in table["path"]]


def test_the_same_patient_in_two_folders_is_one(tmp_path: Path, settings: DicomSource) -> None:
    root = tmp_path / "tree"
    write(root / "a" / "IM_0010", StudyInstanceUID="1.2.3")
    write(root / "a" / "IM_0002", StudyInstanceUID="1.2.3")
    write(root / "b" / "x.avi", StudyInstanceUID="1.2.4", PatientID="SECRETID ")
    write(root / "b" / "y.dcm", StudyInstanceUID="1.2.5", PatientID="OTHER")
    table = index_dicom(root, settings)
    assert names_of(table, root) == ["a/IM_0002", "a/IM_0010", "b/x.avi", "b/y.dcm"]
    salt = settings.salt_file.read_text().strip()
    assert table["patient_id"].tolist() == [expected_id(p, salt) for p in ("SECRETID",) * 3 + ("OTHER",)]
    assert table["study_id"].tolist() == [expected_id(f"1.2.{n}", salt) for n in (3, 3, 4, 5)]
    assert (table["source"] == "dicom").all()
    assert "fps" not in table
    assert "num_frames" not in table
    with open_video(table["path"][0]) as reader:
        assert (reader.num_frames, reader.fps) == (2, 25)


def test_what_is_no_ultrasound_is_left_out_and_counted(tmp_path: Path, settings: DicomSource) -> None:
    root = tmp_path / "tree"
    write(root / "good.dcm")
    write(root / "inside the vessel", Modality="IVUS")
    write(root / "deflated", syntax=uid.DeflatedExplicitVRLittleEndian)
    write(root / "big", syntax=uid.ExplicitVRBigEndian)
    write(root / ".hidden.dcm")
    write(root / ".cache" / "a.dcm")
    write(root / "report.dcm", frames=0, Modality="SR")
    write(root / "ct.dcm", Modality="CT")
    write(root / "mr.dcm", Modality="MR")
    write(root / "mr2.dcm", Modality="MR")
    write(root / "none.dcm", Modality=None)
    write(root / "strange.dcm", Modality="SECRETNAME")
    write(root / "name.dcm", Modality="SECRET")
    (root / "notes.txt").write_text("SECRETNAME")
    (root / "empty.dcm").touch()
    damaged = write(root / "damaged.dcm").read_bytes()
    (root / "damaged.dcm").write_bytes(damaged[:140] + b"\xff" * 400)
    table = index_dicom(root, settings)
    assert names_of(table, root) == ["big", "deflated", "good.dcm", "inside the vessel"]
    note = table.attrs["note"]
    for words in (
        "2 not DICOM",
        "1 of modality CT, 2 of modality MR",
        "3 of no modality",
        "without pictures",
    ):
        assert words in note
    assert "SECRET" not in note
    assert note.count("SR") == 0


def test_linked_folders_are_followed_once(tmp_path: Path, settings: DicomSource) -> None:
    write(tmp_path / "disk" / "p7" / "a.dcm")
    root = tmp_path / "root"
    write(root / "p1" / "a.dcm")
    (root / "p7").symlink_to(tmp_path / "disk" / "p7")
    (root / "p7" / "up").symlink_to(root)
    assert names_of(index_dicom(root, settings), root) == ["p1/a.dcm", "p7/a.dcm"]


def test_trap_11_files_without_ids_never_split_a_study(tmp_path: Path, settings: DicomSource) -> None:
    root = tmp_path / "tree"
    write(root / "a" / "1", PatientID="", StudyInstanceUID="1.2.3")
    write(root / "b" / "1", PatientID=None, StudyInstanceUID="1.2.3")
    write(root / "c" / "1", PatientID="  ", StudyInstanceUID=None)
    write(root / "c" / "2", PatientID=None, StudyInstanceUID="")
    write(root / "d" / "1", PatientID="", StudyInstanceUID=None)
    # a study of which one file names the patient
    write(root / "e" / "1", PatientID="P", StudyInstanceUID="1.2.4")
    write(root / "f" / "1", PatientID="", StudyInstanceUID="1.2.4")
    table = index_dicom(root, settings)
    for column in ("patient_id", "study_id"):
        ids = table[column].tolist()
        assert [ids.index(value) for value in ids] == [0, 0, 2, 2, 4, 5, 5]
    note = table.attrs["note"]
    assert "6 files name no patient: the study, or else the folder, is taken as the patient" in note
    assert "3 files name no study: the folder is taken as the study" in note


def test_a_study_never_holds_two_patients(tmp_path: Path, settings: DicomSource) -> None:
    """Some exports give all studies one number, some folders hold many patients."""
    root = tmp_path / "tree"
    for number, (patient, study) in enumerate(
        [("A", "1.2"), ("B", "1.2"), ("A", None), ("B", ""), ("A", "1.2")]
    ):
        write(root / f"{number}.dcm", PatientID=patient, StudyInstanceUID=study)
    table = index_dicom(root, settings)
    assert table.groupby("study_id")["patient_id"].nunique().max() == 1
    studies = table["study_id"].tolist()
    assert [studies.index(study) for study in studies] == [0, 1, 2, 3, 0]
    assert "1 studies name several patients and are taken as one for each" in table.attrs["note"]
    write_manifest(table, tmp_path / "manifest.csv")
    assert len(read_manifest(tmp_path / "manifest.csv")) == 5


def test_one_blanked_id_for_everybody_is_said(tmp_path: Path, settings: DicomSource) -> None:
    for study in range(3):
        write(tmp_path / "tree" / f"{study}.dcm", PatientID="ANONYMOUS", StudyInstanceUID=f"1.2.{study + 1}")
    note = index_dicom(tmp_path / "tree", settings).attrs["note"]
    assert "all 3 studies name the same patient: if an export blanked the ids, use the source folder" in note
    assert "ANONYMOUS" not in note


@pytest.mark.parametrize(
    ("meaning", "view"),
    [
        ("Parasternal long axis", "plax"),
        ("Parasternal long axis view", "plax"),
        ("Parasternal long axis view of the RV inflow tract", "rv_inflow"),
        ("Right Ventricular Outflow Tract View", "rv_outflow"),
        ("Suprasternal long axis view of aortic arch", "suprasternal"),
        ("Subcostal short axis view at mitral valve level", "subcostal"),
        ("Transesophageal short axis view", "other"),
        ("DOE^JOHN 4711 PLAX", "other"),
        ("Parasternal long axis DOE^JOHN", "other"),
        ("Parasternal short axis at DOE^JOHN", "psax"),
        ("\u00c4\u00d6", "other"),
        ("Parasternal short axis", "psax"),
        ("Parasternal short axis at the aortic valve level", "psax"),
        ("Apical two chamber", "a2c"),
        ("Apical 4-chamber view", "a4c"),
        ("APICAL FOUR CHAMBER", "a4c"),
        ("Apical long axis", "a3c"),
        ("Apical five chamber", "a5c"),
        ("Subcostal", "subcostal"),
        ("", ""),
    ],
)
def test_views_come_from_their_code(tmp_path: Path, settings: DicomSource, meaning: str, view: str) -> None:
    write(tmp_path / "tree" / "a.dcm", ViewCodeSequence=[code(meaning)])
    write(tmp_path / "tree" / "b.dcm", ViewCodeSequence=[])
    assert index_dicom(tmp_path / "tree", settings)["view"].tolist() == [view, ""]


def test_nothing_of_the_patient_is_written(
    tmp_path: Path, settings: DicomSource, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "tree"
    for number in range(4):
        write(root / f"{number}.dcm", PatientID=f"SECRETID{number}")
    table = index_dicom(root, settings)
    write_manifest(table, tmp_path / "out" / "manifest.csv")
    written = [*tmp_path.glob("out/*"), settings.salt_file]
    assert len(written) == 2
    texts = [path.read_text() for path in written] + ["".join(capfd.readouterr()), str(table.attrs)]
    texts.append(pickle.dumps(table).decode("latin-1"))
    for text in texts:
        for secret in ("SECRET", "19480229", "20110317", "987654321"):
            assert secret not in text
    assert read_manifest(tmp_path / "out" / "manifest.csv")["patient_id"].nunique() == 4


def test_nothing_to_index(tmp_path: Path, settings: DicomSource) -> None:
    with pytest.raises(UserError, match="no such folder"):
        index_dicom(tmp_path / "gone", settings)
    (tmp_path / "tree").mkdir()
    with pytest.raises(UserError, match=r"found 0 files, none of them ultrasound in DICOM \(empty\)"):
        index_dicom(tmp_path / "tree", settings)
    (tmp_path / "tree" / "a.txt").write_text("a")
    with pytest.raises(UserError, match=r"found 1 files, none of them ultrasound in DICOM \(1 not DICOM\)"):
        index_dicom(tmp_path / "tree", settings)


def test_as_a_command(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "p1" / "a.dcm")
    write(tmp_path / "tree" / "p1" / "b.dcm")
    options = [f"salt_file={tmp_path / 'salt.txt'}"]
    index_source("dicom", tmp_path / "tree", out=tmp_path / "manifest.csv", options=options)
    table = read_manifest(tmp_path / "manifest.csv")
    assert [Path(path).name for path in table["path"]] == ["a.dcm", "b.dcm"]
    assert table["patient_id"].str.fullmatch("[0-9a-f]{16}").all()


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real files is not here")
def test_real_files(settings: DicomSource) -> None:
    table = index_dicom(REAL, settings)
    assert len(table) == 12
    by_name = table.assign(name=[Path(path).stem for path in table["path"]]).set_index("name")["study_id"]
    # the same recording twice
    assert by_name["color3d_jpeg_baseline"] == by_name["examples_ybr_color"]
    assert by_name["dcm4che_will-jxl_vividE95"] == by_name["derived_vividE95_jpegbaseline"]
    assert np.unique(table["patient_id"]).size > 5
