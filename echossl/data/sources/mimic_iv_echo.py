"""MIMIC-IV-ECHO: a tree of DICOM files, graded for aortic stenosis from the laboratory's measurements.

Layout: ``echo-record-list.csv`` (subject_id, study_id, acquisition_datetime, dicom_filepath),
``echo-study-list.csv`` (subject_id, study_id, study_datetime, …, from version 1.0 on measurement_id),
``structured-measurement.csv.gz`` (long, see ``mimic_measurements``) and
``files/p10/p10002221/s94106955/94106955_0001.dcm``; versions ``0.1`` and ``1.0`` may lie side by side.
Gow et al., PhysioNet, https://physionet.org/content/mimic-iv-echo/. Dates are read to join, never written.
"""

import math
from pathlib import Path, PurePosixPath

import pandas as pd

from echossl.config.sources import MimicIvEchoSource
from echossl.data.labels import CLASS_MAPS, apply_class_map
from echossl.data.sources.grades import MEASUREMENTS as MEASURED
from echossl.data.sources.grades import discordance, grade_columns
from echossl.data.sources.listed import FileIndex, match_files
from echossl.data.sources.mimic_measurements import read_examinations
from echossl.data.sources.tables import find_all, joined, read_header, read_table
from echossl.errors import UserError

RECORDS, STUDIES = "echo-record-list.csv", "echo-study-list.csv"
MEASUREMENTS = ("structured-measurement.csv", "structured_measurement.csv")
# the reader's word is the raw value of this map, the measurements that of the others
FROM_READER = "panecho_as"
PATH_COLUMNS = (
    "dicom_filepath",
    "dicom_path",
    "path",
    "file_path",
    "filepath",
    "filename",
    "file_name",
    "file",
)
VIEW_COLUMNS = ("view", "predicted_view", "view_label", "view_prediction", "pred_view", "prediction")
PUBLISHED = "stills and Doppler spectra are among the files; echossl check names what is no video"


def index_mimic_iv_echo(root: Path, settings: MimicIvEchoSource) -> pd.DataFrame:
    """List the DICOM files of MIMIC-IV-ECHO with the labels of their studies.

    Args:
        root: the folder of a version, or a folder above it.
        settings: where the measurements and the views are, how a study is joined to its examination, which
            class maps become columns, and whether those are empty where area and flow disagree.

    Returns:
        ``path, patient_id, study_id, source``, ``view`` where a table gives it, and of the study's
        examination ``peak_velocity_m_per_s, mean_gradient_mmhg, valve_area_cm2, lvef`` (percent),
        the class maps asked for, ``discordant`` (1: area and flow disagree about severe; empty where one was
        not measured) and ``as_reported`` (the reader's word). There are no published splits.
        ``attrs["note"]`` says what was assumed, refused and left out.

    Raises:
        UserError: if a table, a column or every file is missing.
    """
    lists = _record_lists(root)
    records = read_table(
        lists[-1], ["subject_id", "study_id", "dicom_filepath"], optional=["acquisition_datetime"]
    )
    # the pictures are the same in every version, and few download them twice
    folders = [path.parent for path in reversed(lists)]
    matched = match_files(records, "dicom_filepath", FileIndex(folders), lists[-1])
    rows = matched.table
    table = rows[["path"]].assign(
        patient_id=rows["subject_id"], study_id=rows["study_id"], source="mimic_iv_echo"
    )
    notes = [PUBLISHED, matched.note, _versions(lists)]
    if settings.views is not None:
        table["view"], note = _views(settings.views, table["path"])
        notes.append(note)
    labels, note = _labels(root, lists[-1], rows, settings)
    table = table.join(labels, on="study_id").reset_index(drop=True)
    table.attrs["note"] = joined(*notes, note)
    return table


def _record_lists(root: Path) -> list[Path]:
    """The list of files of every version, the newest last."""
    lists = find_all(root, RECORDS)
    if not lists:
        raise UserError(
            f"{root}: found no {RECORDS} here or in the folders below; give the downloaded data set"
        )
    return lists


def _versions(lists: list[Path]) -> str:
    if len(lists) == 1:
        return ""
    others = ", ".join(path.parent.name for path in lists[:-1])
    return f"tables of {lists[-1].parent.name}, files also from {others}"


def _views(path: Path, files: pd.Series) -> tuple[pd.Series, str]:
    """The view of every file from a table of predictions, empty where it has none."""
    header = read_header(path)
    found = {name.lower(): name for name in reversed(header)}
    where = next((found[name] for name in PATH_COLUMNS if name in found), None)
    what = next((found[name] for name in VIEW_COLUMNS if name in found), None)
    if where is None or what is None:
        wanted = PATH_COLUMNS if where is None else VIEW_COLUMNS
        raise UserError(f"{path}: found the columns {', '.join(header)}, expected one of {', '.join(wanted)}")
    rows = read_table(path, [where, what])
    views = {
        PurePosixPath(name).stem: view.lower() for name, view in zip(rows[where], rows[what], strict=True)
    }
    own = files.map(lambda file: views.get(PurePosixPath(file).stem, ""))
    without = int((own == "").sum())
    return own, f"views from {path.name}, none there for {without} of {len(own)} files"


def _labels(
    root: Path, listing: Path, records: pd.DataFrame, settings: MimicIvEchoSource
) -> tuple[pd.DataFrame, str]:
    """The label columns, indexed by study id, and what to say about them."""
    path = settings.measurements or _measurements_below(root)
    studies = _studies(root, listing, records)
    if path is None:
        empty = pd.DataFrame(index=studies.index)
        return empty, f"no {MEASUREMENTS[0]}(.gz) found, so there are no labels; give measurements=PATH"
    if not path.is_file():
        raise UserError(f"measurements: no such file {path}")
    subjects = sorted(set(records["subject_id"]))
    examinations, note = read_examinations(path, subjects, settings.test_types)
    joined_to = _examination_of(studies, examinations, settings.days)
    own = examinations.reindex(joined_to).set_axis(joined_to.index)
    graded, disagree = _graded(own, settings)
    # not rounded: a bound such as <4 m/s is the number next to 4 on its own side
    labels = own[[*MEASURED, "lvef"]].join(graded)
    said = f"{joined_to.notna().sum()} of {len(studies)} studies have measurements ({_kinds(settings)}, by "
    said += f"measurement_id, else the nearest within {settings.days:g} days)"
    return labels, joined(said, note, _set_aside(own), disagree)


def _kinds(settings: MimicIvEchoSource) -> str:
    return ", ".join(settings.test_types)


def _measurements_below(root: Path) -> Path | None:
    found = [path for name in MEASUREMENTS for path in find_all(root, name)]
    return found[-1] if found else None


def _studies(root: Path, listing: Path, records: pd.DataFrame) -> pd.DataFrame:
    """``subject_id, time, measurement_id`` of every study, indexed by study id."""
    first = records.drop_duplicates("study_id").set_index("study_id")
    studies = first[["subject_id"]].assign(measurement_id="")
    studies["time"] = pd.Series(pd.NaT, index=studies.index, dtype="datetime64[ns]")
    if "acquisition_datetime" in records:
        times = pd.to_datetime(records["acquisition_datetime"], errors="coerce", format="ISO8601")
        studies["time"] = times.groupby(records["study_id"]).min()
    beside = [path for path in find_all(root, STUDIES) if path.parent == listing.parent]
    if beside:
        rows = read_table(beside[-1], ["study_id"], optional=["study_datetime", "measurement_id"])
        rows = rows.drop_duplicates("study_id").set_index("study_id").reindex(studies.index)
        if "study_datetime" in rows:
            times = pd.to_datetime(rows["study_datetime"], errors="coerce", format="ISO8601")
            studies["time"] = times.fillna(studies["time"])
        if "measurement_id" in rows:
            studies["measurement_id"] = rows["measurement_id"].fillna("").str.removesuffix(".0")
    return studies


def _examination_of(studies: pd.DataFrame, examinations: pd.DataFrame, days: float) -> pd.Series:
    """The measurement id of every study, NaN where there is none.

    The id in the study list decides where there is one, also if that examination is of another kind or
    measured nothing of interest: another one would be another heart.
    """
    of_subject = dict(tuple(examinations[examinations["time"].notna()].groupby("subject_id")))
    owners = examinations["subject_id"].to_dict()
    chosen: dict[str, object] = {}
    for study, row in zip(studies.index, studies.itertuples(), strict=True):
        linked = str(row.measurement_id)
        if linked:
            chosen[study] = linked if owners.get(linked) == row.subject_id else math.nan
        else:
            chosen[study] = _nearest(of_subject.get(str(row.subject_id)), row.time, days)
    return pd.Series(chosen, dtype=object, name="measurement_id")


def _nearest(candidates: pd.DataFrame | None, time: object, days: float) -> object:
    if candidates is None or not isinstance(time, pd.Timestamp) or pd.isna(time):
        return math.nan
    distances = (candidates["time"] - time).abs()
    return distances.idxmin() if distances.min() <= pd.Timedelta(days=days) else math.nan


def _graded(own: pd.DataFrame, settings: MimicIvEchoSource) -> tuple[pd.DataFrame, str]:
    """The class maps, ``discordant`` and the reader's word of every study; and how many disagree."""
    measured = own.loc[~_is_set_aside(own), [*MEASURED]].reindex(own.index)
    discordant = discordance(measured)
    disagree = discordant == 1
    what = "studies whose area and flow disagree about severe"
    note = f"{what}, graded by flow (discordant=drop leaves them out): {disagree.sum()}"
    if settings.discordant == "drop":
        measured = measured[~disagree].reindex(own.index)
        note = f"{what}, not graded: {disagree.sum()}"
    by_measurement = [name for name in settings.labels if name != FROM_READER]
    columns = grade_columns(measured, by_measurement)
    if FROM_READER in settings.labels:
        columns[FROM_READER] = apply_class_map(own["as_reported"], CLASS_MAPS[FROM_READER])
    reported = own["as_reported"].mask(own["as_reported"] == "")
    return columns.assign(discordant=discordant, as_reported=reported), note if disagree.any() else ""


def _is_set_aside(own: pd.DataFrame) -> pd.Series:
    """Studies whose velocity does not grade a native valve: a prosthesis, or high flow as the reader says."""
    return own[["prosthesis", "high_flow"]].eq(other=True).any(axis=1)


def _set_aside(own: pd.DataFrame) -> str:
    count = int(_is_set_aside(own).sum())
    what = "studies not graded because of a prosthesis, or of high flow as the reader says"
    return f"{what}: {count}" if count else ""
