"""A table as a spreadsheet program in Germany saves it, beside a folder of videos."""

from pathlib import Path

import pandas as pd
from phantom_frames import link

OPTIONS = ("columns.path=Datei", "columns.patient_id=Patient", "columns.study_id=Untersuchung")


def build_csv(phantom_manifest: pd.DataFrame, root: Path) -> Path:
    """``Liste.csv`` with semicolons, decimal commas and a byte order mark; the table to index."""
    rows = []
    for row in phantom_manifest.itertuples():
        name = f"videos/{row.patient_id}/{Path(row.path).name}"
        link(row.path, root / name)
        velocity = f"{row.peak_velocity_m_per_s:.1f}".replace(".", ",")
        rows.append((name, row.patient_id, row.study_id, row.severe_as, velocity, row.report))
    columns = ["Datei", "Patient", "Untersuchung", "severe_as", "Vmax", "Befund"]
    table = root / "Liste.csv"
    pd.DataFrame(rows, columns=columns).to_csv(table, sep=";", index=False, encoding="utf-8-sig")
    return table
