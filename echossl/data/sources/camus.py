"""CAMUS, half beats of the apical two- and four-chamber views (Leclerc et al., 2019), as NIfTI or MHD."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from echossl.config.sources import CamusSource
from echossl.data.order import natural_key
from echossl.data.sources.camus_info import read_infos
from echossl.data.sources.listed import walk_files
from echossl.data.sources.tables import counted, joined
from echossl.errors import UserError

PICTURES = re.compile(
    r"(?P<patient>patient\d+)_(?P<view>[24]CH)_(?P<what>half_sequence|sequence|ED|ES)\.(nii\.gz|nii|mha|mhd)",
    re.IGNORECASE,
)
VIEWS = {"2CH": "a2c", "4CH": "a4c"}
STILLS = ("ed", "es")
# the first distribution numbers the patients of its two halves alike
HALVES = {"training": "train", "testing": "test"}
SPLIT_FILE = re.compile(r"(train|val|test)", re.IGNORECASE)
PATIENT = re.compile(r"patient\d+", re.IGNORECASE)
UNLISTED = "unlisted"


@dataclass(frozen=True)
class _Picture:
    """One file of pictures: a sequence, or the still of one moment."""

    path: Path
    patient: str
    half: str
    view: str
    what: str

    @property
    def is_still(self) -> bool:
        return self.what in STILLS


def index_camus(root: Path, settings: CamusSource) -> pd.DataFrame:
    """List the videos of CAMUS.

    Args:
        root: ``CAMUS_public``, ``database_nifti``, or the folder of ``training`` and ``testing``.
        settings: which views are taken, which class maps of the ejection fraction become columns, and the
            frame rate of sequences whose Info file states none.

    Returns:
        One row per view of a patient, or one per still (``phase`` ed or es) where the sequence is not there:
        path (absolute), patient_id, study_id, view (a2c, a4c), source, where known split, and the columns of
        :func:`~echossl.data.sources.camus_info.read_infos`. Masks (``_gt``) are left out.

    Raises:
        UserError: if there is no picture of CAMUS, or the split files contradict each other.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    files = sorted(walk_files(root), key=lambda path: natural_key(path.as_posix()))
    pictures, note = _without_second_copy(_pictures(files, settings.views))
    if not pictures:
        raise UserError(
            f"{root}: found no file such as patient0001_4CH_half_sequence.nii.gz or patient0001_4CH_ED.mhd; "
            "give the folder database_nifti, or that of training and testing"
        )
    chosen = _sequences_or_stills(pictures)
    table = _table(chosen, settings)
    splits = _splits(root, files, chosen)
    if splits:
        table["split"] = table["patient_id"].map(splits).fillna(UNLISTED)
    table.attrs["note"] = joined(note, _said(table, chosen), table.attrs["note"])
    return table


def _table(pictures: Sequence[_Picture], settings: CamusSource) -> pd.DataFrame:
    """A row per picture, with what its Info file says."""
    table = pd.DataFrame(
        {
            "path": [str(picture.path.absolute()) for picture in pictures],
            "patient_id": [picture.patient for picture in pictures],
            "study_id": [picture.patient for picture in pictures],
            "view": [VIEWS[picture.view] for picture in pictures],
            "source": "camus",
        }
    )
    is_still = pd.Series([picture.is_still for picture in pictures])
    if is_still.any():
        table["phase"] = [picture.what if picture.is_still else "" for picture in pictures]
    infos = [picture.path.with_name(f"Info_{picture.view}.cfg") for picture in pictures]
    about = read_infos(infos, is_still, settings.labels)
    table = pd.concat([table, about], axis=1)
    if settings.fps is not None:
        rates = table["fps"] if "fps" in table else pd.Series(math.nan, index=table.index)
        table["fps"] = rates.mask(rates.isna() & ~is_still, settings.fps)
    table.attrs["note"] = about.attrs["note"]
    return table


def _pictures(files: Iterable[Path], views: Sequence[str]) -> list[_Picture]:
    found = []
    for path in files:
        match = PICTURES.fullmatch(path.name)
        if match and match["view"].upper() in views:
            half = path.parent.parent.name.lower()
            half = half if half in HALVES else ""
            patient = f"{half}_{match['patient']}" if half else match["patient"]
            found.append(_Picture(path, patient, half, match["view"].upper(), match["what"].lower()))
    return found


def _without_second_copy(pictures: list[_Picture]) -> tuple[list[_Picture], str]:
    """Leave out the first distribution where the second is there too: they show the same people."""
    second = [picture for picture in pictures if not picture.half]
    if not second or len(second) == len(pictures):
        return pictures, ""
    left_out = [picture.path.name for picture in pictures if picture.half]
    return second, counted(
        "files of training and testing, the same patients in another form, left out", left_out
    )


def _sequences_or_stills(pictures: Sequence[_Picture]) -> list[_Picture]:
    """For each view of a patient the sequence, or else both stills; of two forms of a file the first."""
    groups: dict[tuple[str, str], dict[str, _Picture]] = {}
    for picture in pictures:
        groups.setdefault((picture.patient, picture.view), {}).setdefault(picture.what, picture)
    chosen: list[_Picture] = []
    for group in groups.values():
        sequence = group.get("half_sequence") or group.get("sequence")
        chosen += [sequence] if sequence else [group[what] for what in STILLS if what in group]
    return chosen


def _splits(root: Path, files: Iterable[Path], pictures: Sequence[_Picture]) -> dict[str, str]:
    """The split of each patient: by its half, or by lists of patients; empty if nothing says so."""
    halves = {picture.patient: HALVES[picture.half] for picture in pictures if picture.half}
    if halves:
        return halves if len(set(halves.values())) > 1 else {}
    # database_nifti may be given without the folder of lists beside it
    beside = sorted((root.absolute().parent / "database_split").glob("*.txt"))
    splits: dict[str, str] = {}
    for path in [*files, *beside]:
        kind = SPLIT_FILE.search(path.stem)
        if path.suffix.lower() != ".txt" or not kind:
            continue
        for patient in PATIENT.findall(path.read_text(encoding="utf-8", errors="replace")):
            if splits.setdefault(patient, kind[1].lower()) != kind[1].lower():
                raise UserError(f"{path}: {patient} is listed as {splits[patient]} elsewhere; keep one")
    return splits


def _said(table: pd.DataFrame, pictures: Sequence[_Picture]) -> str:
    """What is missing, in words."""
    stills = [picture.path.name for picture in pictures if picture.is_still]
    unlisted = table.loc[table["split"] == UNLISTED, "patient_id"].unique() if "split" in table else ()
    rates = table["fps"] if "fps" in table else pd.Series(float("nan"), index=table.index)
    without = [
        picture.path.name
        for picture, rate in zip(pictures, rates, strict=True)
        if not picture.is_still and math.isnan(rate)
    ]
    return joined(
        counted("single moments, since their sequence is not there", stills),
        counted("sequences without a FrameRate in an Info file, give it with fps=NUMBER", without),
        counted("patients that no list of a split names", unlisted),
    )
