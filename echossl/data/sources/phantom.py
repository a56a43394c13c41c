"""A phantom folder as a manifest; it takes the videos and the measurements, never the truth."""

from pathlib import Path

import pandas as pd

from echossl.config.sources import PhantomSource
from echossl.data.sources.grades import grade_columns
from echossl.errors import UserError

LABELS = ("severe_as", "as_grade", "peak_velocity_m_per_s", "mean_gradient_mmhg", "valve_area_cm2")


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
    table["view"], table["source"] = "plax", "phantom"
    columns = ["path", "patient_id", "study_id", "view", "source", "report", *LABELS]
    return table[columns].join(grade_columns(table, settings.labels))
