"""A small copy of MIMIC-IV-ECHO in the form of version 1.0."""

import shutil
from pathlib import Path

import pandas as pd
from layout_echonet_files import number_of

from echossl.data import read_manifest
from echossl.data.sources import index_source
from echossl.phantom.encode import write_video
from echossl.video import open_video

MEASUREMENTS = "structured-measurement.csv.gz"
REPORTED = {
    "mild": "Mild (>1.5cm2)",
    "moderate": "Mod (1.0-1.5cm2)",
    "severe": "Severe (<1.0cm2)",
}


def subject_of(patient_id: str) -> int:
    return 10_000_000 + number_of(patient_id)


def study_of(patient_id: str) -> int:
    return 94_000_000 + number_of(patient_id)


def measurement_of(patient_id: str) -> int:
    return 70_000_000 + number_of(patient_id)


def lvef_of(patient_id: str) -> int:
    return 35 + number_of(patient_id) % 8 * 5


def build_mimic_iv_echo(phantom_manifest: pd.DataFrame, root: Path) -> None:
    """Write ``1.0/`` with its three tables and ``files/pNN/pSUBJECT/sSTUDY/STUDY_NNNN.dcm``."""
    version = root / "1.0"
    records, studies, measured = [], [], []
    for number, (patient, videos) in enumerate(phantom_manifest.groupby("patient_id", sort=True)):
        day = pd.Timestamp("2150-03-01 10:15:00") + pd.Timedelta(days=30 * number)
        subject, study = subject_of(str(patient)), study_of(str(patient))
        for place, path in enumerate(videos["path"], start=1):
            name = f"files/p{str(subject)[:2]}/p{subject}/s{study}/{study}_{place:04d}.dcm"
            _write_dicom(Path(path), version / name, str(patient), place)
            records.append((subject, study, day + pd.Timedelta(minutes=place), name))
        # every other study is linked by its time only
        linked = measurement_of(str(patient)) if number % 2 == 0 else None
        studies.append((subject, study, day, None, None, None, linked))
        measured += _measurements(videos.iloc[0], day + pd.Timedelta(hours=20))
    _write_tables(version, records, studies, measured)


def _write_dicom(source: Path, path: Path, patient: str, place: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".dcm":
        shutil.copyfile(source, path)
        return
    with open_video(source) as video:
        frames, rate = video.read_grey(range(video.num_frames)), video.fps or 30.0
    tags = {"patient_id": patient, "sex": "F", "age": 70, "study": patient, "video": place}
    write_video(path, frames, rate, "dcm", tags | {"cm_per_pixel": 0.05, "compressed": 1})


def _measurements(row: pd.Series, time: pd.Timestamp) -> list[tuple[object, ...]]:
    """Both ways of reporting in turn: other units, the ejection fraction as a range or by method."""
    patient = str(row["patient_id"])
    velocity, gradient, area = (
        float(row[name]) for name in ("peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2")
    )
    fraction, own = lvef_of(patient), []
    if number_of(patient) % 2:
        own = [
            ("height_cm", "Height", "170", "cm"),
            ("av_pk_vel", "Aortic Valve - Peak Velocity", f"{velocity:.2f}", "m/s"),
            ("av_mean_grad", "Aortic Valve - Mean Gradient", f"{gradient:.1f}", "mmHg"),
            ("av_area_continuity", "Aortic Valve - Area", f"{area:.2f}", "cm2"),
            ("lvef", "LVEF", str(fraction - 5), "%"),
            ("lvef_upper", "LVEF upper", str(fraction + 5), "%"),
        ]
    else:
        own = [
            ("gender", "Gender", "F", ""),
            ("av_pk_vel", "Aortic Valve - Peak Velocity", f"{100 * velocity:.0f}", "cm/sec"),
            ("av_mean_grad", "Aortic Valve - Mean Gradient", f"{gradient:.1f}", "mm Hg"),
            ("av_area_continuity", "Aortic Valve - Area", f"{100 * area:.0f}", "mm²"),
            ("biplane_lvef", "LVEF biplane", f"{fraction}", "%"),
        ]
    if row["as_grade"] != "none":
        own.append(("aortic_stenosis", "Aortic Valve - Stenosis", REPORTED[row["as_grade"]], ""))
    ids = (subject_of(patient), measurement_of(patient), time)
    # what was measured through the oesophagus a day later is another examination
    other = (subject_of(patient), measurement_of(patient) + 500_000, time + pd.Timedelta(days=1), "tee")
    return [(*ids, "tte", *line) for line in own] + [(*other, "av_pk_vel", "", "7.77", "m/s")]


def _write_tables(version: Path, records: list, studies: list, measured: list) -> None:
    columns = ["subject_id", "study_id", "acquisition_datetime", "dicom_filepath"]
    pd.DataFrame(records, columns=columns).to_csv(version / "echo-record-list.csv", index=False)
    columns = [*columns[:2], "study_datetime", "note_id", "note_seq", "note_charttime", "measurement_id"]
    table = pd.DataFrame(studies, columns=columns).astype({"measurement_id": "Int64"})
    table.to_csv(version / "echo-study-list.csv", index=False)
    columns = ["subject_id", "measurement_id", "measurement_datetime", "test_type"]
    columns += ["measurement", "measurement_description", "result", "unit"]
    table = pd.DataFrame(measured, columns=columns)
    table.to_csv(version / MEASUREMENTS, index=False)


def index(root: Path, out: Path, *options: str) -> pd.DataFrame:
    """What is written and read again, with the note of the source."""
    written = index_source("mimic_iv_echo", root, out=out / "manifest.csv", options=options)
    table = read_manifest(out / "manifest.csv")
    table.attrs["note"] = written.attrs["note"]
    return table


def measurements(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "1.0" / MEASUREMENTS, dtype=str, keep_default_na=False)


def rewrite(root: Path, table: pd.DataFrame) -> None:
    table.to_csv(root / "1.0" / MEASUREMENTS, index=False)


def change(root: Path, patient: str, name: str, **cells: str) -> None:
    """Other cells in one patient's measurement of the first examination."""
    table = measurements(root)
    own = table["measurement_id"] == str(measurement_of(patient))
    table.loc[own & (table["measurement"] == name), list(cells)] = list(cells.values())
    rewrite(root, table)


def add(root: Path, patient: str, name: str, result: str, unit: str = "", **others: str) -> None:
    table = measurements(root)
    row = table[table["measurement_id"] == str(measurement_of(patient))].iloc[0]
    line = row.to_dict() | {"measurement": name, "result": result, "unit": unit} | others
    rewrite(root, pd.concat([table, pd.DataFrame([line])], ignore_index=True))


def study(table: pd.DataFrame, patient: str) -> pd.Series:
    """The first row of a patient's study."""
    return table[table["study_id"].astype(str) == str(study_of(patient))].iloc[0]
