"""Do probabilities mean what they say? Intercept and slope (Cox 1958), expected calibration error.

Of the two, trust intercept and slope: the calibration error is biased upwards, as it takes the size of what
chance adds to every bin. :func:`chance_calibration_error` says how large it is for a perfect model.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from echossl.evaluation.auc import Floats
from echossl.evaluation.brier import equal_mass_bins, weighted_brier
from echossl.evaluation.logistic import fit_logistic
from echossl.evaluation.resampling import Figures

CALIBRATION_FIGURES = ("calibration_intercept", "calibration_slope", "brier", "ece")
# probabilities of 0 and 1 have no log odds and are taken for these
LEAST_CHANCE = 1e-9
# a random stream of its own, after those of the bootstraps and swaps
CHANCE = 6


def calibration_figures(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, num_bins: int = 10
) -> Figures:
    """The figures named in :data:`CALIBRATION_FIGURES`.

    Intercept: what must be added to the log odds, 0 where the mean is right (calibration in the large, slope
    held at 1). Slope: what they must be multiplied with, 1 where right, below 1 for too bold a model. Brier:
    mean squared error. ECE: mean over bins of equal mass of how far the mean probability is from the share of
    positives, weighted by their rows; its bins are those of the sample in every redraw.

    Args:
        labels: 0 or 1, (n,).
        probabilities: 0 to 1, (n,).
        num_bins: of the calibration error.

    Returns:
        Figures (4, resamples); intercept or slope are NaN where no finite one fits.
    """
    true, chances = np.asarray(labels, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    log_odds = special.logit(np.clip(chances, LEAST_CHANCE, 1 - LEAST_CHANCE))
    ones, member = np.ones((1, true.size)), _member(chances, num_bins)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        intercept = fit_logistic(ones, true, counts, log_odds)[:, 0]
        slope = fit_logistic(np.concatenate([ones, log_odds[None]]), true, counts)[:, 1]
        brier = weighted_brier(true, chances, counts)
        return np.stack([intercept, slope, brier, _calibration_error(chances - true, counts, member)])

    return figures


def chance_calibration_error(
    probabilities: npt.ArrayLike, *, num_bins: int = 10, draws: int = 1000, seed: int = 0
) -> float:
    """Mean ECE of a model whose every probability is true: the part of an ECE that is chance, 0 to 1.

    Args:
        probabilities: 0 to 1, (n,).
        num_bins: as for the ECE beside it.
        draws: how often labels are drawn from the probabilities, each row on its own.
        seed: of those draws.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    drawn = np.random.default_rng([seed, CHANCE]).random((draws, chances.size)) < chances
    gaps = (chances - drawn) @ _member(chances, num_bins)
    return float(np.mean(np.abs(gaps).sum(axis=1) / chances.size))


def calibration_bins(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, num_bins: int = 10
) -> list[tuple[float, int, int]]:
    """Mean probability, positives and rows of each bin of equal mass, for drawing; see also :mod:`smooth`."""
    true, chances = np.asarray(labels) == 1, np.asarray(probabilities, dtype=np.float64)
    codes = equal_mass_bins(chances, num_bins)
    return [
        (float(chances[codes == code].mean()), int(true[codes == code].sum()), int(np.sum(codes == code)))
        for code in range(codes.max() + 1)
    ]


def _member(chances: Floats, num_bins: int) -> Floats:
    """One where a row is of a bin, (n, bins)."""
    codes = equal_mass_bins(chances, num_bins)
    member: Floats = (codes[:, None] == np.arange(codes.max() + 1)).astype(np.float64)
    return member


def _calibration_error(excess: Floats, weights: Floats, member: Floats) -> Floats:
    error: Floats = np.abs((weights * excess) @ member).sum(axis=1) / weights.sum(axis=1)
    return error
