"""How far a predicted measurement lies from the true one: error, explained share, and limits of agreement."""

import numpy as np
import numpy.typing as npt
from scipy import stats

from echossl.evaluation.auc import Floats
from echossl.evaluation.regression import weighted_r2
from echossl.evaluation.resampling import Figures

AGREEMENT_FIGURES = ("mae", "r2", "bias", "lower_limit", "upper_limit")
# of the differences lie between the limits of agreement, were they normal
LIMITS_HOLD = 0.95


def agreement_figures(measured: npt.ArrayLike, predicted: npt.ArrayLike) -> Figures:
    """The figures named in :data:`AGREEMENT_FIGURES`, in the unit of the measurement.

    Mean absolute error; R2, the share of the measurement's variance that is explained (below 0: worse than
    its mean); and after Bland and Altman (Lancet 1986) the mean of predicted minus measured with the limits
    between which 95 % of the differences lie, mean +- 1.96 standard deviations.

    Args:
        measured: any finite number, (n,).
        predicted: in the same unit, (n,).

    Returns:
        Figures (5, resamples). NaN: R2 where the measurements have no spread, limits with a single row.
    """
    true, called = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    apart = called - true

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        total = counts.sum(axis=1)
        bias = counts @ apart / total
        squares = np.sum(counts * (apart - bias[:, None]) ** 2, axis=1)
        reach = stats.norm.ppf((1 + LIMITS_HOLD) / 2) * np.sqrt(_ratio(squares, total - 1))
        r2 = weighted_r2(true, called, counts)
        return np.stack([counts @ np.abs(apart) / total, r2, bias, bias - reach, bias + reach])

    return figures


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
