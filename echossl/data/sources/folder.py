"""Any folder of videos: the patient is read from the path.

What a file holds is not looked at here, since opening every file of a large archive takes hours: files that
are plainly something else are left out, and ``check`` or ``prepare`` name those that turn out to be no video.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from echossl.config.sources import FolderSource
from echossl.data.order import natural_key
from echossl.data.sources.listed import walk_files
from echossl.data.sources.tables import joined
from echossl.errors import UserError

STILLS = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"))
# never a video: tables, texts, arrays, archives
OTHER_SUFFIXES = frozenset(
    (
        *(".csv", ".tsv", ".json", ".jsonl", ".txt", ".md", ".log", ".xml", ".yaml", ".yml", ".html", ".pdf"),
        *(".doc", ".docx", ".xls", ".xlsx", ".parquet", ".db", ".npz", ".npy", ".pkl", ".pt", ".h5", ".mat"),
        *(".safetensors", ".zip", ".gz", ".tar", ".7z", ".py", ".sh", ".ipynb", ".exe", ".ini", ".cfg"),
    )
)
OTHER_NAMES = frozenset(("DICOMDIR", "Thumbs.db", "LICENSE", "README", "Makefile"))
PACKED_VOLUMES = (".nii.gz",)
# 1.2.840.10008 has none
SUFFIX = re.compile(r"(\.nii)?\.[a-z][a-z0-9]*$", re.IGNORECASE)
# the pixels of an .mhd file lie beside it
PIXELS_OF_MHD = frozenset((".raw", ".zraw"))


@dataclass(frozen=True)
class _Found:
    """Paths below the root, with ``/``: the videos, what is left out, and what to say about the pictures."""

    videos: Sequence[str]
    left_out: Sequence[str]
    note: str = ""


def index_folder(root: Path, settings: FolderSource) -> pd.DataFrame:
    """List the videos below a folder.

    Args:
        root: the folder.
        settings: ``patient_pattern`` is searched in the path relative to ``root`` (with ``/``); its first
            group is the patient. Without one the patient is the first folder below ``root``, and a file right
            in ``root`` is a patient of its own. With ``frame_folders`` each folder that holds pictures is one
            video; without it single pictures are taken only where there is nothing else.

    Returns:
        ``path, patient_id, study_id`` in natural order of the paths (``image_5`` before ``image_10``), and
        ``fps`` if given; a study is what lies in one folder of a patient. ``attrs["note"]`` says what was
        assumed and left out.

    Raises:
        UserError: if there is no video, or the pattern is no pattern or misses files.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    pattern = _compiled(settings.patient_pattern)
    found = _find(root, frame_folders=settings.frame_folders)
    patients = [_patient(name, pattern, root.absolute().name) for name in found.videos]
    _refuse_unmatched(root, settings.patient_pattern, found.videos, patients)
    table = pd.DataFrame(
        {
            "path": [str(root.absolute() / name) for name in found.videos],
            "patient_id": patients,
            "study_id": [_study(name, patient) for name, patient in zip(found.videos, patients, strict=True)],
        }
    )
    if settings.fps is not None:
        table["fps"] = settings.fps
    table.attrs["note"] = joined(_assumed(found.videos, pattern), found.note, _left_out(found.left_out))
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


def _find(root: Path, *, frame_folders: bool) -> _Found:
    files = sorted((file.relative_to(root).as_posix() for file in walk_files(root)), key=natural_key)
    known = {name.casefold() for name in files}
    pictures = [name for name in files if PurePosixPath(name).suffix.lower() in STILLS]
    others = [name for name in files if PurePosixPath(name).suffix.lower() not in STILLS]
    videos = [name for name in others if _may_be_video(name, known)]
    taken = frozenset(videos)
    left_out = [name for name in others if name not in taken]
    if frame_folders:
        folders = {PurePosixPath(name).parent.as_posix() for name in pictures}
        note = f"{len(folders)} folders of pictures are taken as videos" if folders else ""
        found = _Found(sorted([*videos, *folders], key=natural_key), left_out, note)
    elif not videos and pictures:
        note = "single pictures are taken as videos of one frame; frame_folders=true joins those of a folder"
        found = _Found(pictures, left_out, note)
    else:
        found = _Found(videos, sorted([*left_out, *pictures], key=natural_key))
    if not found.videos:
        raise UserError(f"{root}: found {len(files)} files, none of which can be a video")
    return found


def _may_be_video(name: str, known: set[str]) -> bool:
    """Whether the suffix of a file does not speak against it; ``known`` are all files in lower case."""
    path = PurePosixPath(name.casefold())
    if path.name.endswith(PACKED_VOLUMES):
        return True
    if path.suffix in PIXELS_OF_MHD and path.with_suffix(".mhd").as_posix() in known:
        return False
    return PurePosixPath(name).name not in OTHER_NAMES and path.suffix not in OTHER_SUFFIXES


def _patient(name: str, pattern: re.Pattern[str] | None, root_name: str) -> str:
    """The patient of a relative path; empty if the pattern does not find one."""
    if pattern is not None:
        match = pattern.search(name)
        return (match.group(1) or "") if match else ""
    parts = PurePosixPath(name).parts
    if len(parts) > 1:
        return parts[0]
    # the root itself is a video where pictures lie right in it
    return SUFFIX.sub("", parts[0]) if parts else root_name


def _refuse_unmatched(
    root: Path, pattern: str | None, videos: Sequence[str], patients: Sequence[str]
) -> None:
    unmatched = [name for name, patient in zip(videos, patients, strict=True) if not patient]
    if unmatched:
        raise UserError(
            f"{root}: patient_pattern {pattern!r} finds no patient in {len(unmatched)} of {len(videos)} "
            f"paths, the first is {unmatched[0]}"
        )


def _study(name: str, patient: str) -> str:
    """The patient and the folder the file lies in, so that a study never spans two patients."""
    folders = PurePosixPath(name).parent.parts
    below = folders[1:] if folders and folders[0] == patient else folders
    return "/".join((patient, *below))


def _assumed(videos: Sequence[str], pattern: re.Pattern[str] | None) -> str:
    """Who was taken as a patient, in words for the user."""
    if pattern is not None:
        return ""
    alone = sum("/" not in name for name in videos)
    by_itself = f"{alone} files lie in no folder: each is taken as a patient of its own" if alone else ""
    by_folder = "the first folder is taken as the patient" if alone < len(videos) else ""
    return joined(by_itself, by_folder)


def _left_out(names: Sequence[str]) -> str:
    kinds = Counter(PurePosixPath(name).suffix.lower() or "without suffix" for name in names)
    ordered = sorted(kinds.items(), key=lambda kind: "" if kind[0] == "without suffix" else kind[0])
    listed = ", ".join(f"{count} {kind}" for kind, count in ordered)
    return f"left out: {listed}" if listed else ""
