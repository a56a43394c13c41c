"""Scores of our own runs as probabilities, judged where their validation says, or else at one half."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from scipy import special

from echossl.config.evaluation import EvaluationConfig
from echossl.evaluation import Predictions
from echossl.evaluation.assess import assess
from echossl.evaluation.assessment import Assessment, Figure, PointResult
from echossl.evaluation.beside import kept_validation
from echossl.evaluation.points import confusion_counts
from echossl.evaluation.thresholds import OperatingPoint, judge

HALF = OperatingPoint("probability 50 %", 0.5, "no study: one half, fixed beforehand", frozenset())
RULE = "probability of one half or more, which is fixed beforehand"


def as_probabilities(predictions: Predictions) -> Predictions:
    """Scores in 0 to 1: the logistic function of log odds, which a head of one output gives."""
    scores = predictions.scores
    if ((scores >= 0) & (scores <= 1)).all():
        return predictions
    return replace(predictions, scores=special.expit(scores))


def assess_own(predictions: Predictions, config: EvaluationConfig, table: pd.DataFrame | None) -> Assessment:
    """Judge the scores of a run; without enough validation studies at one half.

    Args:
        predictions: of a run, log odds or probabilities; thresholds come from the ``validation.csv`` beside
            their ``source``, if it holds enough. For a recalibration they stay log odds.
        config: every setting.
        table: columns for subgroups, grades and measurements.
    """
    kept, told = kept_validation(Path(predictions.source), predictions, config)
    if config.recalibrate is not None:
        return assess(predictions, config, table=table, validation=kept, told=told)
    probabilities = as_probabilities(predictions)
    if kept is not None and probabilities is not predictions:
        kept = replace(kept, scores=special.expit(kept.scores))
    found = assess(probabilities, config, table=table, validation=kept, told=told)
    if found.points:
        return found
    missing = {name: reason for name, reason in found.missing.items() if name != "points"}
    notes = (f"judged at a probability of one half: {told}",) if told else ()
    return replace(found, points=(_at_half(probabilities, config),), missing=missing, notes=notes)


def _at_half(predictions: Predictions, config: EvaluationConfig) -> PointResult:
    figures = judge(HALF, predictions, config, prevalence=config.prevalence)
    called, positive = predictions.scores >= HALF.threshold, predictions.labels == 1
    counts = confusion_counts(called, positive)
    named = {name: Figure.by("percentile", figure) for name, figure in figures.items()}
    return PointResult(HALF.rule, HALF.threshold, HALF.split, counts, named)
