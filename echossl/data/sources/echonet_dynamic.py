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
ASSUMED = (
    "one file is taken as one patient, as published",
    "frame rates and frame counts come from the files, not from the table",
)


def index_echonet_dynamic(root: Path, settings: EchonetDynamicSource) -> pd.DataFrame:
    """List the videos of EchoNet-Dynamic.

    Args:
        root: the data set, or a folder above it.
        settings: there is nothing to set.

    Returns:
        ``path, patient_id, study_id, view, source, split`` and the labels ``ef`` (percent), ``esv_ml`` and
        ``edv_ml``, ``ef_below_50``, ``ef_below_40``. ``attrs["note"]`` says what was assumed and
        left out.

    Raises:
        UserError: if the table, one of its columns, or every video is missing, or a value is nonsense.
    """
    del settings
    listing = find_table(root, LISTING)
    rows = read_table(listing, ["FileName", "EF", "Split"], optional=["ESV", "EDV"])
    matched = match_files(rows, "FileName", FileIndex([listing.parent]), listing)
    rows = matched.table
    fractions, note = known_numbers(rows["EF"], between=(1, 100))
    table = pd.DataFrame(
        {
            "path": rows["path"],
            "patient_id": [Path(name).stem for name in rows["path"]],
            "study_id": [Path(name).stem for name in rows["path"]],
            "view": "a4c",
            "source": "echonet_dynamic",
            "split": split_names(rows["Split"], listing),
            "ef": fractions,
        }
    )
    notes = [*ASSUMED, matched.note, note]
    for name in ("ESV", "EDV"):
        if name in rows:
            table[f"{name.lower()}_ml"], note = known_numbers(rows[name], between=(0, 1000))
            notes.append(note)
    for name in ("ef_below_50", "ef_below_40"):
        table[name] = apply_class_map(fractions, CLASS_MAPS[name])
    table = table.reset_index(drop=True)
    table.attrs["note"] = joined(*notes)
    return table
