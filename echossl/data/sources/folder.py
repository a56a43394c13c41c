"""Any folder of videos: the patient is read from the path.

What a file holds is not looked at here, since opening every file of a large archive takes hours: files that
are plainly something else are left out, and ``check`` or ``prepare`` name those that turn out to be no video.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from echossl.config.sources import FolderSource
from echossl.data.order import natural_key
from echossl.errors import UserError

STILLS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"))
# never a video: tables, texts, arrays, archives
OTHER_SUFFIXES = frozenset(
    (
        *(".csv", ".tsv", ".json", ".jsonl", ".txt", ".md", ".log", ".xml", ".yaml", ".yml", ".html", ".pdf"),
        *(".doc", ".docx", ".xls", ".xlsx", ".parquet", ".db", ".npz", ".npy", ".pkl", ".pt", ".h5", ".mat"),
        *(".safetensors", ".nii", ".zip", ".gz", ".tar", ".7z", ".py", ".sh", ".ipynb", ".exe", ".ini"),
    )
)
OTHER_NAMES = frozenset(("DICOMDIR", "Thumbs.db", "LICENSE", "README", "Makefile"))


def index_folder(root: Path, settings: FolderSource) -> pd.DataFrame:
    """List the videos below a folder.

    Args:
        root: the folder.
        settings: ``patient_pattern`` is searched in the path relative to ``root`` (with ``/``); its first
            group is the patient. Without one the patient is the first folder below ``root``, and a file right in
            ``root`` is a patient of its own.

    Returns:
        ``path, patient_id, study_id`` in natural order of the paths (``image_5`` before ``image_10``); a
        study is what lies in one folder of a patient. ``attrs["note"]`` says what was assumed and left out.

    Raises:
        UserError: if there is no video, or the pattern is no pattern or misses files.
    """
    patient_pattern = settings.patient_pattern
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    pattern = _compiled(patient_pattern)
    files = sorted((file.relative_to(root).as_posix() for file in _files(root)), key=natural_key)
    videos = [name for name in files if _may_be_video(name)]
    if not videos:
        raise UserError(f"{root}: found {len(files)} files, none of which can be a video")
    patients = [_patient(name, pattern) for name in videos]
    unmatched = [name for name, patient in zip(videos, patients, strict=True) if not patient]
    if unmatched:
        raise UserError(
            f"{root}: patient_pattern {patient_pattern!r} finds no patient in {len(unmatched)} of "
            f"{len(videos)} paths, the first is {unmatched[0]}"
        )
    table = pd.DataFrame(
        {
            "path": [str(root.absolute() / name) for name in videos],
            "patient_id": patients,
            "study_id": [_study(name, patient) for name, patient in zip(videos, patients, strict=True)],
        }
    )
    table.attrs["note"] = _note(videos, files, pattern)
    return table


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"patient_pattern {pattern!r} is no regular expression: {error}") from error
    if not compiled.groups:
        raise UserError(f"patient_pattern {pattern!r} has no group; put the patient in parentheses")
    return compiled


def _files(root: Path) -> Iterator[Path]:
    """Every file that is not hidden; linked folders are followed, each folder once."""
    seen = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _may_be_video(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name not in OTHER_NAMES and path.suffix.lower() not in OTHER_SUFFIXES | STILLS


def _patient(name: str, pattern: re.Pattern[str] | None) -> str:
    """The patient of a relative path; empty if the pattern does not find one."""
    if pattern is not None:
        match = pattern.search(name)
        return (match.group(1) or "") if match else ""
    path = PurePosixPath(name)
    return path.parts[0] if len(path.parts) > 1 else path.stem


def _study(name: str, patient: str) -> str:
    """The patient and the folder the file lies in, so that a study never spans two patients."""
    folders = PurePosixPath(name).parent.parts
    below = folders[1:] if folders and folders[0] == patient else folders
    return "/".join((patient, *below))


def _note(videos: list[str], files: list[str], pattern: re.Pattern[str] | None) -> str:
    """What was assumed and what was left out, in words for the user."""
    notes = []
    alone = sum("/" not in name for name in videos)
    if pattern is None and alone:
        notes.append(f"{alone} files lie in no folder: each is taken as a patient of its own")
    if pattern is None and alone < len(videos):
        notes.append("the first folder is taken as the patient")
    left_out = Counter(PurePosixPath(name).suffix.lower() for name in files if not _may_be_video(name))
    if left_out:
        kinds = ", ".join(
            f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(left_out.items())
        )
        notes.append(f"left out: {kinds}")
    return "; ".join(notes)
