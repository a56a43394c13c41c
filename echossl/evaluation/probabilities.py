"""Are the scores probabilities, and do they mean what they say? Calibration and decision curve of a split."""

import numpy as np

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

POINTS = 50


def probabilities_of(
    predictions: Predictions, validation: Predictions | None, config: EvaluationConfig, *, told: str = ""
) -> tuple[Floats, str] | None:
    """Probabilities of the studies and where they come from; None if the scores are none.

    Scores within 0 to 1 are taken as probabilities unless a recalibration is asked for. ``told`` says why
    there is no validation split.

    Raises:
        UserError: if a recalibration is asked for without a validation split, or cannot be fitted on it.
    """
    if config.recalibrate is None:
        if predictions.scores.min() < 0 or predictions.scores.max() > 1:
            return None
        return predictions.scores, "as given"
    if validation is None:
        raise UserError(
            f"{predictions.source}: recalibrate={config.recalibrate} is fitted on split "
            f"{config.validation_split!r}, which is not there; "
            f"{told or 'give its predictions, or leave it out'}"
        )
    fitted = recalibrate(validation, config.recalibrate)
    return fitted.apply(predictions), f"{config.recalibrate} on split {fitted.split!r}"


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
