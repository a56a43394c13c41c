"""Colour to grey."""

import numpy as np
import numpy.typing as npt
from PIL import Image


def to_grey(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Luma of ITU-R BT.601: uint8 (n, height, width, 1 or 3) to uint8 (n, height, width)."""
    if frames.shape[-1] == 1:
        return frames[..., 0]
    grey = np.empty(frames.shape[:-1], dtype=np.uint8)
    for frame, out in zip(frames, grey, strict=True):
        out[...] = np.asarray(Image.fromarray(frame).convert("L"))
    return grey
