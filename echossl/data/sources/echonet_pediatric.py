"""EchoNet-Pediatric: apical four-chamber and parasternal short-axis videos of children, ten published folds.

Layout: ``A4C/`` and ``PSAX/``, each with ``FileList.csv`` (FileName, EF, Sex, Age, Weight, Height, Split) and
``Videos/``; a file is named PATIENT-STUDY-NUMBER.avi. ``Split`` is a fold from 0 to 9: which of them validate
and test is a setting, since publications differ. Reddy et al., JASE 2023, https://echonet.github.io/pediatric/.
"""

from pathlib import Path

import pandas as pd

from echossl.config.sources import EchonetPediatricSource
from echossl.data.labels import CLASS_MAPS, apply_class_map
from echossl.data.sources.listed import FileIndex, match_files
from echossl.data.sources.tables import counted, find_all, joined, known_numbers, read_table, strictest_splits
from echossl.errors import UserError

LISTING = "FileList.csv"
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
# column of the table: column of the manifest, plausible above, plausible up to
MEASURED = {
    "EF": ("ef", 1.0, 100.0),
    "Age": ("age_years", -0.001, 25.0),
    "Weight": ("weight_kg", 0.3, 300.0),
    "Height": ("height_cm", 20.0, 230.0),
}


def index_echonet_pediatric(root: Path, settings: EchonetPediatricSource) -> pd.DataFrame:
    """List the videos of EchoNet-Pediatric.

    Args:
        root: the data set, or a folder above it.
        settings: views, which folds become the splits val and test, and which class maps become columns.

    Returns:
        ``path, patient_id, study_id, view, source, split, sex`` and ``ef`` (percent), ``age_years``,
        ``weight_kg``, ``height_cm`` and the class maps asked for. ``attrs["note"]`` says what was assumed
        and left out.

    Raises:
        UserError: if a view, a table, one of its columns or every video is missing, or a fold is none.
    """
    if settings.validation_fold == settings.test_fold:
        raise UserError(f"validation_fold and test_fold are both {settings.test_fold}; choose two folds")
    views = [_view(root, name, settings) for name in dict.fromkeys(settings.views)]
    table = pd.concat(views, ignore_index=True)
    own = table["patient_id"].map(strictest_splits(table["patient_id"], table["split"]))
    moved = table.loc[own != table["split"], "patient_id"].unique()
    table["split"] = own
    folds = (
        f"fold {settings.validation_fold} is the split val, {settings.test_fold} is test, the others train"
    )
    ids = "patient and study are read from the file names"
    stricter = counted(
        "patients in several folds, put whole into the strictest split (test, val, train)", moved
    )
    table.attrs["note"] = joined(folds, ids, stricter, *(view.attrs["note"] for view in views))
    return table


def _view(root: Path, view: str, settings: EchonetPediatricSource) -> pd.DataFrame:
    """The videos of one view."""
    listing = _listing(root, view)
    rows = read_table(listing, ["FileName", "EF", "Split"], optional=["Sex", "Age", "Weight", "Height"])
    matched = match_files(rows, "FileName", FileIndex([listing.parent]), listing)
    rows = matched.table
    names = [_ids(Path(path).stem, listing) for path in rows["path"]]
    table = pd.DataFrame({"path": rows["path"]})
    table["patient_id"] = [patient for patient, _ in names]
    table["study_id"] = [f"{patient}-{study}" for patient, study in names]
    table["view"], table["source"] = view.lower(), "echonet_pediatric"
    table["split"] = _splits(rows["Split"], settings, listing)
    notes = [matched.note]
    if "Sex" in rows:
        table["sex"] = rows["Sex"].str.lower().map(SEXES).fillna("")
    for column, (name, lowest, highest) in MEASURED.items():
        if column in rows:
            table[name], note = known_numbers(rows[column], between=(lowest, highest))
            notes.append(note)
    for name in settings.labels:
        table[name] = apply_class_map(table["ef"], CLASS_MAPS[name])
    said = joined(*notes)
    table.attrs["note"] = f"{view}: {said}" if said else ""
    return table


def _listing(root: Path, view: str) -> Path:
    """The table of a view, whatever the folders above it are called."""
    for folder in find_all(root, view, folders=True):
        for listing in find_all(folder, LISTING)[:1]:
            return listing
    raise UserError(f"{root}: found no {view}/{LISTING} here or below; give the unpacked data set, or views")


def _ids(name: str, listing: Path) -> tuple[str, str]:
    """Patient and study of ``CR32a7559-CR32a9980-000045``."""
    parts = name.split("-")
    if len(parts) < 3 or not all(parts[:2]):
        raise UserError(f"{listing}: the file {name!r} is not named PATIENT-STUDY-NUMBER")
    return parts[0], parts[1]


def _splits(folds: pd.Series, settings: EchonetPediatricSource, listing: Path) -> pd.Series:
    names = {str(fold): "train" for fold in range(10)}
    names |= {str(settings.validation_fold): "val", str(settings.test_fold): "test"}
    # a table that was saved again may say 3.0
    splits = folds.str.removesuffix(".0").map(names)
    for row in folds.index[splits.isna()]:
        raise UserError(f"{listing}: row {row}: Split is {folds[row]!r}, expected a fold from 0 to 9")
    return splits
