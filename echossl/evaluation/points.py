"""Operating points of one split, with their thresholds fixed on the validation split."""

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import EvaluationConfig, parse_point
from echossl.errors import UserError
from echossl.evaluation.assessment import Figure, PointResult
from echossl.evaluation.bootstrap import Interval
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.operating import OPERATING_FIGURES, operating_figures
from echossl.evaluation.proportions import clopper_pearson, wilson
from echossl.evaluation.resampling import Clusters
from echossl.evaluation.study import Predictions
from echossl.evaluation.thresholds import OperatingPoint, choose, refuse_own_studies

# figure: the two counts whose share it is, successes first
SHARES = {
    "sensitivity": ("true_positives", "false_negatives"),
    "specificity": ("true_negatives", "false_positives"),
    "ppv": ("true_positives", "false_positives"),
    "npv": ("true_negatives", "false_negatives"),
}


def judged_points(
    predictions: Predictions, validation: Predictions, clusters: Clusters, config: EvaluationConfig
) -> tuple[PointResult, ...]:
    """Every operating point of the settings, chosen on one split and judged on another.

    Raises:
        UserError: if the splits share a patient, or counts are asked for intervals of clustered studies.
    """
    _refuse_clustered_counts(predictions, config)
    points = [choose(validation, *parse_point(text)) for text in config.operating_points]
    return tuple(judged_point(point, predictions, clusters, config) for point in points)


def confusion_counts(called: npt.NDArray[np.bool_], positive: npt.NDArray[np.bool_]) -> dict[str, int]:
    """How many rows were called right and wrong.

    Args:
        called: whether a row is called positive, (n,).
        positive: whether it is, (n,).
    """
    return {
        "true_positives": int(np.sum(called & positive)),
        "false_negatives": int(np.sum(~called & positive)),
        "false_positives": int(np.sum(called & ~positive)),
        "true_negatives": int(np.sum(~called & ~positive)),
    }


def judged_point(
    point: OperatingPoint, predictions: Predictions, clusters: Clusters, config: EvaluationConfig
) -> PointResult:
    """One operating point by every setting of the intervals: method, strata and ``proportions``.

    Args:
        point: a threshold and the split and patients on which it was fixed.
        predictions: of another split with both classes.
        clusters: its patients, from :func:`echossl.evaluation.discrimination.clusters_of`.
        config: of the intervals, with the prevalence.

    Raises:
        UserError: if the splits share a patient, or counts are asked for intervals of clustered studies.
    """
    _refuse_clustered_counts(predictions, config)
    refuse_own_studies(f"threshold for {point.rule}", point.split, point.patients, predictions)
    called, positive = predictions.scores >= point.threshold, predictions.labels == 1
    counts = confusion_counts(called, positive)
    method = "percentile" if config.method == "delong" else config.method
    figures = operating_figures(predictions.labels, called, prevalence=config.prevalence)
    found = figure_intervals(figures, clusters, config, method=method)
    named = {name: Figure.by(method, one) for name, one in zip(OPERATING_FIGURES, found, strict=False)}
    if config.proportions != "bootstrap":
        named |= {name: _from_counts(counts, name, config) for name in SHARES}
    return PointResult(point.rule, point.threshold, point.split, counts, named)


def _refuse_clustered_counts(predictions: Predictions, config: EvaluationConfig) -> None:
    if config.proportions != "bootstrap" and predictions.num_patients < predictions.labels.size:
        raise UserError(
            f"{predictions.source}: proportions={config.proportions} takes {predictions.unit} for "
            f"independent, but {predictions.labels.size} {predictions.unit} are of "
            f"{predictions.num_patients} patients; "
            "take proportions=bootstrap"
        )


def _from_counts(counts: dict[str, int], name: str, config: EvaluationConfig) -> Figure:
    successes, failures = (counts[part] for part in SHARES[name])
    trials = successes + failures
    interval_of = wilson if config.proportions == "wilson" else clopper_pearson
    low, high = interval_of(successes, trials, config.confidence)
    value = successes / trials if trials else float("nan")
    return Figure.by(config.proportions, Interval(value, low, high, 0, 0, config.confidence))
