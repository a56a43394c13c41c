"""What the chest radiograph readers share: one name for one finding, label words, frontal pictures, files.

The same finding has the same column in all five data sets, so that what is learned on one can be judged on
another: ``FINDINGS`` is the map. A column is shared only where the sources mean the same: the nodule-or-mass
of VinDr-CXR is neither ``nodule`` nor ``mass``, its rib fracture is not the ``fracture`` of CheXpert. No two
data sets agree wholly, since each has its own labeller and its own rules.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from echossl.data.sources.tables import counted, joined
from echossl.data.uncertain import UNCERTAIN
from echossl.errors import UserError

Cohort = Literal["chestxray14", "chexpert", "vindr_cxr", "padchest"]
# column of the manifest to what the data sets call it; MIMIC-CXR-JPG has the columns of CheXpert
FINDINGS: dict[str, dict[Cohort, tuple[str, ...]]] = {
    "atelectasis": {
        "chestxray14": ("Atelectasis",),
        "chexpert": ("Atelectasis",),
        "vindr_cxr": ("Atelectasis",),
        "padchest": (
            *("atelectasis", "laminar atelectasis", "lobar atelectasis", "segmental atelectasis"),
            *("total atelectasis", "round atelectasis", "atelectasis basal"),
        ),
    },
    "cardiomegaly": {
        "chestxray14": ("Cardiomegaly",),
        "chexpert": ("Cardiomegaly",),
        "vindr_cxr": ("Cardiomegaly",),
        "padchest": ("cardiomegaly",),
    },
    "consolidation": {
        "chestxray14": ("Consolidation",),
        "chexpert": ("Consolidation",),
        "vindr_cxr": ("Consolidation",),
        "padchest": ("consolidation",),
    },
    "edema": {
        "chestxray14": ("Edema",),
        "chexpert": ("Edema",),
        "vindr_cxr": ("Edema",),
        "padchest": ("pulmonary edema",),
    },
    "emphysema": {
        "chestxray14": ("Emphysema",),
        "vindr_cxr": ("Emphysema",),
        "padchest": ("emphysema",),
    },
    "enlarged_cardiomediastinum": {"chexpert": ("Enlarged Cardiomediastinum",)},
    "fracture": {"chexpert": ("Fracture",)},
    "hernia": {"chestxray14": ("Hernia",), "padchest": ("hiatal hernia",)},
    "infiltration": {
        "chestxray14": ("Infiltration",),
        "vindr_cxr": ("Infiltration",),
        "padchest": ("infiltrates",),
    },
    "lung_lesion": {"chexpert": ("Lung Lesion",)},
    "lung_opacity": {"chexpert": ("Lung Opacity",), "vindr_cxr": ("Lung Opacity",)},
    "mass": {"chestxray14": ("Mass",), "padchest": ("mass", "pulmonary mass")},
    "no_finding": {
        "chestxray14": ("No Finding",),
        "chexpert": ("No Finding",),
        "vindr_cxr": ("No finding",),
        "padchest": ("normal",),
    },
    "nodule": {"chestxray14": ("Nodule",), "padchest": ("nodule", "multiple nodules")},
    "nodule_or_mass": {"vindr_cxr": ("Nodule/Mass",)},
    "pleural_effusion": {
        "chestxray14": ("Effusion",),
        "chexpert": ("Pleural Effusion",),
        "vindr_cxr": ("Pleural effusion",),
        "padchest": ("pleural effusion", "loculated pleural effusion"),
    },
    "pleural_other": {"chexpert": ("Pleural Other",)},
    "pleural_thickening": {
        "chestxray14": ("Pleural_Thickening",),
        "vindr_cxr": ("Pleural thickening",),
        "padchest": ("pleural thickening", "apical pleural thickening", "calcified pleural thickening"),
    },
    "pneumonia": {
        "chestxray14": ("Pneumonia",),
        "chexpert": ("Pneumonia",),
        "vindr_cxr": ("Pneumonia",),
        "padchest": ("pneumonia", "atypical pneumonia"),
    },
    "pneumothorax": {
        "chestxray14": ("Pneumothorax",),
        "chexpert": ("Pneumothorax",),
        "vindr_cxr": ("Pneumothorax",),
        "padchest": ("pneumothorax",),
    },
    "pulmonary_fibrosis": {
        "chestxray14": ("Fibrosis",),
        "vindr_cxr": ("Pulmonary fibrosis",),
        "padchest": ("pulmonary fibrosis",),
    },
    "rib_fracture": {"vindr_cxr": ("Rib fracture",), "padchest": ("rib fracture",)},
    "support_devices": {"chexpert": ("Support Devices",)},
    "tuberculosis": {"vindr_cxr": ("Tuberculosis",), "padchest": ("tuberculosis",)},
}
FRONTAL_VIEWS = ("pa", "ap", "ap_horizontal")
CELLS = {"": "", "0": "0", "0.0": "0", "1": "1", "1.0": "1", "-1": UNCERTAIN, "-1.0": UNCERTAIN}


def names_in(cohort: Cohort) -> dict[str, tuple[str, ...]]:
    """Column of the manifest to the names of a data set, of the findings that it has."""
    return {column: names[cohort] for column, names in FINDINGS.items() if cohort in names}


def finding_cells(cells: pd.Series, listing: Path, *, unmentioned: str = "") -> pd.Series:
    """Label cells of a table: ``1``, ``0``, ``uncertain`` (the -1 of CheXpert) or nothing.

    Args:
        cells: text, indexed by the row that a spreadsheet shows.
        listing: the table, for messages.
        unmentioned: what an empty cell becomes.

    Raises:
        UserError: at another word.
    """
    found = cells.map(CELLS)
    for row in cells.index[found.isna()]:
        raise UserError(f"{listing}: row {row}: {cells.name} is {cells[row]!r}, expected 1, 0, -1 or empty")
    return found.mask(found == "", unmentioned)


def listed_findings(
    present: Iterable[Collection[str]], assessed: Iterable[bool], cohort: Cohort, index: pd.Index
) -> pd.DataFrame:
    """Columns of findings from lists of those that are present.

    Args:
        present: of each picture the findings that are named, in lower case.
        assessed: whether the picture was read at all; if not, its cells are empty.
        cohort: whose names they are.
        index: of the pictures.

    Returns:
        ``1`` where a finding is named, else ``0``.
    """
    wanted = {column: {name.lower() for name in names} for column, names in names_in(cohort).items()}
    rows = [
        [str(int(not own.isdisjoint(named))) if read else "" for own in wanted.values()]
        for named, read in zip(map(set, present), assessed, strict=True)
    ]
    return pd.DataFrame(rows, index=index, columns=list(wanted), dtype=object)


@dataclass(frozen=True)
class Kept:
    """The rows that stay, and what was left out, in words."""

    table: pd.DataFrame
    note: str


def only_frontal(table: pd.DataFrame, *, frontal: bool, listing: Path) -> Kept:
    """The frontal pictures by the column ``view``, or all.

    Raises:
        UserError: if none is frontal.
    """
    if not frontal:
        return Kept(table, "")
    there = table["view"].isin(FRONTAL_VIEWS)
    if not there.any():
        found = ", ".join(sorted(set(table["view"])))
        raise UserError(
            f"{listing}: no frontal picture, found the views {found}; take all with frontal=false"
        )
    left_out = counted("left out, not frontal by the table", table.loc[~there, "path"].tolist())
    return Kept(table[there], left_out)


def existing(table: pd.DataFrame, listing: Path) -> Kept:
    """The rows whose file ``path`` is there.

    Raises:
        UserError: if none is.
    """
    there = np.array([Path(path).is_file() for path in table["path"]], dtype=bool)
    if not there.any():
        first = f"; the first is {table['path'].iloc[0]}" if len(table) else ""
        raise UserError(f"{listing}: none of the {len(table)} files that it lists is there{first}")
    lost = table.loc[~there, "path"].tolist()
    return Kept(table[there], counted(f"left out, of {len(table)} listed files not there", lost))


def finished(table: pd.DataFrame, source: str, *notes: str) -> pd.DataFrame:
    """The manifest: empty cells of findings are NaN, the note says what was left out and what is in doubt."""
    findings = [name for name in table.columns if name in FINDINGS]
    doubtful = int((table[findings] == UNCERTAIN).sum().sum())
    table = table.assign(source=source, **{name: table[name].mask(table[name] == "") for name in findings})
    doubt = f"{doubtful} cells are uncertain; labels.uncertain of finetune says what they count as"
    # of which finding nothing is known, no column is needed
    known = [name for name in table.columns if name not in findings or table[name].notna().any()]
    result = table[known].reset_index(drop=True)
    result.attrs["note"] = joined(*notes, doubt if doubtful else "")
    return result
