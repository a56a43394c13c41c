"""When the frames of a DICOM cine are shown: the tags that say so, in order of trust; zeros mean nothing."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from echossl.video.dicom_header import value_of
from echossl.video.sampling import uniform_seconds, unknown_seconds

Times = tuple[npt.NDArray[np.float64], float | None]

FRAME_TIME_VECTOR = 0x00181065
TIME_TAGS = (
    "FrameIncrementPointer",
    "FrameTime",
    "FrameTimeVector",
    "CineRate",
    "RecommendedDisplayFrameRate",
)


def frame_times(tags: Any, num_frames: int) -> Times:
    """Presentation times and mean rate of a cine.

    Trust: what Frame Increment Pointer names, then Frame Time, Frame Time Vector (each frame's distance in ms
    from the one before), Cine Rate, Recommended Display Frame Rate.

    Args:
        tags: the data set (only the tags of ``TIME_TAGS`` are read).
        num_frames: frames in the file.

    Returns:
        float64 (num_frames,) seconds from 0.0 and frames per second; NaN after the first and None if no tag
        holds a usable value.
    """
    readings: list[Callable[[], Times | None]] = [
        lambda: _from_rate(_per_second(value_of(tags, "FrameTime")), num_frames),
        lambda: _from_vector(value_of(tags, "FrameTimeVector"), num_frames),
        lambda: _from_rate(_positive(value_of(tags, "CineRate")), num_frames),
        lambda: _from_rate(_positive(value_of(tags, "RecommendedDisplayFrameRate")), num_frames),
    ]
    if value_of(tags, "FrameIncrementPointer") == FRAME_TIME_VECTOR:
        readings.insert(0, readings.pop(1))
    for reading in readings:
        times = reading()
        if times is not None:
            return times
    return unknown_seconds(num_frames), None


def _positive(value: object) -> float | None:
    """A number above zero, or None for absent, zero, negative and unreadable values."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _per_second(milliseconds: object) -> float | None:
    time = _positive(milliseconds)
    return _positive(1000 / time) if time else None


def _from_rate(frames_per_second: float | None, num_frames: int) -> Times | None:
    if frames_per_second is None:
        return None
    return uniform_seconds(num_frames, frames_per_second), frames_per_second


def _from_vector(vector: Any, num_frames: int) -> Times | None:
    """Times from the distances between frames; the first entry is no distance within the video."""
    if not isinstance(vector, Sequence) or isinstance(vector, str) or not 2 <= num_frames <= len(vector):
        return None
    gaps = [_positive(value) for value in vector[1:num_frames]]
    if None in gaps:
        return None
    seconds = np.concatenate([[0.0], np.cumsum(np.array(gaps, dtype=np.float64))]) / 1000
    rate = _positive((num_frames - 1) / float(seconds[-1]))
    return None if rate is None else (seconds, rate)
