"""PadChest: chest radiographs with lists of findings from reports, read by physicians or by a network.

Layout: ``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz`` (ImageID, ImageDir, StudyID, PatientID,
Projection, MethodLabel, Labels, ...; ``Labels`` is a list as Python writes it), pictures in the folder
``ImageDir`` (``0`` to ``54``), PNG of all 16 bits. Bustos et al., Med Image Anal 2020, arXiv 1901.07441.
There are no published splits. Which kinds of atelectasis and the like its tree of terms has is not
certain here; a name that is not in ``FINDINGS`` of ``chest.py`` becomes no column.
"""

import ast
from pathlib import Path

import pandas as pd

from echossl.config.sources import PadChestSource
from echossl.data.sources.chest import existing, finished, listed_findings, only_frontal
from echossl.data.sources.tables import counted, joined, read_table
from echossl.errors import UserError

TABLE = "PADCHEST_chest_x_ray_images_labels_*.csv*"
COLUMNS = ("ImageID", "ImageDir", "StudyID", "PatientID", "Projection", "MethodLabel", "Labels")
DEEPEST = 3
# a picture that its readers set aside says nothing of any finding
SET_ASIDE = {"exclude", "suboptimal study"}
PHYSICIAN = "physician"


def index_padchest(root: Path, settings: PadChestSource) -> pd.DataFrame:
    """List the pictures of PadChest.

    Args:
        root: the folder that holds the table and the folders of pictures.
        settings: whether only frontal pictures are taken, and whose labels count.

    Returns:
        ``path, patient_id, study_id, view`` (pa, ap, ap_horizontal, l, costal) and a column of 0 and 1 for
        each finding; empty where there is no list, the picture was set aside, or a network read it and
        ``labels_by=physician``.

    Raises:
        UserError: if the table, one of its columns or every picture is missing, or a cell is no list.
    """
    listing = _table(root)
    rows = read_table(listing, COLUMNS)
    rows = rows[rows["ImageID"] != ""]
    base = listing.parent.absolute()
    table = pd.DataFrame(
        {
            "path": [
                str(base / folder / name)
                for folder, name in zip(rows["ImageDir"], rows["ImageID"], strict=True)
            ],
            "patient_id": rows["PatientID"],
            "study_id": rows["StudyID"],
            "view": rows["Projection"].str.lower(),
        }
    )
    nobody = table["patient_id"] == ""
    without = counted("left out, without a patient", table.loc[nobody, "path"].tolist())
    kept = only_frontal(table[~nobody], frontal=settings.frontal, listing=listing)
    found = existing(kept.table, listing)
    rows = rows.loc[found.table.index]
    named = [
        _names(cell, f"{listing}: row {row}") for row, cell in zip(rows.index, rows["Labels"], strict=True)
    ]
    read = [bool(names) and SET_ASIDE.isdisjoint(names) for names in named]
    if settings.labels_by == "physician":
        own = rows["MethodLabel"].str.lower() == PHYSICIAN
        read = [there and by for there, by in zip(read, own, strict=True)]
    findings = listed_findings(named, read, "padchest", rows.index)
    said = f"labels by {settings.labels_by}; {read.count(False)} pictures are not assessed"
    return finished(found.table.join(findings), "padchest", joined(said, without, kept.note, found.note))


def _table(root: Path) -> Path:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    for depth in range(DEEPEST):
        found = sorted(root.glob("/".join(["*"] * depth + [TABLE])))
        if len(found) > 1:
            raise UserError(f"{root}: found {found[0]} and {found[1]}; give the folder of one of them")
        if found:
            return found[0]
    raise UserError(f"{root}: found no {TABLE} here or in the folders below")


def _names(cell: str, where: str) -> set[str]:
    """The findings of a list as Python writes it, in lower case; an empty set for an empty cell or list."""
    if cell.lower() in {"", "nan"}:
        return set()
    try:
        found = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{where}: Labels is {cell!r}, expected a list such as ['pleural effusion']")
    return {name.strip().lower() for name in found} - {""}
