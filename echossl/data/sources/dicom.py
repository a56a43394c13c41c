"""A tree of DICOM files: ultrasound found by content, patients and studies as salted hashes of its ids.

The ids are read, hashed at once and dropped: no id, name or date of a header gets into a table or a message.
The salt is the only way back from an id to its hash, so whoever has it can test a guess: keep it secret.
"""

import hashlib
import os
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from echossl.config.sources import DicomSource
from echossl.data.order import natural_key
from echossl.data.sources.listed import walk_files
from echossl.data.sources.tables import joined
from echossl.errors import DecodeError, UserError
from echossl.files import flush_to_disk
from echossl.progress import track

MODALITIES = ("US", "IVUS")
ID_DIGITS = 16
SALT_BYTES = 32
# the key of blake2b holds 64 bytes at most; fewer than 16 are no secret
SALT_LENGTHS = range(16, 65)
TAGS = ("Modality", "PatientID", "StudyInstanceUID", "ViewCodeSequence", "Rows", "Columns")
NUMERALS = {"2": "two", "3": "three", "4": "four", "5": "five"}
# code meanings of DICOM PS3.16, CID 12226
VIEWS = {
    "parasternal long axis": "plax",
    "parasternal short axis": "psax",
    "apical two chamber": "a2c",
    "apical three chamber": "a3c",
    "apical long axis": "a3c",
    "apical four chamber": "a4c",
    "apical five chamber": "a5c",
}
SHORT_AXIS = "parasternal short axis at"


@dataclass(frozen=True)
class _Row:
    """What the table says of a file; ids are hashes, empty where the header has none."""

    name: str
    patient: str
    study: str
    view: str


def index_dicom(root: Path, settings: DicomSource) -> pd.DataFrame:
    """List the ultrasound videos and stills of a tree of DICOM files, whatever their names.

    Args:
        root: the folder; linked folders are followed once, hidden files left out.
        settings: where the secret of the hashes is kept.

    Returns:
        path (absolute), patient_id and study_id (16 hexadecimal digits, the same for the same id and salt),
        view (``plax, psax, a2c, a3c, a4c, a5c``, another code meaning in lower case, or empty) and source, in
        natural order of the paths. A file that names no patient gets its study as the patient; one that
        names neither gets its folder. ``attrs["note"]`` says what was assumed and left out.

    Raises:
        UserError: if there is no ultrasound in the folder, the salt cannot be kept, or pydicom is missing.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    salt = _salt(settings.salt_file)
    names = sorted((path.relative_to(root).as_posix() for path in walk_files(root)), key=natural_key)
    rows: list[_Row] = []
    left_out: Counter[str] = Counter()
    for name in track(names, "reading headers", total=len(names), unit="files"):
        found = _look_at(root, name, salt)
        if isinstance(found, _Row):
            rows.append(found)
        else:
            left_out[found] += 1
    others = _counts(left_out)
    if not rows:
        raise UserError(
            f"{root}: found {len(names)} files, none of them ultrasound in DICOM ({others or 'empty'})"
        )
    patients = _patients(rows, salt)
    studies, notes = _studies(rows, patients, salt)
    table = pd.DataFrame(
        {
            "path": [str(root.absolute() / row.name) for row in rows],
            "patient_id": patients,
            "study_id": studies,
            "view": [row.view for row in rows],
            "source": "dicom",
        }
    )
    secret = f"the ids are hashes with the secret of {settings.salt_file}; keep it to index again alike"
    table.attrs["note"] = joined(secret, *notes, others and f"left out: {others}")
    return table


def _look_at(root: Path, name: str, salt: str) -> _Row | str:
    """The row of a file, or in a few words why it has none."""
    from echossl.video.dicom import quiet
    from echossl.video.dicom_header import open_data_set, value_of, whole_number
    from echossl.video.kinds import head_of, is_dicom

    try:
        if not is_dicom(head_of(root / name)):
            return "not DICOM"
        with quiet():
            data = open_data_set(root / name, TAGS)
            data.file.close()
            modality = str(value_of(data.tags, "Modality") or "").strip()
            if data.pixels is None or not (
                whole_number(data.tags, "Rows") and whole_number(data.tags, "Columns")
            ):
                return "without pictures"
            if modality not in MODALITIES:
                # a damaged header may hold anything here
                return f"of modality {modality}" if re.fullmatch("[A-Z]{2,8}", modality) else "of no modality"
            patient, study = (
                _hashed(str(value_of(data.tags, tag) or ""), salt)
                for tag in ("PatientID", "StudyInstanceUID")
            )
            return _Row(name, patient, study, _view(data.tags))
    except DecodeError:
        return "unreadable"


def _hashed(value: str, salt: str) -> str:
    """An id as 16 hexadecimal digits; empty for an empty one."""
    value = value.strip()
    if not value:
        return ""
    return hashlib.blake2b(value.encode(), key=salt.encode()).hexdigest()[:ID_DIGITS]


def _folder(row: _Row) -> str:
    """A file's folder below the root, in words that no id of a header has."""
    return f"folder/{PurePosixPath(row.name).parent.as_posix()}"


def _patients(rows: Sequence[_Row], salt: str) -> list[str]:
    """The patient of every row; without one that of the study's other files, the study itself, the folder."""
    named: dict[str, set[str]] = {}
    for row in rows:
        if row.study and row.patient:
            named.setdefault(row.study, set()).add(row.patient)
    of_study = {study: next(iter(patients)) for study, patients in named.items() if len(patients) == 1}
    return [row.patient or of_study.get(row.study, row.study) or _hashed(_folder(row), salt) for row in rows]


def _studies(rows: Sequence[_Row], patients: Sequence[str], salt: str) -> tuple[list[str], list[str]]:
    """The study of every row, which never holds two patients; and what was assumed, in words."""
    patients_of: dict[str, set[str]] = {}
    for row, patient in zip(rows, patients, strict=True):
        patients_of.setdefault(row.study or _folder(row), set()).add(patient)
    shared = {study for study, of_one in patients_of.items() if len(of_one) > 1}
    studies = [
        row.study
        if row.study and row.study not in shared
        else _hashed(f"{row.study or _folder(row)}/{patient}", salt)
        for row, patient in zip(rows, patients, strict=True)
    ]
    mixed = sum(bool(study) and not study.startswith("folder/") for study in shared)
    return studies, _assumptions(rows, patients, studies, mixed)


def _view(tags: Any) -> str:
    """The view that a file states; empty if it states none."""
    from echossl.video.dicom_header import value_of

    items = value_of(tags, "ViewCodeSequence")
    meaning = str(value_of(items[0], "CodeMeaning") or "") if items else ""
    words = re.sub(r"[^a-z0-9]+", " ", meaning.lower()).split()
    spelled = " ".join(NUMERALS.get(word, word) for word in words).removesuffix(" view")
    if spelled.startswith(SHORT_AXIS):
        return "psax"
    return VIEWS.get(spelled, spelled)


def _assumptions(
    rows: Sequence[_Row], patients: Sequence[str], studies: Sequence[str], mixed: int
) -> list[str]:
    """What was assumed about patients and studies, in words."""
    notes = []
    without_patient = sum(not row.patient for row in rows)
    without_study = sum(not row.study for row in rows)
    if without_patient:
        notes.append(
            f"{without_patient} files name no patient: the study, or else the folder, is taken as the patient"
        )
    if without_study:
        notes.append(f"{without_study} files name no study: the folder is taken as the study")
    if mixed:
        notes.append(f"{mixed} studies name several patients and are taken as one for each")
    if len(set(patients)) == 1 and len(set(studies)) > 1:
        notes.append(
            f"all {len(set(studies))} studies name the same patient: if an export blanked the ids, use the "
            "source folder, which takes patients from the path"
        )
    return notes


def _counts(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))


def _salt(path: Path) -> str:
    """The secret of the hashes; made at the first call, readable by its owner only.

    Raises:
        UserError: if the file cannot be read or written, or holds no secret.
    """
    try:
        if not path.exists():
            _write_salt(path)
        salt = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"{path}: cannot be used for the salt ({error.strerror}); set salt_file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no salt but some other file; set salt_file") from error
    if len(salt.encode()) not in SALT_LENGTHS:
        raise UserError(
            f"{path}: found a salt of {len(salt)} characters, expected 16 to 64; set salt_file, or remove "
            "the file to have a new one made, which gives other ids"
        )
    return salt


def _write_salt(path: Path) -> None:
    """Make a salt file; if another process is first, its salt stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes files that only their owner reads
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{secrets.token_hex(SALT_BYTES)}\n")
        flush_to_disk(temporary)
        # unlike a renaming, a link never replaces a file
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
