"""The calibration curve without bins: share of positives as a smooth function of the probability.

Local straight lines with tricube weights (lowess without its robust rounds, Cleveland 1979), as Austin and
Steyerberg (Statistics in Medicine 2014) advise for calibration. The kernel is that of the sample, so that a
curve of every redraw costs five matrix products.
"""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats
from echossl.evaluation.resampling import Figures


def smooth_calibration(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, places: npt.ArrayLike, *, span: float = 0.75
) -> Figures:
    """Share of positives at some probabilities.

    Args:
        labels: 0 or 1, (n,).
        probabilities: 0 to 1, (n,).
        places: where the curve is wanted, within the range of the probabilities, (places,).
        span: share of the rows that has a say at each place, above 0, at most 1.

    Returns:
        Figures (places, resamples), 0 to 1; NaN where a redraw has no row near a place.
    """
    if not 0 < span <= 1:
        raise ValueError(f"span {span}, expected above 0, at most 1")
    true = np.asarray(labels, dtype=np.float64)
    steps = np.asarray(probabilities, dtype=np.float64)[:, None] - np.asarray(places, dtype=np.float64)
    kernel = _tricube(np.abs(steps), max(1, round(span * true.size)))  # (n, places)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        mass, lever, spread = (counts @ (kernel * steps**power) for power in (0, 1, 2))
        positive, tilted = ((counts * true) @ (kernel * steps**power) for power in (0, 1))
        determinant = mass * spread - lever**2
        # rows at one probability alone: no line, their mean
        flat = determinant <= 1e-12 * mass * spread
        line = _ratio(spread * positive - lever * tilted, np.where(flat, 0.0, determinant))
        found = np.where(flat, _ratio(positive, mass), line)
        return np.clip(found, 0.0, 1.0).T

    return figures


def _tricube(distances: Floats, neighbours: int) -> Floats:
    """Weights that fall to zero at the so-manyth nearest row of each place."""
    reach = np.sort(distances, axis=0)[neighbours - 1]
    share = np.divide(distances, reach, out=np.where(distances > 0, np.inf, 0.0), where=reach > 0)
    kernel: Floats = (1 - np.minimum(share, 1.0) ** 3) ** 3
    return kernel


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
