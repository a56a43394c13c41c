"""EchoNet-LVH: parasternal long-axis videos with wall thicknesses and diameters, published splits.

Layout: ``MeasurementsList.csv`` with one row per measurement (HashedFileName without suffix, Calc, CalcValue
in cm, Frame, X1, X2, Y1, Y2, Frames, FPS, Width, Height, split, and a column of row numbers without a name)
beside ``Batch1/`` to ``Batch4/``. Duffy et al., JAMA Cardiology 2022, https://echonet.github.io/lvh/. The
release holds no diagnosis: none of aortic stenosis, amyloidosis or hypertrophic cardiomyopathy.
"""

from pathlib import Path

import pandas as pd

from echossl.config.sources import EchonetLvhSource
from echossl.data.sources.listed import FileIndex, match_files
from echossl.data.sources.tables import find_table, joined, known_numbers, read_table, split_names
from echossl.errors import UserError

LISTING = "MeasurementsList.csv"
# septum, cavity and posterior wall of the left ventricle, at the end of diastole (d) and systole (s)
CALCULATIONS = ("IVSd", "LVIDd", "LVPWd", "IVSs", "LVIDs", "LVPWs")
PLAUSIBLE_CM = (0.0, 15.0)
ASSUMED = (
    "one file is taken as one patient, since the release has no patient ids",
    "a measurement that was taken several times in a video is averaged",
    "frame rates and frame counts come from the files, not from the table",
)


def index_echonet_lvh(root: Path, settings: EchonetLvhSource) -> pd.DataFrame:
    """List the videos of EchoNet-LVH, one row each.

    Args:
        root: the data set, or a folder above it.
        settings: there is nothing to set.

    Returns:
        ``path, patient_id, study_id, view, source, split`` and the labels in cm: ``ivsd_cm, lvidd_cm,
        lvpwd_cm`` and, where measured in any video, ``ivss_cm, lvids_cm, lvpws_cm``. ``attrs["note"]`` says
        what was assumed and left out.

    Raises:
        UserError: if the table, one of its columns, or every video is missing, or a video has two splits.
    """
    del settings
    listing = find_table(root, LISTING)
    rows = read_table(listing, ["HashedFileName", "Calc", "CalcValue", "split"])
    rows = rows.assign(split=split_names(rows["split"], listing))
    values, note = known_numbers(rows["CalcValue"], between=PLAUSIBLE_CM)
    videos = _one_row_each(rows, listing)
    matched = match_files(videos, "HashedFileName", FileIndex([listing.parent]), listing)
    names = matched.table["HashedFileName"]
    table = pd.DataFrame(
        {
            "path": matched.table["path"],
            "patient_id": [Path(path).stem for path in matched.table["path"]],
            "study_id": [Path(path).stem for path in matched.table["path"]],
            "view": "plax",
            "source": "echonet_lvh",
            "split": matched.table["split"],
        }
    )
    measured = _measurements(rows, values)
    for name in measured:
        table[name] = measured[name].reindex(names).to_numpy()
    table = table.reset_index(drop=True)
    table.attrs["note"] = joined(*ASSUMED, matched.note, note, _other_calculations(rows))
    return table


def _one_row_each(rows: pd.DataFrame, listing: Path) -> pd.DataFrame:
    """The first row of every video; its split must be that of the others."""
    first = rows.drop_duplicates("HashedFileName")
    splits = rows["HashedFileName"].map(dict(zip(first["HashedFileName"], first["split"], strict=True)))
    for row in rows.index[rows["split"] != splits]:
        name, split = rows.loc[row, ["HashedFileName", "split"]]
        raise UserError(
            f"{listing}: row {row}: {name} is in split {split}, above in {splits[row]}; correct it"
        )
    return first


def _measurements(rows: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """Wide from long: one row per video name, one column in cm per calculation that occurs."""
    wanted = {calculation.lower(): f"{calculation.lower()}_cm" for calculation in CALCULATIONS}
    long = rows.assign(value=values, name=rows["Calc"].str.lower().map(wanted))
    wide = long.pivot_table(index="HashedFileName", columns="name", values="value", aggfunc="mean")
    return wide[[name for name in wanted.values() if name in wide]]


def _other_calculations(rows: pd.DataFrame) -> str:
    known = {calculation.lower() for calculation in CALCULATIONS}
    others = sorted({name for name in rows["Calc"] if name.lower() not in known})
    return f"calculations that are not taken: {', '.join(others)}" if others else ""
