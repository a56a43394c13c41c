"""What a yes or no is worth: sensitivity, predictive values and their kin from calls, row by weight."""

import numpy as np
import numpy.typing as npt

from echossl.evaluation.auc import Floats
from echossl.evaluation.resampling import Figures

OPERATING_FIGURES = (
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "positive_likelihood_ratio",
    "negative_likelihood_ratio",
    "f1",
    "mcc",
    "balanced_accuracy",
    "ppv_at_prevalence",
    "npv_at_prevalence",
)


def operating_figures(
    labels: npt.ArrayLike, called: npt.ArrayLike, *, prevalence: float | None = None
) -> Figures:
    """The figures named in :data:`OPERATING_FIGURES`; the last two only with a prevalence.

    Args:
        labels: 0 or 1, (n,).
        called: whether a row is called positive, (n,).
        prevalence: share of positives where the calls would be used, between 0 and 1: Bayes' rule carries
            sensitivity and specificity there.

    Returns:
        Figures (9 or 11, resamples). NaN where a figure has no rows to stand on: predictive values where
        nothing is called so, the positive likelihood ratio at specificity 1, all of both classes where one
        is missing.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"prevalence {prevalence}, expected between 0 and 1")
    positive, yes = np.asarray(labels) == 1, np.asarray(called, dtype=bool)
    cells = np.stack([positive & yes, positive & ~yes, ~positive & yes, ~positive & ~yes]).astype(np.float64)

    def figures(weights: npt.NDArray[np.generic]) -> Floats:
        found = _from_counts(cells @ np.asarray(weights, dtype=np.float64).T)
        if prevalence is None:
            return found
        return np.concatenate([found, _at_prevalence(found[0], found[1], prevalence)])

    return figures


def _from_counts(cells: Floats) -> Floats:
    """Counts (4, resamples) of true positives, false negatives, false positives, true negatives."""
    hits, misses, alarms, rests = cells
    sensitivity, specificity = _ratio(hits, hits + misses), _ratio(rests, rests + alarms)
    # a figure of both classes says nothing where one is missing
    both = np.where((hits + misses > 0) & (rests + alarms > 0), 1.0, np.nan)
    margins = np.sqrt((hits + alarms) * (hits + misses) * (rests + alarms) * (rests + misses))
    return np.stack(
        [
            sensitivity,
            specificity,
            _ratio(hits, hits + alarms),
            _ratio(rests, rests + misses),
            _ratio(sensitivity, 1 - specificity),
            _ratio(1 - sensitivity, specificity),
            both * _ratio(2 * hits, 2 * hits + alarms + misses),
            # all called alike: no correlation, as scikit-learn has it
            both * np.nan_to_num(_ratio(hits * rests - alarms * misses, margins)),
            (sensitivity + specificity) / 2,
        ]
    )


def _at_prevalence(sensitivity: Floats, specificity: Floats, prevalence: float) -> Floats:
    true_yes, false_yes = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_no, false_no = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return np.stack([_ratio(true_yes, true_yes + false_yes), _ratio(true_no, true_no + false_no)])


def _ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, NaN where the whole is zero or NaN."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
