"""How well numbers are predicted: the share of their variance that is explained, under many weightings."""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats


def weighted_r2(truth: npt.ArrayLike, predicted: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Coefficient of determination: 1 - squared error / squared distance from the mean of the truth.

    Args:
        truth: any number, (n,).
        predicted: what was predicted without having seen it, (n,).
        weights: not negative, (resamples, n); integers repeat rows.

    Returns:
        (resamples,), at most 1, 0 for the mean itself, below 0 for worse; NaN where the truth does not vary.
    """
    values = np.asarray(truth, dtype=np.float64)
    # from the plain mean, so that squares of large numbers do not swallow small differences
    centred = values - values.mean()
    counts = np.asarray(weights, dtype=np.float64)
    total = counts.sum(axis=1)
    spread = counts @ centred**2 - (counts @ centred) ** 2 / total
    error = counts @ (values - np.asarray(predicted, dtype=np.float64)) ** 2
    # a resample of one value over and over leaves a rounding error for its spread
    varies = spread > 1e-12 * max(float(np.ptp(values)) ** 2, np.finfo(np.float64).tiny)
    return np.where(varies, 1 - error / np.where(varies, spread, 1.0), np.nan)
