"""Variance of areas under the curve without resampling, for one or several studies of a patient.

DeLong, DeLong and Clarke-Pearson, Biometrics 1988 (doi 10.2307/2531595), by midranks as Sun and Xu, IEEE
Signal Processing Letters 2014 (doi 10.1109/LSP.2014.2337313): n log n in place of every pair. With patients
given, what one adds is summed before it is squared: Obuchowski, Biometrics 1997 (doi 10.2307/2533958).
Both hold for many patients of each class; below some 20 of either, the bootstrap is the better friend.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from echossl.evaluation.auc import Floats, auroc
from echossl.evaluation.bootstrap import NO_DIFFERENCE

SMALLEST_P = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class DeLong:
    """Areas under the curve of several scores of the same rows.

    Attributes:
        aurocs: (columns,), 0 to 1.
        covariance: of the estimated areas, (columns, columns).
    """

    aurocs: Floats
    covariance: Floats

    def interval(self, column: int = 0, confidence: float = 0.95) -> tuple[float, float]:
        """Symmetric on the logit scale, so that it stays within 0 to 1.

        NaN where the area is 0 or 1: there the variance is zero and says nothing.
        """
        area, variance = float(self.aurocs[column]), float(self.covariance[column, column])
        if not 0 < area < 1:
            return float("nan"), float("nan")
        reach = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(variance) / (area * (1 - area))
        low, high = special.expit(special.logit(area) + np.array([-reach, reach]))
        return float(low), float(high)

    def test(self, first: int = 0, second: int = 1) -> tuple[float, float]:
        """Paired test of no difference between two columns: z of first minus second, two-sided p above 0."""
        difference = float(self.aurocs[first] - self.aurocs[second])
        contrast = np.zeros(self.aurocs.size)
        contrast[[first, second]] = 1.0, -1.0
        variance = float(contrast @ self.covariance @ contrast)
        if abs(difference) < NO_DIFFERENCE:
            return 0.0, 1.0
        if variance <= NO_DIFFERENCE**2:
            return float("nan"), float("nan")
        z = difference / np.sqrt(variance)
        return z, max(SMALLEST_P, float(2 * stats.norm.sf(abs(z))))


def delong(labels: npt.ArrayLike, columns: npt.ArrayLike, patients: npt.ArrayLike | None = None) -> DeLong:
    """Areas of one or more scores with their covariance.

    Args:
        labels: 0 or 1, (n,).
        columns: scores, any finite number, (columns, n) or (n,).
        patients: the patient of each row, (n,); None takes every row for a patient of its own.

    Raises:
        UserError: if a class is missing.
    """
    scores = np.atleast_2d(np.asarray(columns, dtype=np.float64))
    positive = np.asarray(labels) == 1
    aurocs = np.array([auroc(positive, row) for row in scores])
    codes = np.arange(positive.size)
    if patients is not None:
        codes = np.unique(np.asarray(patients), return_inverse=True)[1]
    excess = _placements(positive, scores) - aurocs[:, None]
    of_positives = _sums(codes[positive], excess[:, positive], codes.max() + 1)
    of_negatives = _sums(codes[~positive], excess[:, ~positive], codes.max() + 1)
    return DeLong(aurocs, _covariance(of_positives, of_negatives, positive, codes))


def _placements(positive: npt.NDArray[np.bool_], scores: Floats) -> Floats:
    """Share of the other class that each row is on the right side of, a tie counting half, (columns, n)."""
    num_positive, num_negative = np.count_nonzero(positive), np.count_nonzero(~positive)
    among_all = stats.rankdata(scores, axis=1)
    placements: Floats = np.empty_like(scores)
    own = stats.rankdata(scores[:, positive], axis=1)
    placements[:, positive] = (among_all[:, positive] - own) / num_negative
    own = stats.rankdata(scores[:, ~positive], axis=1)
    placements[:, ~positive] = 1 - (among_all[:, ~positive] - own) / num_positive
    return placements


def _sums(codes: npt.NDArray[np.intp], excess: Floats, num_patients: int) -> Floats:
    """Sum over the rows of each patient, (columns, n) to (columns, patients)."""
    return np.stack([np.bincount(codes, weights=row, minlength=num_patients) for row in excess])


def _covariance(
    of_positives: Floats,
    of_negatives: Floats,
    positive: npt.NDArray[np.bool_],
    codes: npt.NDArray[np.intp],
) -> Floats:
    """Obuchowski's sum; with one row per patient the part across classes vanishes and it is DeLong's."""
    num_positive, num_negative = np.count_nonzero(positive), np.count_nonzero(~positive)
    within_positives = _unbiased(np.unique(codes[positive]).size) * of_positives @ of_positives.T
    within_negatives = _unbiased(np.unique(codes[~positive]).size) * of_negatives @ of_negatives.T
    across = _unbiased(np.unique(codes).size) * of_positives @ of_negatives.T
    covariance: Floats = within_positives / num_positive**2 + within_negatives / num_negative**2
    return covariance + (across + across.T) / (num_positive * num_negative)


def _unbiased(num_patients: int) -> float:
    """Bessel's n / (n - 1); NaN for a single patient, whose spread is unknown."""
    return num_patients / (num_patients - 1) if num_patients > 1 else float("nan")
