"""From scores to probabilities, learnt on one split and used on others: temperature, Platt, isotonic.

Targets are Platt's (1999): (positives + 1) / (positives + 2) and 1 / (negatives + 2) in place of 1 and 0, so
that a small validation split with perfectly parted classes still has a finite fit.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from echossl.errors import UserError
from echossl.evaluation.auc import Floats
from echossl.evaluation.logistic import fit_logistic
from echossl.evaluation.study import Predictions
from echossl.evaluation.thresholds import refuse_own_studies

Shape = Literal["temperature", "platt", "isotonic"]


@dataclass(frozen=True)
class Recalibration:
    """A rising curve from scores to probabilities.

    Attributes:
        name: ``temperature``, ``platt`` or ``isotonic``.
        slope: of the log odds; 1 / temperature. 1 for ``isotonic``, where it has no say.
        intercept: of the log odds, 0 for ``temperature``.
        knots: scores and their probabilities, (2, knots); none but for ``isotonic``.
        split: the split it was fitted on.
        patients: the patients of that split.
    """

    name: Shape
    slope: float
    intercept: float
    knots: Floats
    split: str
    patients: frozenset[str]

    def probabilities(self, scores: npt.ArrayLike) -> Floats:
        """Probabilities of any scores, (n,), 0 to 1."""
        values = np.asarray(scores, dtype=np.float64)
        if self.name == "isotonic":
            return np.interp(values, *self.knots)
        found: Floats = special.expit(self.slope * values + self.intercept)
        return found

    def apply(self, predictions: Predictions) -> Floats:
        """Probabilities of studies that it was not fitted on, (n,).

        Raises:
            UserError: if a study is of the split, or a patient among those, that it was fitted on.
        """
        refuse_own_studies(f"{self.name} recalibration", self.split, self.patients, predictions)
        return self.probabilities(predictions.scores)


def recalibrate(predictions: Predictions, name: Shape) -> Recalibration:
    """Fit on the studies of one split, which should be the validation split.

    Args:
        predictions: of one split with both classes.
        name: ``temperature`` divides log odds by a number, ``platt`` also adds one, ``isotonic`` takes the
            nearest rising steps with straight lines between; it wants hundreds of studies.

    Raises:
        UserError: if the predictions hold several splits, lack a class, or the scores fall with the label.
    """
    splits = sorted(set(predictions.splits.tolist()))
    if len(splits) != 1:
        raise UserError(
            f"{predictions.source}: holds the splits {', '.join(splits)}, expected the validation split alone"
        )
    predictions.require_both_classes()
    slope, intercept, knots = 1.0, 0.0, np.empty((2, 0))
    if name == "isotonic":
        knots = _isotonic(predictions.scores, predictions.labels)
    else:
        slope, intercept = _logistic(predictions, with_intercept=name == "platt")
    patients = frozenset(np.unique(predictions.patients).tolist())
    return Recalibration(name, slope, intercept, knots, splits[0], patients)


def _logistic(predictions: Predictions, *, with_intercept: bool) -> tuple[float, float]:
    num_positive = int(predictions.labels.sum())
    num_negative = predictions.labels.size - num_positive
    high, low = (num_positive + 1) / (num_positive + 2), 1 / (num_negative + 2)
    targets = np.where(predictions.labels == 1, high, low)
    design = predictions.scores[None]
    if with_intercept:
        design = np.concatenate([design, np.ones_like(design)])
    found = fit_logistic(design, targets, np.ones((1, targets.size)))[0]
    if not found[0] > 0:
        raise UserError(
            f"{predictions.source}: {predictions.column} does not rise with its score on split "
            f"{str(predictions.splits[0])!r} by {'platt' if with_intercept else 'temperature'}; check which "
            f"way the score points{'' if with_intercept else ', or take platt, which also shifts it'}"
        )
    return float(found[0]), float(found[1]) if with_intercept else 0.0


def _isotonic(scores: Floats, labels: npt.NDArray[np.int64]) -> Floats:
    values, codes, counts = np.unique(scores, return_inverse=True, return_counts=True)
    shares = np.bincount(codes, weights=labels) / counts
    return np.stack([values, optimize.isotonic_regression(shares, weights=counts).x])
