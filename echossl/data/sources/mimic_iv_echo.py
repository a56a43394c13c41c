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
from echossl.data.severity import grade_from
from echossl.data.sources.listed import FileIndex, match_files
from echossl.data.sources.mimic_measurements import read_examinations
from echossl.data.sources.tables import find_all, joined, read_header, read_table
from echossl.errors import UserError

RECORDS, STUDIES = "echo-record-list.csv", "echo-study-list.csv"
MEASUREMENTS = ("structured-measurement.csv", "structured_measurement.csv")
MEASURED = ("peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2", "lvef")
GRADED = ("as_acc_aha_2020", "as_severe", "discordant", "as_reported")
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
        settings: where the measurements and the views are, and how a study is joined to its examination.

    Returns:
        ``path, patient_id, study_id, source``, ``view`` where a table gives it, and of the study's
        examination ``peak_velocity_m_per_s, mean_gradient_mmhg, valve_area_cm2, lvef`` (percent),
        ``as_acc_aha_2020``, ``as_severe``, ``discordant`` (1: area and flow disagree about severe; empty
        where one was not measured) and ``as_reported`` (the reader's word). There are no published splits.
        ``attrs["note"]`` says what was assumed, refused and left out.

    Raises:
        UserError: if a table, a column or every file is missing.
    """
    lists = find_all(root, RECORDS)
    if not lists:
        raise UserError(
            f"{root}: found no {RECORDS} here or in the folders below; give the downloaded data set"
        )
    listing = lists[-1]
    records = read_table(
        listing, ["subject_id", "study_id", "dicom_filepath"], optional=["acquisition_datetime"]
    )
    # the pictures are the same in every version, and few download them twice
    folders = [path.parent for path in reversed(lists)]
    matched = match_files(records, "dicom_filepath", FileIndex(folders), listing)
    rows = matched.table
    table = pd.DataFrame(
        {
            "path": rows["path"],
            "patient_id": rows["subject_id"],
            "study_id": rows["study_id"],
            "source": "mimic_iv_echo",
        }
    )
    notes = [PUBLISHED, matched.note, _versions(lists)]
    if settings.views is not None:
        table["view"], note = _views(settings.views, table["path"])
        notes.append(note)
    labels, note = _labels(root, listing, rows, settings)
    table = table.join(labels, on="study_id").reset_index(drop=True)
    table.attrs["note"] = joined(*notes, note)
    return table


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
    labels = own[[*MEASURED]].join(_grades(own))
    said = f"{joined_to.notna().sum()} of {len(studies)} studies have measurements ({_kinds(settings)}, by "
    said += f"measurement_id, else the nearest within {settings.days:g} days)"
    return labels.round(4), joined(said, note, _set_aside(own))


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


def _grades(own: pd.DataFrame) -> pd.DataFrame:
    """Grade, severe, discordant, and the reader's word, of every study."""
    aside = _is_set_aside(own)
    rows = [
        _graded(velocity, gradient, area) if not is_aside else (math.nan,) * 3
        for velocity, gradient, area, is_aside in zip(
            *(own[name] for name in MEASURED[:3]), aside, strict=True
        )
    ]
    grades = pd.DataFrame(rows, index=own.index, columns=list(GRADED[:3]))
    return grades.assign(as_reported=own["as_reported"].mask(own["as_reported"].isin(("",))))


def _graded(velocity: float, gradient: float, area: float) -> tuple[object, float, float]:
    """NaN where nothing was measured; whether area and flow disagree needs both."""
    has_flow = not (math.isnan(velocity) and math.isnan(gradient))
    if not has_flow and math.isnan(area):
        return math.nan, math.nan, math.nan
    graded = grade_from(velocity, gradient, area)
    discordant = float(graded.discordant) if has_flow and not math.isnan(area) else math.nan
    return graded.grade, float(graded.severe), discordant


def _is_set_aside(own: pd.DataFrame) -> pd.Series:
    """Studies whose velocity does not grade a native valve: a prosthesis, or high flow as the reader says."""
    return own[["prosthesis", "high_flow"]].eq(other=True).any(axis=1)


def _set_aside(own: pd.DataFrame) -> str:
    count = int(_is_set_aside(own).sum())
    what = "studies not graded because of a prosthesis, or of high flow as the reader says"
    return f"{what}: {count}" if count else ""
