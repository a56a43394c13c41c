"""A small copy of EchoNet-Pediatric in its published form."""

from pathlib import Path

import pandas as pd
from layout_echonet_files import ejection_fraction, number_of, write_avi


def child_of(patient_id: str) -> tuple[str, str]:
    """Patient and study as they stand in the file names."""
    number = number_of(patient_id)
    return f"CR32a7{number:04x}", f"CR32a9{number:04x}"


def fold_of(patient_id: str) -> int:
    """The published folds, 0 to 9."""
    return (number_of(patient_id) + 1) % 10


def build_echonet_pediatric(phantom_manifest: pd.DataFrame, root: Path) -> None:
    """Write nested download folders with ``A4C`` (a patient's first video) and ``PSAX`` (the others)."""
    base = root / "pediatric_echo_avi" / "pediatric_echo_avi"
    tables: dict[str, list[dict[str, object]]] = {"A4C": [], "PSAX": []}
    for patient, videos in phantom_manifest.groupby("patient_id", sort=True):
        child, study = child_of(str(patient))
        for place, (_, row) in enumerate(videos.iterrows()):
            view = "PSAX" if place else "A4C"
            name = f"{child}-{study}-{place:06d}.avi"
            write_avi(Path(row["path"]), base / view / "Videos" / name)
            number = number_of(str(patient))
            tables[view].append(
                {
                    "FileName": name,
                    "EF": ejection_fraction(row),
                    "Sex": "F" if number % 2 else "M",
                    "Age": number % 18,
                    "Weight": 10 + 2 * (number % 18),
                    "Height": 80 + 5 * (number % 18),
                    "Split": fold_of(str(patient)),
                }
            )
    for view, rows in tables.items():
        pd.DataFrame(rows).to_csv(base / view / "FileList.csv", index=False)
        traced = [(row["FileName"], 51.0, 40.0, frame) for row in rows for frame in (7, "No Systolic")]
        tracings = pd.DataFrame(traced, columns=["FileName", "X", "Y", "Frame"])
        tracings.to_csv(base / view / "VolumeTracings.csv", index=False)
