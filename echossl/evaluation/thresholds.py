"""Operating points: a threshold that is chosen on one split, and may be judged on another only."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.bootstrap import Interval
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.operating import OPERATING_FIGURES, operating_figures
from echossl.evaluation.resampling import Clusters
from echossl.evaluation.study import Predictions

Rule = Literal["sensitivity", "specificity", "youden"]
# a share that misses its target by rounding alone has met it
ROUNDING = 1e-12


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and where it comes from.

    Attributes:
        rule: what was asked of it, as printed: ``sensitivity 90 %``, ``youden``.
        threshold: a score at or above it is called positive; infinite where nothing may be called.
        split: the split on which it was chosen.
        patients: the patients of that split.
    """

    rule: str
    threshold: float
    split: str
    patients: frozenset[str]


def choose(predictions: Predictions, rule: Rule, target: float = 0.9) -> OperatingPoint:
    """Choose a threshold among the scores of one split, which should be the validation split.

    Args:
        predictions: of one split with both classes.
        rule: ``sensitivity`` takes the highest threshold that reaches the target, ``specificity`` the lowest,
            ``youden`` the highest of those with the largest sensitivity + specificity.
        target: the share to be reached, 0 to 1; without effect for ``youden``.

    Raises:
        UserError: if the predictions hold several splits or lack a class.
    """
    splits = sorted(set(predictions.splits.tolist()))
    if len(splits) != 1:
        raise UserError(
            f"{predictions.source}: holds the splits {', '.join(splits)}, expected the validation split alone"
        )
    predictions.require_both_classes()
    # rising, and one above them all that calls nothing
    thresholds = np.append(np.unique(predictions.scores), np.inf)
    positives = np.sort(predictions.scores[predictions.labels == 1])
    negatives = np.sort(predictions.scores[predictions.labels == 0])
    sensitivity = 1 - np.searchsorted(positives, thresholds) / positives.size
    specificity = np.searchsorted(negatives, thresholds) / negatives.size
    if rule == "sensitivity":
        place = int(np.flatnonzero(sensitivity >= target - ROUNDING)[-1])
    elif rule == "specificity":
        place = int(np.flatnonzero(specificity >= target - ROUNDING)[0])
    else:
        index = sensitivity + specificity
        place = int(np.flatnonzero(index >= index.max() - ROUNDING)[-1])
    name = rule if rule == "youden" else f"{rule} {100 * target:g} %"
    return OperatingPoint(
        name, float(thresholds[place]), splits[0], frozenset(np.unique(predictions.patients).tolist())
    )


def judge(
    point: OperatingPoint,
    predictions: Predictions,
    config: BootstrapConfig,
    *,
    prevalence: float | None = None,
) -> dict[str, Interval]:
    """Every figure of an operating point on studies it was not chosen on, with patient-clustered intervals.

    Args:
        point: from :func:`choose`.
        predictions: of another split, with other patients.
        config: resamples, confidence, seed.
        prevalence: share of positives for which predictive values are stated besides those of the sample.

    Returns:
        Intervals by the names in :data:`echossl.evaluation.operating.OPERATING_FIGURES`.

    Raises:
        UserError: if a study is of the split, or a patient among those, that the threshold was chosen on.
    """
    refuse_own_studies(f"threshold for {point.rule}", point.split, point.patients, predictions)
    called = predictions.scores >= point.threshold
    figures = operating_figures(predictions.labels, called, prevalence=prevalence)
    found = figure_intervals(figures, Clusters.of(predictions.patients), config)
    names = OPERATING_FIGURES if prevalence is not None else OPERATING_FIGURES[:-2]
    return dict(zip(names, found, strict=True))


def refuse_own_studies(what: str, split: str, patients: frozenset[str], predictions: Predictions) -> None:
    """Raise UserError if something fitted on a split would be judged by that split or its patients."""
    shared = patients & set(predictions.patients.tolist())
    if split in predictions.splits or shared:
        raise UserError(
            f"{predictions.source}: the {what} comes from split {split!r}, which shares {len(shared)} "
            "patients with the studies it would be judged by; judge it on another split"
        )
