"""A tree of DICOM files as a picture archive exports it: names that say nothing, no suffix, a DICOMDIR."""

from pathlib import Path

import pandas as pd
from phantom_frames import grey_frames, link

from echossl.phantom.encode import write_video


def build_dicom(phantom_manifest: pd.DataFrame, root: Path) -> Path:
    """``EXPORT/S<n>/IM_<n>``, every video of the phantom as DICOM; the root to index."""
    studies = {study: number for number, study in enumerate(phantom_manifest["study_id"].unique())}
    for number, row in enumerate(phantom_manifest.itertuples()):
        target = root / "EXPORT" / f"S{studies[row.study_id]:04d}" / f"IM_{number:04d}"
        if row.path.endswith(".dcm"):
            link(row.path, target)
            continue
        frames, fps = grey_frames(row.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_video(target, frames, fps, "dcm", _tags(row, number))
    (root / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    return root


def _tags(row, number: int) -> dict[str, str | float]:
    who = {"patient_id": row.patient_id, "sex": "F", "age": 70, "study": row.study_id}
    return who | {"video": number + 1, "cm_per_pixel": 0.1, "compressed": number % 2}
