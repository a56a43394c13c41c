"""EchoNet-Dynamic: apical four-chamber videos with ejection fraction, published splits.

Layout: ``FileList.csv`` (FileName without suffix, EF, ESV, EDV, FrameHeight, FrameWidth, FPS, NumberOfFrames,
Split) beside ``Videos/``. Ouyang et al., Nature 2020, https://echonet.github.io/dynamic/.
"""

from pathlib import Path

import pandas as pd

from echossl.config.sources import EchonetDynamicSource
from echossl.data.labels import CLASS_MAPS, apply_class_map
from echossl.data.sources.listed import FileIndex, match_files
from echossl.data.sources.tables import find_table, joined, known_numbers, read_table, split_names

LISTING = "FileList.csv"
# column of the table: column of the manifest, plausible above, plausible up to
MEASURED = {"EF": ("ef", 1.0, 100.0), "ESV": ("esv_ml", 0.0, 1000.0), "EDV": ("edv_ml", 0.0, 1000.0)}
ASSUMED = (
    "one file is taken as one patient, as published",
    "frame rates and frame counts come from the files, not from the table",
)


def index_echonet_dynamic(root: Path, settings: EchonetDynamicSource) -> pd.DataFrame:
    """List the videos of EchoNet-Dynamic.

    Args:
        root: the data set, or a folder above it.
        settings: class maps of the ejection fraction that become columns.

    Returns:
        ``path, patient_id, study_id, view, source, split`` and the labels ``ef`` (percent), ``esv_ml``,
        ``edv_ml`` and the class maps asked for. ``attrs["note"]`` says what was assumed and left out.

    Raises:
        UserError: if the table, one of its columns, or every video is missing, or a value is nonsense.
    """
    listing = find_table(root, LISTING)
    rows = read_table(listing, ["FileName", "EF", "Split"], optional=["ESV", "EDV"])
    matched = match_files(rows, "FileName", FileIndex([listing.parent]), listing)
    rows = matched.table
    names = [Path(name).stem for name in rows["path"]]
    table = rows[["path"]].assign(patient_id=names, study_id=names, view="a4c", source="echonet_dynamic")
    table["split"] = split_names(rows["Split"], listing)
    notes = [*ASSUMED, matched.note]
    for column, (name, lowest, highest) in MEASURED.items():
        if column in rows:
            table[name], note = known_numbers(rows[column], between=(lowest, highest))
            notes.append(note)
    for name in settings.labels:
        table[name] = apply_class_map(table["ef"], CLASS_MAPS[name])
    table = table.reset_index(drop=True)
    table.attrs["note"] = joined(*notes)
    return table
