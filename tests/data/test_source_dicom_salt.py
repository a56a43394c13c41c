"""The secret of the hashed ids: made once, kept beside the manifest, refused if it is none."""

import multiprocessing
import stat
from pathlib import Path

import pytest

pytest.importorskip("pydicom")
from source_dicom_files import expected_id, write

from echossl.config.sources import DicomSource
from echossl.data.sources import index_source
from echossl.data.sources.dicom import index_dicom
from echossl.errors import UserError

SALT = "a salt of sixteen or more letters"


@pytest.fixture
def settings(tmp_path: Path) -> DicomSource:
    return DicomSource(salt_file=tmp_path / "secrets" / "salt.txt")


def test_other_salts_give_other_ids_and_the_same_one_the_same(tmp_path: Path, settings: DicomSource) -> None:
    write(tmp_path / "tree" / "a.dcm")
    first, again = (index_dicom(tmp_path / "tree", settings) for _ in range(2))
    assert first.equals(again)
    other = index_dicom(tmp_path / "tree", DicomSource(salt_file=tmp_path / "other.txt"))
    assert set(other["patient_id"]).isdisjoint(first["patient_id"])
    (tmp_path / "own.txt").write_text(SALT)
    own = index_dicom(tmp_path / "tree", DicomSource(salt_file=tmp_path / "own.txt"))
    assert own["patient_id"].tolist() == [expected_id("SECRETID", SALT)]


def test_the_salt_is_secret_and_made_once(tmp_path: Path, settings: DicomSource) -> None:
    write(tmp_path / "tree" / "a.dcm")
    index_dicom(tmp_path / "tree", settings)
    assert stat.S_IMODE(settings.salt_file.stat().st_mode) == 0o600
    assert len(settings.salt_file.read_text().strip()) == 64
    assert [path.name for path in settings.salt_file.parent.iterdir()] == ["salt.txt"]
    before = settings.salt_file.read_text()
    index_dicom(tmp_path / "tree", settings)
    assert settings.salt_file.read_text() == before


def test_the_salt_lies_beside_the_manifest_wherever_it_is_indexed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = write(tmp_path / "tree" / "a.dcm").parent, tmp_path / "out" / "manifest.csv"
    tables = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        tables.append(index_source("dicom", root, out=out))
        assert not list(folder.iterdir())
    first, again = tables
    assert first["patient_id"].tolist() == again["patient_id"].tolist()
    where = out.parent / "echossl_salt.txt"
    assert where.is_file()
    made = f"a new secret of the ids was made: {where}; keep it to index again alike, do not share it"
    assert made in first.attrs["note"]
    assert f"the ids are hashes with the secret of {where}, which was there" in again.attrs["note"]


def test_a_salt_file_that_is_named_starts_at_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "tree" / "a.dcm")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out" / "manifest.csv"
    note = index_source("dicom", Path("tree"), out=out, options=["salt_file=own/salt.txt"]).attrs["note"]
    assert (tmp_path / "own" / "salt.txt").is_file()
    assert f"made: {tmp_path / 'own' / 'salt.txt'};" in note
    assert [path.name for path in out.parent.iterdir()] == ["manifest.csv"]


def patient_of(arguments: tuple[Path, Path]) -> str:
    root, salt_file = arguments
    return index_dicom(root, DicomSource(salt_file=salt_file))["patient_id"][0]


def test_processes_that_start_together_share_the_salt(tmp_path: Path) -> None:
    write(tmp_path / "tree" / "a.dcm")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(patient_of, [(tmp_path / "tree", tmp_path / "salt.txt")] * 8)
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"short", "found a salt of 5 characters, expected 16 to 64"),
        (b"x" * 65, "found a salt of 65 characters"),
        (b"", "found a salt of 0 characters"),
        (b"\xff\xfe\x00", "is no salt but some other file"),
    ],
)
def test_what_is_no_salt_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    write(tmp_path / "tree" / "a.dcm")
    (tmp_path / "salt").write_bytes(content)
    with pytest.raises(UserError, match=words):
        index_dicom(tmp_path / "tree", DicomSource(salt_file=tmp_path / "salt"))
    with pytest.raises(UserError, match="cannot be used for the salt"):
        index_dicom(tmp_path / "tree", DicomSource(salt_file=tmp_path))
