"""Are the scores probabilities, and do they mean what they say? Calibration and decision curve of a split."""

from dataclasses import replace
from typing import Literal

import numpy as np
from scipy import special

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.assessment import CalibrationResult, DecisionResult, Figure
from echossl.evaluation.auc import Floats
from echossl.evaluation.calibration import (
    CALIBRATION_FIGURES,
    calibration_bins,
    calibration_figures,
    chance_calibration_error,
)
from echossl.evaluation.curves import curve_of
from echossl.evaluation.decision import net_benefit, net_benefit_of_all
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.recalibration import recalibrate
from echossl.evaluation.resampling import Clusters, of_sample
from echossl.evaluation.smooth import smooth_calibration
from echossl.evaluation.study import Predictions

Scale = Literal["probabilities", "log_odds", "ranks"]
POINTS = 50
ASSUMED = (
    "as all lie within 0 to 1 they are taken for probabilities; scale=log_odds or scale=ranks says otherwise"
)
# where log odds of a probability of 0 or 1 end
LEAST = 1e-6


def probabilities_of(
    predictions: Predictions, validation: Predictions | None, config: EvaluationConfig, *, told: str = ""
) -> tuple[Floats, str] | None:
    """Probabilities of the studies and where they come from; None if the scores are none.

    What the scores are, ``config.scale`` says. ``told`` says why there is no validation split.

    Raises:
        UserError: if a recalibration is asked for without a validation split, or cannot be fitted on it; if
            scores that should be probabilities are none.
    """
    scale = _scale_of(predictions, validation, config)
    assumed = f" ({ASSUMED})" if scale != config.scale else ""
    if config.recalibrate is None:
        if scale == "log_odds":
            return special.expit(
                predictions.scores
            ), "the logistic function of the scores, which are log odds"
        return None if scale == "ranks" else (predictions.scores, f"as given{assumed}")
    if validation is None:
        raise UserError(
            f"{predictions.source}: recalibrate={config.recalibrate} is fitted on split "
            f"{config.validation_split!r}, which is not there; "
            f"{told or 'give its predictions, or leave it out'}"
        )
    origin = f"{config.recalibrate} on split {config.validation_split!r}"
    # a temperature is of log odds; the other curves are of the scores as they are
    if config.recalibrate == "temperature" and scale == "probabilities":
        predictions, validation = _as_log_odds(predictions), _as_log_odds(validation)
        origin += assumed
    return recalibrate(validation, config.recalibrate).apply(predictions), origin


def why_none(config: EvaluationConfig) -> str:
    """Why scores are no probabilities, and what to do."""
    if config.scale == "ranks":
        return "scale=ranks says that scores are no probabilities; fit some with recalibrate=platt"
    return (
        "scores are no probabilities (some are outside 0 to 1); say scale=log_odds if they are log odds, "
        "divide percentages by 100, or fit some with recalibrate=platt"
    )


def _scale_of(predictions: Predictions, validation: Predictions | None, config: EvaluationConfig) -> Scale:
    """The scale that the settings name, or that the scores suggest."""
    tables = [predictions] if validation is None else [predictions, validation]
    outside = [table for table in tables if table.scores.min() < 0 or table.scores.max() > 1]
    if config.scale == "auto":
        return "ranks" if outside else "probabilities"
    if config.scale == "probabilities" and outside:
        strange = outside[0].scores[(outside[0].scores < 0) | (outside[0].scores > 1)][0]
        raise UserError(
            f"{outside[0].source}: scale=probabilities, but a score of {predictions.column} is {strange:g}; "
            "expected 0 to 1, say scale=log_odds or scale=ranks"
        )
    return config.scale


def _as_log_odds(predictions: Predictions) -> Predictions:
    scores: Floats = special.logit(predictions.scores.clip(LEAST, 1 - LEAST))
    return replace(predictions, scores=scores)


def calibration_of(
    labels: np.ndarray, probabilities: Floats, origin: str, clusters: Clusters, config: EvaluationConfig
) -> CalibrationResult:
    """Calibration figures, smooth curve and bins; bands and intervals by patient."""
    method = "percentile" if config.method == "delong" else config.method
    figures = calibration_figures(labels, probabilities, num_bins=config.bins)
    found = figure_intervals(figures, clusters, config, method=method)
    # places where there are rows on both sides; beyond them a smooth curve is a guess
    places = np.unique(np.quantile(probabilities, np.linspace(0.01, 0.99, POINTS)))
    return CalibrationResult(
        probabilities=origin,
        figures={name: Figure.by(method, one) for name, one in zip(CALIBRATION_FIGURES, found, strict=True)},
        chance_ece=chance_calibration_error(probabilities, num_bins=config.bins, seed=config.seed),
        curve=curve_of(smooth_calibration(labels, probabilities, places), places, clusters, config),
        bins=tuple(calibration_bins(labels, probabilities, num_bins=config.bins)),
    )


def decision_of(
    labels: np.ndarray, probabilities: Floats, clusters: Clusters, config: EvaluationConfig
) -> DecisionResult:
    """Net benefit over the thresholds of the settings."""
    limits = np.linspace(*config.decision_thresholds, POINTS)
    model = curve_of(net_benefit(labels, probabilities, limits), limits, clusters, config)
    everyone = of_sample(net_benefit_of_all(labels, limits), clusters)
    return DecisionResult(model, tuple(everyone.tolist()))
