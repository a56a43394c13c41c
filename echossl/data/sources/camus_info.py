"""What the files ``Info_2CH.cfg`` and ``Info_4CH.cfg`` of CAMUS say, as columns of a manifest."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from echossl.data.labels import CLASS_MAPS, apply_class_map
from echossl.data.sources.tables import counted, joined, numbers

# key in lower case to column; the first distribution has other keys than the second
NUMBERS = {
    "framerate": "fps",
    "ef": "ef",
    "lvef": "ef",
    "lvedv": "edv_ml",
    "lvesv": "esv_ml",
    "ed": "ed_frame",
    "es": "es_frame",
    "age": "age_years",
}
TEXTS = {"sex": ("sex", str.upper), "imagequality": ("image_quality", str.lower)}
FRAMES = ("ed_frame", "es_frame")
LABELS = ("ef_below_50", "ef_below_40")
# an ejection fraction in percent lies between 1 and 100, everything else is above 0
LOWEST = {"ef": 1.0}
HIGHEST = {"ef": 100.0}


def read_infos(paths: Sequence[Path], are_stills: pd.Series) -> pd.DataFrame:
    """Read the Info file of every row.

    Args:
        paths: one file per row; it need not be there.
        are_stills: bool, one per row; a still has no frame numbers.

    Returns:
        One row per path. What any of the files says of: fps, ef (percent), edv_ml, esv_ml, ed_frame and
        es_frame (the first frame is 0), age_years, sex (F, M), image_quality (good, medium, poor),
        ``ef_below_50`` and ``ef_below_40``. Cells are empty where a file does not say, or says what cannot
        be; ``attrs["note"]`` counts the latter, and the files that are not there.
    """
    infos = [_read(path) for path in paths]
    table = pd.DataFrame(index=range(len(paths)))
    missing = list(dict.fromkeys(str(path) for path in paths if not path.is_file()))
    notes = [counted("files without which frame rates and labels are empty, not there", missing)]
    for key, name in NUMBERS.items():
        cells = pd.Series([info.get(key, "") for info in infos], dtype=str)
        values, odd = _plausible(cells, name)
        notes.append(counted(f"{name} that cannot be, left empty", odd))
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
        for name in LABELS:
            table[name] = apply_class_map(table["ef"], CLASS_MAPS[name])
    table.attrs["note"] = joined(*notes)
    return table


def _plausible(cells: pd.Series, name: str) -> tuple[pd.Series, list[str]]:
    """Numbers, NaN where empty or impossible; and the cells that are impossible."""
    values, odd = numbers(cells)
    is_possible = (values > LOWEST.get(name, 0.0)) & (values <= HIGHEST.get(name, math.inf))
    return values.where(is_possible), [*odd, *cells[values.notna() & ~is_possible]]


def _read(path: Path) -> Mapping[str, str]:
    """``Key: value`` lines, keys in lower case; empty if there is no file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}
