"""Mean and deviation of the grey values that an encoder is trained on."""

import numpy as np

from echossl.config.video import GreyValues
from echossl.data.store import ClipStore
from echossl.errors import EchosslError

MOST_VIDEOS = 256
FRAMES_PER_VIDEO = 8


def grey_statistics(
    store: ClipStore, rows: np.ndarray, grey: GreyValues = "standardised"
) -> tuple[float, float]:
    """Mean and standard deviation of the pixels, of the range 0-1.

    Args:
        store: the clip store.
        rows: the videos that are trained on, (n,) integers; of up to 256 of them, evenly spread, 8 frames
            each are looked at.
        grey: how encoders are to see them; with ``clip_min_max`` nothing is looked at.

    Returns:
        Rounded to four places, the deviation at least 0.01, which is that of a nearly blank store; 0 and 1,
        which change nothing, where each clip is stretched by itself.
    """
    if grey == "clip_min_max":
        return 0.0, 1.0
    counts = grey_counts(store, rows)
    shares, levels = counts / counts.sum(), np.arange(256) / 255
    mean = float(shares @ levels)
    std = float(np.sqrt(shares @ (levels - mean) ** 2))
    return round(mean, 4), max(round(std, 4), 0.01)


def grey_counts(store: ClipStore, rows: np.ndarray) -> np.ndarray:
    """How often each grey value is seen in up to 256 of the videos, 8 frames of each: (256,) int64.

    Raises:
        EchosslError: if none of them can be read.
    """
    counts = np.zeros(256, dtype=np.int64)
    for row in _spread(np.unique(rows), MOST_VIDEOS).tolist():
        indices = _spread(np.arange(len(store.frame_seconds(row))), FRAMES_PER_VIDEO)
        picked = np.empty((len(indices), store.size, store.size), dtype=np.uint8)
        try:
            store.read_into(picked, row, indices)
        except EchosslError:
            # training meets the same video, replaces it and says so
            continue
        counts += np.bincount(picked.ravel(), minlength=256)
    if not counts.any():
        raise EchosslError(f"{store.path}: none of its videos can be read; run echossl prepare again")
    return counts


def _spread(values: np.ndarray, most: int) -> np.ndarray:
    """At most ``most`` of the values, evenly spread, the first and the last among them."""
    return values[np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(np.int64)]
