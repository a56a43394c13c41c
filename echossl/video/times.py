"""When every frame is shown, and how many there are in a second."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from echossl.video.sampling import uniform_seconds, unknown_seconds

RATE_TOLERANCE = 0.01


def presentation_times(
    ticks: list[int | None], time_base: Fraction | None, declared: Fraction | None
) -> tuple[npt.NDArray[np.float64], float | None]:
    """Seconds of every frame, and the mean rate.

    Args:
        ticks: a time stamp per frame in units of ``time_base``, in the order of showing.
        time_base: seconds per tick.
        declared: the rate that the file states; believed when it agrees with the times within 1 %, or when
            there are no usable times.

    Returns:
        float64 (len(ticks),) starting at 0.0, and frames per second or None.
    """
    count = len(ticks)
    stated = float(declared) if declared else None
    known = np.array([tick for tick in ticks if tick is not None], dtype=np.float64)
    if time_base and len(known) == count > 1 and bool((np.diff(known) > 0).all()):
        seconds = (known - known[0]) * float(time_base)
        mean = (count - 1) / float(seconds[-1])
        agrees = stated is not None and abs(stated - mean) <= RATE_TOLERANCE * mean
        return seconds, stated if agrees else mean
    if stated is not None:
        return uniform_seconds(count, stated), stated
    return unknown_seconds(count), None
