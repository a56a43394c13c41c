"""TMED-2, stills of four views with a diagnosis of aortic stenosis (Huang et al., 2022).

The pictures of a study are separate views and moments, so each is a row of its own and never a frame of a
video: T = 1.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from echossl.config.sources import Tmed2Source
from echossl.data.labels import CLASS_MAPS, apply_class_map
from echossl.data.sources.listed import FileIndex
from echossl.data.sources.tables import (
    STRICTEST_FIRST,
    counted,
    find_all,
    joined,
    read_table,
    strictest_splits,
)
from echossl.errors import UserError

# 4860s1_0.png is picture 0 of study 1 of patient 4860
KEY = re.compile(r"(?P<patient>\d+)s(?P<study>\d+)_\d+(\.png)?", re.IGNORECASE)
VIEWS = {"a4cora2corother": "other", "not_provided": ""}
NO_DIAGNOSIS = "not_provided"
DIAGNOSIS_SPLIT, VIEW_SPLIT = "diagnosis_classifier_split", "view_classifier_split"
OPTIONAL = ("SourceFolder", "view_label", "diagnosis_label", DIAGNOSIS_SPLIT, VIEW_SPLIT)


@dataclass(frozen=True)
class _Kept:
    """The rows that stay, and what was left out, in words."""

    table: pd.DataFrame
    note: str


def index_tmed2(root: Path, settings: Tmed2Source) -> pd.DataFrame:
    """List the pictures of TMED-2.

    Args:
        root: ``approved_users_only``, or a folder that holds it.
        settings: fold and subset of the published splits; whether pictures without a diagnosis are taken; the
            class maps of the diagnosis.

    Returns:
        One row per picture: path (absolute), patient_id, study_id, view (plax, psax, a2c, a4c, other; empty
        if nobody said), source, split, and the diagnosis of the study by the class maps asked for.

        The split is that of the diagnosis classifier. A patient is in one split only: pictures with a
        diagnosis that the published split gives to a second one are left out there (test goes before val,
        val before train), and pictures without a diagnosis follow their patient, or are in ``train``.

    Raises:
        UserError: if the tables are not there or their columns or values are others.
    """
    listing = _listing(root, settings)
    table = _with_ids(_read(listing), listing)
    files = FileIndex([listing.parent.parent])
    found = _on_disk(table, files)
    assessed = found.table if settings.unlabelled else found.table[_has_diagnosis(found.table)]
    kept = _in_one_split(assessed)
    diagnoses = kept.table["diagnosis_label"].rename(f"{listing}: diagnosis_label")
    words = kept.table["view_label"].str.lower()
    result = kept.table[["path", "patient_id", "study_id"]].assign(
        view=words.replace(VIEWS), source="tmed2", split=kept.table["split"]
    )
    for name in settings.labels:
        result[name] = apply_class_map(diagnoses, CLASS_MAPS[name])
    rule = f"splits of fold {settings.fold} of {settings.subset} for diagnoses"
    without = "" if _unlabelled_part(listing) else "no table of unlabelled pictures is there"
    result = result.reset_index(drop=True)
    result.attrs["note"] = joined(rule, found.note, kept.note, without)
    return result


def _listing(root: Path, settings: Tmed2Source) -> Path:
    """The table of the labelled pictures; the same name is there once for each subset."""
    name = f"TMED2_fold{settings.fold}_labeledpart.csv"
    found = find_all(root, name)
    of_subset = [path for path in found if path.parent.name.casefold() == settings.subset.casefold()]
    if not of_subset:
        where = f"; found it in {', '.join(path.parent.name for path in found)}" if found else ""
        raise UserError(
            f"{root}: found no {settings.subset}/{name} here or in the folders below{where}; "
            "give the folder approved_users_only, or another subset"
        )
    return of_subset[0]


def _unlabelled_part(listing: Path) -> Path | None:
    name = listing.name.lower().replace("_labeledpart", "_unlabeledpart")
    return next(iter(find_all(listing.parent, name)), None)


def _read(listing: Path) -> pd.DataFrame:
    """Both tables of a fold as text; a picture that stands in both is taken as labelled."""
    labelled = read_table(listing, ["query_key", *OPTIONAL])
    unlabelled_part = _unlabelled_part(listing)
    if unlabelled_part is None:
        return labelled
    # what else its columns are is not known for sure, so that only the key is a must
    unlabelled = read_table(unlabelled_part, ["query_key"], optional=OPTIONAL)
    new = unlabelled[~unlabelled["query_key"].isin(labelled["query_key"])]
    return pd.concat([labelled, new.reindex(columns=labelled.columns, fill_value="")])


def _with_ids(table: pd.DataFrame, listing: Path) -> pd.DataFrame:
    matches = [KEY.fullmatch(key) for key in table["query_key"]]
    for row, key, match in zip(table.index, table["query_key"], matches, strict=True):
        if match is None:
            raise UserError(f"{listing}: row {row}: query_key is {key!r}, expected one like 4860s1_0.png")
    patients = [match["patient"] for match in matches if match]
    studies = [f"{match['patient']}s{match['study']}" for match in matches if match]
    return table.assign(patient_id=patients, study_id=studies)


def _on_disk(table: pd.DataFrame, files: FileIndex) -> _Kept:
    """The rows whose picture is there, with its path."""
    paths = [
        files.find(f"{folder}/{key}") or files.find(key)
        for folder, key in zip(table["SourceFolder"], table["query_key"], strict=True)
    ]
    there = [path is not None for path in paths]
    lost = table.loc[[not is_there for is_there in there], "query_key"].tolist()
    where = files.folders[0]
    if len(lost) == len(table):
        raise UserError(f"{where}: none of the {len(table)} listed pictures is there; unpack all parts there")
    found = table.assign(path=[str(path) for path in paths])[there]
    note = counted(f"of {len(table)} listed pictures not there and left out", lost)
    return _Kept(
        found, joined(note, counted("pictures that no table lists, left out", files.others(found["path"])))
    )


def _has_diagnosis(table: pd.DataFrame) -> pd.Series:
    return ~table["diagnosis_label"].str.lower().isin(("", NO_DIAGNOSIS))


def _in_one_split(table: pd.DataFrame) -> _Kept:
    """Give every patient to one split, without adding anything to a published one."""
    published = table[DIAGNOSIS_SPLIT].str.lower().where(_has_diagnosis(table), "")
    by_diagnosis = strictest_splits(table["patient_id"], published)
    by_view = strictest_splits(table["patient_id"], table[VIEW_SPLIT].str.lower())
    own = table["patient_id"].map(by_view | by_diagnosis).fillna("train")
    elsewhere = published.isin(STRICTEST_FIRST) & (published != own)
    left_out = table.loc[elsewhere, "query_key"].tolist()
    note = counted("pictures of patients that the publishers put in a stricter split too, left out", left_out)
    return _Kept(table.assign(split=own)[~elsewhere], note)
