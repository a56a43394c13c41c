"""Where the truth lies in the pixels that a network saw."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.errors import UserError
from echossl.phantom.truth import read_truth
from echossl.video.sector import Placement, place


def phantom_region(
    folder: Path, video: Path, stored: pd.Series, indices: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.float32]:
    """The aortic valve's leaflets of a phantom video, in the frames of a clip.

    Leaflets are about as thin as a pixel of the store, so each pixel says how much of it is covered: rounding
    that to yes or no would lose most of the valve.

    Args:
        folder: the phantom's folder.
        video: the video.
        stored: its row of the store's table, with the placement.
        indices: frames of the clip, (frames,).
        size: height and width of the store's frames.

    Returns:
        (frames, size, size) covered share, 0..1.

    Raises:
        UserError: if the truth is of a video of other frames.
    """
    mask = read_truth(folder, video).valve_mask
    expected = (stored["num_frames"], stored["source_height"], stored["source_width"])
    if mask.shape != tuple(int(value) for value in expected):
        raise UserError(
            f"{video}: the truth in {folder} is of {mask.shape} frames x height x width, the store holds "
            f"{tuple(int(value) for value in expected)}; give the phantom that the videos are from"
        )
    names = ("top", "left", "height", "width", "source_height", "source_width")
    where = Placement(**{name: int(stored[name]) for name in names}, size=size)
    covered: npt.NDArray[np.uint8] = place(mask[indices].astype(np.uint8) * 255, where)
    return covered.astype(np.float32) / np.float32(255)
