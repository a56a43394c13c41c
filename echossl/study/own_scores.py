"""Scores of our own runs as probabilities, judged also at one half: a threshold that needs no study."""

from dataclasses import replace

import pandas as pd
from scipy import special

from echossl.config.evaluation import EvaluationConfig
from echossl.evaluation import Predictions
from echossl.evaluation.assess import assess
from echossl.evaluation.assessment import Assessment, Figure, PointResult
from echossl.evaluation.thresholds import OperatingPoint, judge

HALF = OperatingPoint("probability 50 %", 0.5, "no study: one half, fixed beforehand", frozenset())
RULE = "probability of one half or more, which is fixed beforehand; no threshold was fitted"


def as_probabilities(predictions: Predictions) -> Predictions:
    """Scores in 0 to 1: the logistic function of log odds, which a head of one output gives."""
    scores = predictions.scores
    if ((scores >= 0) & (scores <= 1)).all():
        return predictions
    return replace(predictions, scores=special.expit(scores))


def assess_own(predictions: Predictions, config: EvaluationConfig, table: pd.DataFrame | None) -> Assessment:
    """Judge the scores of a run; without a validation split at one half.

    Args:
        predictions: of a run, log odds or probabilities.
        config: every setting.
        table: columns for subgroups, grades and measurements.
    """
    probabilities = as_probabilities(predictions)
    found = assess(probabilities, config, table=table)
    if found.points:
        return found
    missing = {name: reason for name, reason in found.missing.items() if name != "points"}
    return replace(found, points=(_at_half(probabilities, config),), missing=missing)


def _at_half(predictions: Predictions, config: EvaluationConfig) -> PointResult:
    figures = judge(HALF, predictions, config, prevalence=config.prevalence)
    called, positive = predictions.scores >= HALF.threshold, predictions.labels == 1
    counts = {
        "true_positives": int((called & positive).sum()),
        "false_negatives": int((~called & positive).sum()),
        "false_positives": int((called & ~positive).sum()),
        "true_negatives": int((~called & ~positive).sum()),
    }
    named = {name: Figure.by("percentile", figure) for name, figure in figures.items()}
    return PointResult(HALF.rule, HALF.threshold, HALF.split, counts, named)
