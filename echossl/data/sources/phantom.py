"""A phantom folder as a manifest; it takes the videos and the measurements, never the truth."""

from pathlib import Path

import pandas as pd

from echossl.config.sources import PhantomSource
from echossl.data.sources.grades import grade_columns
from echossl.errors import UserError

LABELS = ("severe_as", "as_grade", "peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2")
# 0, 1, nothing, or the word uncertain; there only where the phantom was asked for them
FINDINGS = (
    "aortic_stenosis",
    "left_atrial_enlargement",
    "left_ventricular_hypertrophy",
    "pericardial_effusion",
)


def index_phantom(root: Path, settings: PhantomSource) -> pd.DataFrame:
    """List the videos of a phantom.

    Args:
        root: folder made by ``echossl phantom``.
        settings: class maps whose columns are added, graded from the measurements.

    Returns:
        One row per video: path (absolute), patient_id, study_id, view, source, report and the label columns.

    Raises:
        UserError: if the folder is missing, is not a phantom, or is not finished.
    """
    if not (root / "phantom.json").is_file():
        raise UserError(
            f"{root}: no phantom.json here, expected a finished phantom; run echossl phantom {root} first"
        )
    # "none" is a grade here, not a missing value
    patients = pd.read_csv(root / "patients.csv", keep_default_na=False)
    videos = pd.DataFrame(
        [(str(path.resolve()), path.parent.name) for path in sorted((root / "videos").glob("P*/P*_*.*"))],
        columns=["path", "patient_id"],
    )
    missing = sorted(set(patients["patient_id"]) - set(videos["patient_id"]))
    if missing:
        raise UserError(
            f"{root / 'videos'}: no videos of {missing[0]} ({len(missing)} patients in all); make it again"
        )
    table = videos.merge(patients, on="patient_id", how="inner", validate="many_to_one")
    table["view"] = _views(root, table["path"])
    if "source" not in table:
        table["source"] = "phantom"
    findings = [name for name in FINDINGS if name in table]
    columns = ["path", "patient_id", "study_id", "view", "source", "report", *LABELS, *findings]
    return table[columns].join(grade_columns(table, settings.labels))


def _views(root: Path, paths: pd.Series) -> list[str]:
    """The view of each video; without a table of them all are of the parasternal long axis."""
    table = root / "videos.csv"
    if not table.is_file():
        return ["plax"] * len(paths)
    known = pd.read_csv(table)
    views = {
        str((root / path).resolve()): view for path, view in zip(known["path"], known["view"], strict=True)
    }
    unknown = [path for path in paths if path not in views]
    if unknown:
        raise UserError(f"{table}: does not list {unknown[0]}; make the phantom again")
    return [views[path] for path in paths]
