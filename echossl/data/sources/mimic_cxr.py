"""MIMIC-CXR-JPG: chest radiographs with the labels of CheXpert's or NegBio's labeller, by study.

Layout: ``mimic-cxr-2.0.0-metadata.csv.gz`` (dicom_id, subject_id, study_id, ViewPosition, ...),
``mimic-cxr-2.0.0-split.csv.gz`` (dicom_id, ..., split: train, validate, test), ``...-chexpert.csv.gz`` and
``...-negbio.csv.gz`` (subject_id, study_id, findings of 1, 0, -1 or nothing), pictures in
``files/p10/p10000032/s50414267/DICOM_ID.jpg``. Johnson et al., arXiv 1901.07042. Newer releases (2.1.0) keep
these names; whatever number a name has is taken.
"""

from pathlib import Path

import pandas as pd

from echossl.config.sources import MimicCxrSource
from echossl.data.sources.chest import existing, finding_cells, finished, names_in, only_frontal
from echossl.data.sources.tables import joined, read_table
from echossl.errors import UserError

SPLITS = {"train": "train", "validate": "val", "test": "test"}
DEEPEST = 4


def index_mimic_cxr(root: Path, settings: MimicCxrSource) -> pd.DataFrame:
    """List the pictures of MIMIC-CXR-JPG.

    Args:
        root: the data set, or a folder above it.
        settings: the labeller, whether only frontal pictures are taken, and what is not mentioned.

    Returns:
        ``path, patient_id, study_id, view`` (pa, ap, lateral, ll, ...; or empty), ``split``
        (train, val, test) and a column for each finding: 1, 0, ``uncertain`` or nothing. Labels of a study
        stand at each of its pictures; a study that the labeller's table lacks has none.

    Raises:
        UserError: if a table, one of its columns or every picture is missing, or a split or cell is strange.
    """
    metadata = _table_of(root, "metadata")
    rows = read_table(metadata, ["dicom_id", "subject_id", "study_id", "ViewPosition"])
    split_table = _table_of(root, "split")
    splits = read_table(split_table, ["dicom_id", "split"]).set_index("dicom_id")["split"]
    own = rows["dicom_id"].map(splits)
    for row in rows.index[~own.isin(SPLITS)]:
        raise UserError(
            f"{split_table}: the split of dicom_id {rows['dicom_id'][row]} is {own[row]!r}, expected "
            f"{', '.join(SPLITS)}"
        )
    files = metadata.parent.absolute() / "files"
    names = zip(rows["subject_id"], rows["study_id"], rows["dicom_id"], strict=True)
    table = pd.DataFrame(
        {
            "path": [
                str(files / f"p{who[:2]}" / f"p{who}" / f"s{study}" / f"{name}.jpg")
                for who, study, name in names
            ],
            "patient_id": rows["subject_id"],
            "study_id": rows["study_id"],
            "view": rows["ViewPosition"].str.lower(),
            "split": own.map(SPLITS),
        }
    )
    kept = only_frontal(table, frontal=settings.frontal, listing=metadata)
    found = existing(kept.table, metadata)
    labels = _labels(_table_of(root, settings.labeller), settings)
    without = int((~found.table["study_id"].isin(labels.index)).sum())
    said = f"labels of {settings.labeller}; {without} pictures are of studies without any"
    blank = "not assessed" if settings.unmentioned == "empty" else "0"
    rule = f"what a report does not mention is {blank}"
    table = found.table.join(labels.reindex(found.table["study_id"].unique(), fill_value=""), on="study_id")
    return finished(table, "mimic_cxr", joined(said, rule, kept.note, found.note))


def _table_of(root: Path, what: str) -> Path:
    """``mimic-cxr-2.0.0-WHAT.csv.gz`` on the highest level below the root that has one."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    for depth in range(DEEPEST):
        pattern = "/".join(["*"] * depth + [f"mimic-cxr-*-{what}.csv*"])
        found = sorted(path for path in root.glob(pattern) if path.name.endswith((".csv", ".csv.gz")))
        if len(found) > 1:
            raise UserError(f"{root}: found {found[0]} and {found[1]}; give the folder of one of them")
        if found:
            return found[0]
    raise UserError(f"{root}: found no mimic-cxr-2.0.0-{what}.csv.gz here or in the folders below")


def _labels(listing: Path, settings: MimicCxrSource) -> pd.DataFrame:
    """Findings by study id."""
    names = {column: own for column, (own, *_) in names_in("chexpert").items()}
    rows = read_table(listing, ["study_id", *names.values()])
    unmentioned = "" if settings.unmentioned == "empty" else "0"
    cells = {
        column: finding_cells(rows[own], listing, unmentioned=unmentioned) for column, own in names.items()
    }
    table = pd.DataFrame(cells).set_axis(pd.Index(rows["study_id"]))
    again = table.index[table.index.duplicated()]
    if len(again):
        raise UserError(f"{listing}: study {again[0]} stands there twice; keep one row")
    return table
