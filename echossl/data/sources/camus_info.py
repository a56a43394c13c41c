"""What the files ``Info_2CH.cfg`` and ``Info_4CH.cfg`` of CAMUS say, as columns of a manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from echossl.data.labels import CLASS_MAPS, apply_class_map
from echossl.data.sources.tables import counted, joined, known_numbers

# key in lower case to column, plausible above, plausible up to; the two distributions have different keys
NUMBERS = {
    "framerate": ("fps", 0.0, 1000.0),
    "ef": ("ef", 1.0, 100.0),
    "lvef": ("ef", 1.0, 100.0),
    "lvedv": ("edv_ml", 0.0, 1000.0),
    "lvesv": ("esv_ml", 0.0, 1000.0),
    "ed": ("ed_frame", 0.0, 1000.0),
    "es": ("es_frame", 0.0, 1000.0),
    "age": ("age_years", 0.0, 130.0),
}
TEXTS = {"sex": ("sex", str.upper), "imagequality": ("image_quality", str.lower)}
FRAMES = ("ed_frame", "es_frame")


def read_infos(paths: Sequence[Path], are_stills: pd.Series, labels: Sequence[str]) -> pd.DataFrame:
    """Read the Info file of every row.

    Args:
        paths: one file per row; it need not be there.
        are_stills: bool, one per row; a still has no frame numbers.
        labels: class maps of the ejection fraction.

    Returns:
        One row per path. What any of the files says of: fps, ef (percent), edv_ml, esv_ml, ed_frame and
        es_frame (the first frame is 0), age_years, sex (F, M), image_quality (good, medium, poor), and the
        labels. Cells are empty where a file does not say, or says what cannot be; ``attrs["note"]`` counts
        the latter, and the files that are not there.
    """
    infos = [_read(path) for path in paths]
    table = pd.DataFrame(index=range(len(paths)))
    missing = list(dict.fromkeys(str(path) for path in paths if not path.is_file()))
    notes = [counted("files without which frame rates and labels are empty, not there", missing)]
    for key, (name, lowest, highest) in NUMBERS.items():
        cells = pd.Series([info.get(key, "") for info in infos], dtype=str, name=name)
        values, note = known_numbers(cells, between=(lowest, highest))
        notes.append(note)
        if name in FRAMES:
            # the files count from 1
            values = (values - 1).mask(are_stills)
        if values.notna().any():
            table[name] = values
    for key, (name, written) in TEXTS.items():
        words = [written(info.get(key, "")) for info in infos]
        if any(words):
            table[name] = words
    if "ef" in table:
        for name in labels:
            table[name] = apply_class_map(table["ef"], CLASS_MAPS[name])
    table.attrs["note"] = joined(*notes)
    return table


def _read(path: Path) -> Mapping[str, str]:
    """``Key: value`` lines, keys in lower case; empty if there is no file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}
