"""A tree of DICOM files: ultrasound found by content, patients and studies as salted hashes of its ids.

The ids are read, hashed at once and dropped: no id, name or date of a header gets into a table or a message.
The salt is the only way back from an id to its hash, so whoever has it can test a guess: keep it secret.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from echossl.config.sources import DicomSource
from echossl.data.order import natural_key
from echossl.data.sources.listed import walk_files
from echossl.data.sources.salt import keep_salt
from echossl.data.sources.tables import joined
from echossl.errors import DecodeError, UserError
from echossl.progress import track

MODALITIES = ("US", "IVUS")
ID_DIGITS = 16
# defined terms of DICOM; whatever else stands there may be anything
OTHER_MODALITIES = frozenset(
    (
        *(
            "CR",
            "CT",
            "DX",
            "ECG",
            "EPS",
            "ES",
            "HD",
            "IO",
            "IVOCT",
            "KO",
            "MG",
            "MR",
            "NM",
            "OCT",
            "OP",
            "OT",
        ),
        *("PR", "PT", "PX", "REG", "RF", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "SC", "SEG", "SM", "SR"),
        *("XA", "XC"),
    )
)
TAGS = ("Modality", "PatientID", "StudyInstanceUID", "ViewCodeSequence", "Rows", "Columns")
NUMERALS = {"2": "two", "3": "three", "4": "four", "5": "five"}
# code meanings of DICOM PS3.16, CID 12226: whole, or their beginnings
VIEWS = {
    "parasternal long axis": "plax",
    "parasternal long axis view of the rv inflow tract": "rv_inflow",
    "right ventricular inflow tract": "rv_inflow",
    "parasternal long axis view of the rv outflow tract": "rv_outflow",
    "right ventricular outflow tract": "rv_outflow",
    "parasternal short axis": "psax",
    "apical two chamber": "a2c",
    "apical three chamber": "a3c",
    "apical long axis": "a3c",
    "apical four chamber": "a4c",
    "apical five chamber": "a5c",
}
GROUPS_OF_VIEWS = {
    "parasternal short axis at ": "psax",
    "subcostal": "subcostal",
    "suprasternal": "suprasternal",
}
OTHER = "other"


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
        view (``plax, psax, a2c, a3c, a4c, a5c, rv_inflow, rv_outflow, subcostal, suprasternal``; ``other``
        for what is none of these, empty where none is stated) and source, in natural order of the paths. A
        file that names no patient gets its study as the patient; one that names neither gets its folder.
        ``attrs["note"]`` says where the secret is, what was assumed, and what was left out.

    Raises:
        UserError: if there is no ultrasound in the folder, the salt cannot be kept, or pydicom is missing.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    salt, secret = keep_salt(settings.salt_file)
    rows, others = _read(root, salt)
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
    table.attrs["note"] = joined(secret, *notes, others and f"left out: {others}")
    return table


def _read(root: Path, salt: str) -> tuple[list[_Row], str]:
    """The rows of a tree, and how many files have none, in words."""
    names = sorted((path.relative_to(root).as_posix() for path in walk_files(root)), key=natural_key)
    tracked = track(names, "reading headers", total=len(names), unit="files")
    looks = [_look_at(root, name, salt) for name in tracked]
    rows = [look for look in looks if isinstance(look, _Row)]
    others = _counts(Counter(look for look in looks if isinstance(look, str)))
    if not rows:
        raise UserError(
            f"{root}: found {len(names)} files, none of them ultrasound in DICOM ({others or 'empty'})"
        )
    return rows, others


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
                return f"of modality {modality}" if modality in OTHER_MODALITIES else "of no modality"
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
    """The view that a file states; empty if it states none. No word of the file itself is passed on."""
    from echossl.video.dicom_header import value_of

    items = value_of(tags, "ViewCodeSequence")
    meaning = str(value_of(items[0], "CodeMeaning") or "") if items else ""
    words = re.sub(r"[^a-z0-9]+", " ", meaning.lower()).split()
    spelled = " ".join(NUMERALS.get(word, word) for word in words).removesuffix(" view")
    groups = (view for start, view in GROUPS_OF_VIEWS.items() if spelled.startswith(start))
    return VIEWS.get(spelled) or next(groups, OTHER if meaning.strip() else "")


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
