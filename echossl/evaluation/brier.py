"""Mean squared error of probabilities (Brier 1950), whole and in parts that say what it is made of."""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats
from echossl.evaluation.resampling import Figures

BRIER_FIGURES = ("brier", "reliability", "resolution", "uncertainty", "within_bins")


def weighted_brier(labels: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Mean squared difference of probability and label, (resamples,), 0 to 1; 0 is perfect.

    Args:
        labels: 0 or 1, (n,).
        probabilities: 0 to 1, (n,).
        weights: not negative, (resamples, n).
    """
    counts = np.asarray(weights, dtype=np.float64)
    errors = (np.asarray(probabilities, dtype=np.float64) - np.asarray(labels)) ** 2
    mean: Floats = counts @ errors / counts.sum(axis=1)
    return mean


def equal_mass_bins(probabilities: npt.ArrayLike, num_bins: int) -> npt.NDArray[np.intp]:
    """Number of each row's bin, (n,): about as many rows in each, equal probabilities in the same."""
    values = np.asarray(probabilities, dtype=np.float64)
    edges = np.quantile(values, np.linspace(0, 1, num_bins + 1)[1:-1])
    return np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)[1]


def brier_figures(labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, num_bins: int = 10) -> Figures:
    """The figures named in :data:`BRIER_FIGURES`.

    Brier = reliability - resolution + uncertainty (Murphy 1973) + within bins, which is what probabilities
    differ within a bin (Stephenson and others, Weather and Forecasting 2008), so that the sum is exact.
    Reliability is inflated by chance, the more the fewer rows a bin holds.

    Args:
        labels: 0 or 1, (n,).
        probabilities: 0 to 1, (n,).
        num_bins: bins of equal mass.

    Returns:
        Figures (5, resamples).
    """
    true, chances = np.asarray(labels, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    codes = equal_mass_bins(chances, num_bins)
    member = (codes[:, None] == np.arange(codes.max() + 1)).astype(np.float64)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        counts = np.asarray(weights, dtype=np.float64)
        whole, rows = counts.sum(axis=1), counts @ member
        total = np.maximum(rows, np.finfo(np.float64).tiny)
        called, seen = (counts * chances) @ member / total, (counts * true) @ member / total
        base = counts @ true / whole
        reliability = np.sum(rows * (called - seen) ** 2, axis=1) / whole
        resolution = np.sum(rows * (seen - base[:, None]) ** 2, axis=1) / whole
        brier = weighted_brier(true, chances, counts)
        uncertainty = base * (1 - base)
        apart = chances - np.take(called, codes, axis=1)
        within = np.sum(counts * apart * (apart - 2 * (true - np.take(seen, codes, axis=1))), axis=1) / whole
        return np.stack([brier, reliability, resolution, uncertainty, within])

    return figures
