"""From what a person names, folders, files and tables, to the videos of studies."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from echossl.config.predict import PredictConfig
from echossl.config.sources import FolderSource
from echossl.data.faults import is_there
from echossl.data.manifest import read_manifest
from echossl.data.sources.folder import index_folder
from echossl.errors import UserError

TABLES = frozenset((".csv", ".parquet"))
KEYS = ["patient_id", "study_id"]
VIDEO_COLUMNS = ["path", *KEYS, "fps"]


@dataclass(frozen=True)
class Refusal:
    """What was not used, and why; ``path`` is a video, or the folder of a study without any."""

    path: str
    patient_id: str
    study_id: str
    reason: str


@dataclass(frozen=True)
class Named:
    """What was named on the command line.

    Attributes:
        videos: ``path, patient_id, study_id, fps`` (NaN unless given), each path once.
        studies: ``patient_id, study_id`` in the order of naming, also of studies without a video.
        refused: what cannot even be opened.
        notes: what was assumed and left out, in words.
    """

    videos: pd.DataFrame
    studies: pd.DataFrame
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Folder:
    """A study in a folder: the videos below it, or why there is none."""

    path: Path
    videos: tuple[str, ...] = ()
    reason: str = ""
    note: str = ""


def find_studies(config: PredictConfig) -> Named:
    """The videos of everything that was named.

    - A folder with files right in it is one study, with all that lies below; one without files holds a study
      in each of its sub-folders.
    - Video files of one folder are one study, named like the folder.
    - A table as ``echossl index`` writes it says itself which video belongs to which study and patient.

    Who the patient is, only a table knows; else every study is a patient of its own.

    Raises:
        UserError: if something named is not there, or two studies would have one name.
        ManifestError: if a table has faults other than missing files.
    """
    absent = [path for path in config.studies if not is_there(path)]
    if absent:
        raise UserError(f"{absent[0]}: no such file or folder; give folders of videos, videos or a table")
    tables = [path for path in config.studies if path.suffix in TABLES]
    others = [path for path in config.studies if path.suffix not in TABLES]
    folders = [*_of_folders(others, config), *_of_files(others)]
    names = _short_names([one.path for one in folders])
    parts = [_rows(one.videos, name) for one, name in zip(folders, names, strict=True)]
    listed = [read_manifest(path, lenient=True).reindex(columns=VIDEO_COLUMNS) for path in tables]
    ids = [pd.DataFrame({"patient_id": names, "study_id": names}), *(part[KEYS] for part in listed)]
    studies = pd.concat([part.drop_duplicates() for part in ids], ignore_index=True)
    twice = studies.loc[studies["study_id"].duplicated(), "study_id"].tolist()
    if twice:
        raise UserError(f"study {twice[0]} is named twice; name each study once")
    videos = pd.concat([*parts, *listed], ignore_index=True)
    videos = _with_rate(videos[~videos["path"].duplicated()].reset_index(drop=True), config.fps)
    there = pd.Series([is_there(Path(path)) for path in videos["path"]], dtype=bool)
    refused = [
        Refusal(str(one.path), name, name, one.reason)
        for one, name in zip(folders, names, strict=True)
        if one.reason
    ]
    refused += [
        Refusal(path, patient, study, "no such file")
        for path, patient, study in videos.loc[~there, ["path", *KEYS]].itertuples(index=False)
    ]
    notes = tuple(dict.fromkeys(f"{one.path}: {one.note}" for one in folders if one.note))
    return Named(videos[there].reset_index(drop=True), studies, tuple(refused), notes)


def _of_folders(paths: Sequence[Path], config: PredictConfig) -> Iterator[_Folder]:
    for path in paths:
        if not path.is_dir():
            continue
        inside = sorted(one for one in path.iterdir() if not one.name.startswith("."))
        if not inside or any(one.is_file() for one in inside):
            yield _listed(path, config)
        else:
            yield from (_listed(one, config) for one in inside)


def _listed(folder: Path, config: PredictConfig) -> _Folder:
    source = FolderSource(frame_folders=config.frame_folders)
    try:
        table = index_folder(folder, source)
    except UserError as error:
        return _Folder(folder, reason=str(error).removeprefix(f"{folder}: "))
    left_out = str(table.attrs["note"]).partition("left out: ")[2]
    return _Folder(folder, tuple(table["path"]), note=f"left out: {left_out}" if left_out else "")


def _of_files(paths: Sequence[Path]) -> Iterator[_Folder]:
    files = [path.absolute() for path in paths if not path.is_dir()]
    for folder in dict.fromkeys(file.parent for file in files):
        yield _Folder(folder, tuple(str(file) for file in files if file.parent == folder))


def _short_names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, or as many as tell it from the others."""
    parts = [folder.absolute().parts for folder in folders]
    lengths = [1] * len(parts)
    while True:
        names = ["/".join(part[-length:]) for part, length in zip(parts, lengths, strict=True)]
        counts = Counter(names)
        longer = [
            min(length + (counts[name] > 1), len(part))
            for name, part, length in zip(names, parts, lengths, strict=True)
        ]
        if longer == lengths:
            return names
        lengths = longer


def _rows(paths: Sequence[str], study: str) -> pd.DataFrame:
    rows = {"path": list(paths), "patient_id": study, "study_id": study, "fps": float("nan")}
    return pd.DataFrame(rows, columns=VIDEO_COLUMNS)


def _with_rate(videos: pd.DataFrame, fps: float | None) -> pd.DataFrame:
    """The rate that was given, for videos without one in a table."""
    rates = pd.to_numeric(videos["fps"])
    return videos.assign(fps=rates if fps is None else rates.fillna(fps))
