"""A small copy of EchoNet-LVH in its published form."""

from pathlib import Path

import pandas as pd
from layout_echonet_files import first_videos, hashed_name, number_of, split_of, write_avi

BATCHES = 4


def measurements_cm(row: pd.Series) -> dict[str, float]:
    """Made of the velocity: thick walls in narrow valves."""
    velocity = float(row["peak_velocity_m_per_s"])
    return {
        "IVSd": round(0.7 + 0.15 * velocity, 3),
        "LVIDd": round(5.2 - 0.2 * velocity, 3),
        "LVIDs": round(3.4 - 0.1 * velocity, 3),
        "LVPWd": round(0.7 + 0.12 * velocity, 3),
    }


def build_echonet_lvh(phantom_manifest: pd.DataFrame, root: Path) -> None:
    """Write ``MeasurementsList.csv``, its first column unnamed, and ``Batch1`` to ``Batch4``."""
    rows = []
    for _, row in first_videos(phantom_manifest).iterrows():
        name, number = hashed_name(row["patient_id"]), number_of(row["patient_id"])
        write_avi(Path(row["path"]), root / f"Batch{number % BATCHES + 1}" / f"{name}.avi", size=None)
        measured = measurements_cm(row)
        if number % 3 == 0:
            # not everything was measured in every video
            del measured["LVIDs"]
        for calculation, value in measured.items():
            rows.append(
                {
                    "HashedFileName": name,
                    "Calc": calculation,
                    "CalcValue": value,
                    "Frame": 3,
                    "X1": 300.0,
                    "X2": 310.0,
                    "Y1": 200.0,
                    "Y2": 250.0,
                    "Frames": 999,
                    "FPS": 50.0,
                    "Width": 1024,
                    "Height": 768,
                    "split": split_of(row["patient_id"]),
                }
            )
    pd.DataFrame(rows).to_csv(root / "MeasurementsList.csv")
