"""VinDr-CXR: frontal chest radiographs, each read by three radiologists (train) or by consensus (test).

Layout: ``annotations/image_labels_train.csv`` (image_id, rad_id, findings of 0 and 1; a row for each reader),
``annotations/image_labels_test.csv`` (image_id, findings; a row for each picture), pictures in ``train/`` and
``test/`` (``IMAGE_ID.dicom``). Nguyen et al., Scientific Data 2022, arXiv 2012.15029. No patients are
published: a picture is taken for a patient of its own, which its authors do not promise.
"""

from pathlib import Path

import pandas as pd

from echossl.config.sources import VindrCxrSource
from echossl.data.sources.chest import existing, finding_cells, finished, names_in
from echossl.data.sources.tables import find_table, joined, read_header, read_table
from echossl.data.uncertain import UNCERTAIN
from echossl.errors import UserError

READER = "rad_id"
SUFFIXES = (".dicom", ".dcm", ".png", ".jpg", ".jpeg")


def index_vindr_cxr(root: Path, settings: VindrCxrSource) -> pd.DataFrame:
    """List the pictures of VinDr-CXR.

    Args:
        root: the data set, or a folder above it.
        settings: whose reading of the training pictures counts.

    Returns:
        ``path, patient_id`` (the picture's id), ``view`` (pa), ``split`` (train, test) and a column for each
        finding. By ``majority`` more than half of a picture's readers decide, and half is ``uncertain``; by
        ``any`` one is enough; by a reader's id pictures that he or she did not read have empty cells. The
        test pictures have one row each, the consensus.

    Raises:
        UserError: if a table, a column or every picture is missing, a cell is no label, or nobody has the id.
    """
    notes, tables = [], []
    for split in ("train", "test"):
        listing = find_table(root, f"image_labels_{split}.csv")
        labels, said = _labels(listing, settings if split == "train" else VindrCxrSource())
        folder = listing.parent.absolute().parent / split
        found = existing(labels.assign(path=[_file(folder, name) for name in labels.index]), listing)
        tables.append(found.table.assign(patient_id=found.table.index, view="pa", split=split))
        notes += [said, found.note]
    table = pd.concat(tables)
    first = ["path", "patient_id", "view", "split"]
    own = [name for name in table.columns if name not in first]
    notes.append("no patients are published: each picture is taken for a patient of its own")
    return finished(table[[*first, *own]], "vindr_cxr", joined(*notes))


def _labels(listing: Path, settings: VindrCxrSource) -> tuple[pd.DataFrame, str]:
    """Findings by image id, and how several readers became one."""
    names = {column: own for column, (own, *_) in names_in("vindr_cxr").items()}
    several = READER in [name.lower() for name in read_header(listing)]
    rows = read_table(listing, ["image_id", *names.values()], optional=[READER])
    votes = pd.DataFrame({column: finding_cells(rows[own], listing) for column, own in names.items()})
    votes = votes.replace({"": None, UNCERTAIN: None}).astype(float)
    pictures = pd.Index(rows["image_id"].drop_duplicates())
    if settings.reader != "majority" and not several:
        raise UserError(
            f"reader: {listing} has no column {READER}, so {settings.reader} cannot be told; leave it out"
        )
    if settings.reader not in {"majority", "any"}:
        by = rows[READER] == settings.reader
        if not by.any():
            known = ", ".join(sorted(set(rows[READER])))
            raise UserError(f"reader: {listing} has none {settings.reader!r}; found {known}")
        rows, votes = rows[by], votes[by]
        said = f"readings of {settings.reader} alone"
    else:
        said = f"labels by {settings.reader} of the readers" if several else ""
    share = votes.groupby(rows["image_id"]).mean().reindex(pictures)
    cut = share > 0 if settings.reader == "any" else share > 0.5
    cells = cut.astype(int).astype(str).mask(share.isna(), "")
    if settings.reader != "any":
        cells = cells.mask(share == 0.5, UNCERTAIN)
    return cells.rename_axis(None), said


def _file(folder: Path, name: str) -> str:
    """The picture of an id, with whatever suffix it was saved; that of the original where none is there."""
    there = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
    return str(next((path for path in there if path.is_file()), folder / f"{name}{SUFFIXES[0]}"))
