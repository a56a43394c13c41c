"""CheXpert: chest radiographs with fourteen labels of 1, 0, -1 (uncertain) or nothing (not mentioned).

Layout: ``train.csv`` and ``valid.csv`` (Path, Sex, Age, Frontal/Lateral, AP/PA and the findings), pictures in
``train/patient00001/study1/view1_frontal.jpg`` beside them; ``Path`` starts with the name of the release
(``CheXpert-v1.0-small``). Irvin et al., AAAI 2019, arXiv 1901.07031. A ``test.csv`` with the same columns is
taken where it lies there; what columns a later release of the test set has is not known for sure.
"""

from pathlib import Path, PurePosixPath

import pandas as pd

from echossl.config.sources import ChexpertSource
from echossl.data.sources.chest import existing, finding_cells, finished, names_in, only_frontal
from echossl.data.sources.tables import find_table, joined, read_table
from echossl.errors import UserError

TABLES = {"train.csv": "train", "valid.csv": "val", "test.csv": "test"}
SIDE, POSITION = "Frontal/Lateral", "AP/PA"
# Path is RELEASE/train/patient00001/study1/view1_frontal.jpg
PARTS = 5


def index_chexpert(root: Path, settings: ChexpertSource) -> pd.DataFrame:
    """List the pictures of CheXpert.

    Args:
        root: the data set, or a folder above it.
        settings: whether only frontal pictures are taken; what a finding that the report does not mention is.

    Returns:
        ``path, patient_id, study_id, view`` (pa, ap, lateral), ``split`` (train, val, test) and a column for
        each finding: 1, 0, ``uncertain`` or nothing.

    Raises:
        UserError: if a table, one of its columns or every picture is missing, or a cell is no label.
    """
    listing = find_table(root, "train.csv")
    tables = [
        _table(listing.with_name(name), split, settings)
        for name, split in TABLES.items()
        if listing.with_name(name).is_file()
    ]
    kept = only_frontal(pd.concat(tables, ignore_index=True), frontal=settings.frontal, listing=listing)
    found = existing(kept.table, listing)
    blank = "not assessed" if settings.unmentioned == "empty" else "0"
    rule = f"what a report does not mention is {blank}; valid.csv is the split val"
    test = "" if (listing.with_name("test.csv")).is_file() else "there is no test.csv, so no split test"
    return finished(found.table, "chexpert", joined(rule, test, kept.note, found.note))


def _table(listing: Path, split: str, settings: ChexpertSource) -> pd.DataFrame:
    names = {column: own for column, (own, *_) in names_in("chexpert").items()}
    rows = read_table(listing, ["Path", SIDE, POSITION, *names.values()])
    parts = [PurePosixPath(path).parts for path in rows["Path"]]
    for row, path, own in zip(rows.index, rows["Path"], parts, strict=True):
        if len(own) != PARTS:
            raise UserError(
                f"{listing}: row {row}: Path is {path!r}, expected RELEASE/{listing.stem}/patient00001/"
                "study1/view1_frontal.jpg"
            )
    table = pd.DataFrame(
        {
            "path": [str(listing.parent.absolute().joinpath(*own[1:])) for own in parts],
            "patient_id": [own[2] for own in parts],
            "study_id": [f"{own[2]}_{own[3]}" for own in parts],
            "view": _views(rows),
            "split": split,
        },
        index=rows.index,
    )
    unmentioned = "" if settings.unmentioned == "empty" else "0"
    for column, name in names.items():
        table[column] = finding_cells(rows[name], listing, unmentioned=unmentioned)
    return table


def _views(rows: pd.DataFrame) -> pd.Series:
    """The position of a frontal picture, ``ap`` where none is said or the patient lies; else ``lateral``."""
    lateral = rows[SIDE].str.lower() == "lateral"
    position = rows[POSITION].str.lower()
    known = position.where(position.isin(["pa", "ap"]), "ap")
    views: pd.Series = known.mask(lateral, "lateral")
    return views
