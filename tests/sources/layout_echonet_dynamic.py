"""A small copy of EchoNet-Dynamic in its published form."""

from pathlib import Path

import pandas as pd
from layout_echonet_files import ejection_fraction, first_videos, hashed_name, split_of, write_avi

# what the table says about every file, and what no file of the phantom is
WRONG_FRAME_RATE, WRONG_FRAME_COUNT = 5, 210


def build_echonet_dynamic(phantom_manifest: pd.DataFrame, root: Path) -> None:
    """Write ``FileList.csv`` (names without suffix), ``VolumeTracings.csv`` (with it) and ``Videos/``."""
    listed, traced = [], []
    for _, row in first_videos(phantom_manifest).iterrows():
        name = hashed_name(row["patient_id"])
        write_avi(Path(row["path"]), root / "Videos" / f"{name}.avi")
        fraction, end_diastolic = ejection_fraction(row), 120.0
        listed.append(
            {
                "FileName": name,
                "EF": fraction,
                "ESV": round(end_diastolic * (1 - fraction / 100), 4),
                "EDV": end_diastolic,
                "FrameHeight": 112,
                "FrameWidth": 112,
                "FPS": WRONG_FRAME_RATE,
                "NumberOfFrames": WRONG_FRAME_COUNT,
                "Split": split_of(row["patient_id"]).upper(),
            }
        )
        traced.append({"FileName": f"{name}.avi", "X1": 51.3, "Y1": 15.3, "X2": 64.9, "Y2": 69.1, "Frame": 3})
    pd.DataFrame(listed).to_csv(root / "FileList.csv", index=False)
    pd.DataFrame(traced).to_csv(root / "VolumeTracings.csv", index=False)
