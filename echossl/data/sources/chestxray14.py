"""ChestX-ray14: frontal chest radiographs with fourteen findings mined from reports.

Layout: ``Data_Entry_2017.csv`` (Image Index, Finding Labels, Patient ID, View Position, ...; findings parted
by ``|``), ``train_val_list.txt`` and ``test_list.txt`` with a file name a line, pictures in
``images_001/images/`` to ``images_012/images/``. Wang et al., CVPR 2017, arXiv 1705.02315. All are frontal.
"""

from pathlib import Path

import pandas as pd

from echossl.config.sources import ChestXray14Source
from echossl.data.sources.chest import finished, listed_findings, names_in
from echossl.data.sources.listed import FileIndex, match_files
from echossl.data.sources.tables import counted, find_table, joined, read_table
from echossl.errors import UserError

LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}


def index_chestxray14(root: Path, settings: ChestXray14Source) -> pd.DataFrame:
    """List the pictures of ChestX-ray14.

    Args:
        root: the data set, or a folder above it.
        settings: none but its name.

    Returns:
        ``path, patient_id, study_id`` (patient and follow-up number), ``view`` (pa, ap), ``split`` (train,
        test: the published lists, of which the first is for training and validation) and a column of 0 and 1
        for each finding. A finding that is not named is 0: the labels come from whole reports.

    Raises:
        UserError: if a table, a list, a column or every picture is missing, or a finding is not known.
    """
    del settings
    listing = find_table(root, "Data_Entry_2017.csv")
    columns = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "View Position"]
    matched = match_files(read_table(listing, columns), "Image Index", FileIndex([listing.parent]), listing)
    rows = matched.table
    splits = _splits(listing.parent)
    own = rows["Image Index"].map(splits)
    left_out = counted("left out, in neither list of a split", rows.loc[own.isna(), "Image Index"].tolist())
    rows = rows[own.notna()]
    if rows.empty:
        raise UserError(f"{listing.parent}: no picture is in {' or '.join(LISTS.values())}")
    table = pd.DataFrame({"path": rows["path"], "patient_id": rows["Patient ID"]})
    table["study_id"] = rows["Patient ID"] + "_" + rows["Follow-up #"]
    table["view"], table["split"] = rows["View Position"].str.lower(), own[own.notna()]
    named = [[name.strip().lower() for name in cell.split("|")] for cell in rows["Finding Labels"]]
    _refuse_unknown(rows, named, listing)
    findings = listed_findings(named, [True] * len(rows), "chestxray14", rows.index)
    lists = "splits are the published lists, without a val"
    return finished(table.join(findings), "chestxray14", joined(lists, matched.note, left_out))


def _splits(folder: Path) -> dict[str, str]:
    """File name to split."""
    found: dict[str, str] = {}
    for split, name in LISTS.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; put the published list beside Data_Entry_2017.csv")
        found |= dict.fromkeys(path.read_text(encoding="utf-8").split(), split)
    return found


def _refuse_unknown(rows: pd.DataFrame, named: list[list[str]], listing: Path) -> None:
    known = {name.lower() for names in names_in("chestxray14").values() for name in names}
    for row, names in zip(rows.index, named, strict=True):
        strange = [name for name in names if name not in known]
        if strange:
            raise UserError(
                f"{listing}: row {row}: finding {strange[0]!r}, expected one of {', '.join(known)}"
            )
