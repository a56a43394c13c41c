"""Everything that is said of one score on one split: from a table of predictions to an assessment."""

import numpy as np
import pandas as pd

from echossl.config.evaluation import EvaluationConfig
from echossl.data.labels import describe
from echossl.errors import UserError
from echossl.evaluation.assessment import (
    Assessment,
    CalibrationResult,
    Counts,
    DecisionResult,
    PointResult,
)
from echossl.evaluation.curves import curve_of, precisions_at, sensitivities_at
from echossl.evaluation.discrimination import area_figures, clusters_of, redraws_without_both_classes
from echossl.evaluation.groups import correlations_of, grades_of, subgroups_of
from echossl.evaluation.points import judged_points
from echossl.evaluation.probabilities import calibration_of, decision_of, probabilities_of, why_none
from echossl.evaluation.resampling import Clusters
from echossl.evaluation.study import Predictions

CURVE_POINTS = 101


def assess(
    predictions: Predictions,
    config: EvaluationConfig,
    *,
    table: pd.DataFrame | None = None,
    validation: Predictions | None = None,
    told: str = "",
) -> Assessment:
    """Judge one split of one binary question.

    Args:
        predictions: the studies; beside the split that is judged they may hold the validation split, on
            which thresholds are chosen and probabilities are fitted.
        config: every setting.
        table: columns for subgroups and correlations, by ``patient_id`` and ``study_id``: a manifest or the
            table of predictions itself.
        validation: the validation split, if it is in another table.
        told: where that comes from, or why there is none, where the table itself does not say so.

    Raises:
        UserError: if several splits besides validation are there, a class is missing, a patient is in both
            splits, or a setting asks for what the tables do not have.
    """
    judged, validation = _parts(predictions, validation, config)
    judged.require_both_classes()
    clusters, missing = clusters_of(judged, config), dict[str, str]()
    points = _points(judged, validation, clusters, config, missing)
    if told and not points:
        missing["points"] = told
    if not points:
        _say_what_has_no_effect(config, missing)
    calibration, decision = _probabilities(judged, validation, clusters, config, missing, told)
    others = pd.DataFrame({"patient_id": []}) if table is None else table
    places = np.linspace(0, 1, CURVE_POINTS)
    return Assessment(
        source=judged.source,
        column=judged.column,
        classes=describe(judged.column),
        split=str(judged.splits[0]),
        counts=_counts(judged, config),
        prevalence=judged.prevalence,
        figures=area_figures(judged, config),
        roc=curve_of(sensitivities_at(judged.labels, judged.scores, places), places, clusters, config),
        pr=curve_of(precisions_at(judged.labels, judged.scores, places[1:]), places[1:], clusters, config),
        points=points,
        calibration=calibration,
        decision=decision,
        subgroups=subgroups_of(judged, others, config, missing),
        correlations=correlations_of(judged, others, config, missing),
        grades=grades_of(judged, others, config, missing),
        missing=missing,
        config=config,
        unit=judged.unit,
        notes=(told,) if told and points else (),
    )


def _parts(
    predictions: Predictions, validation: Predictions | None, config: EvaluationConfig
) -> tuple[Predictions, Predictions | None]:
    """The split that is judged and the one before it."""
    splits = list(dict.fromkeys(predictions.splits.tolist()))
    others = [split for split in splits if split != config.validation_split]
    if len(others) > 1:
        raise UserError(
            f"{predictions.source}: holds the splits {', '.join(others)}, expected one besides "
            f"{config.validation_split!r}; judge one at a time"
        )
    if not others:
        return predictions, None
    if validation is None and len(splits) == 2:
        validation = predictions.only(config.validation_split)
    return predictions.only(others[0]), validation


def _points(
    judged: Predictions,
    validation: Predictions | None,
    clusters: Clusters,
    config: EvaluationConfig,
    missing: dict[str, str],
) -> tuple[PointResult, ...]:
    if validation is None:
        own = str(judged.splits[0]) == config.validation_split
        where = "this is the split" if own else f"no split {config.validation_split!r}"
        missing["points"] = (
            f"{where} to fix thresholds on; thresholds chosen on the judged studies would flatter"
        )
        return ()
    return judged_points(judged, validation, clusters, config)


def _say_what_has_no_effect(config: EvaluationConfig, missing: dict[str, str]) -> None:
    """Settings of operating points where there are none."""
    given: dict[str, float | str | None] = {"prevalence": config.prevalence}
    if config.proportions != "bootstrap":
        given["proportions"] = config.proportions
    idle = [f"{name}={value}" for name, value in given.items() if value is not None]
    if idle:
        reason = missing.get("points", "none is asked for")
        missing["points"] = f"{reason}; without them no effect of {', '.join(idle)}"


def _probabilities(
    judged: Predictions,
    validation: Predictions | None,
    clusters: Clusters,
    config: EvaluationConfig,
    missing: dict[str, str],
    told: str,
) -> tuple[CalibrationResult | None, DecisionResult | None]:
    if config.recalibrate and str(judged.splits[0]) == config.validation_split:
        reason = f"this is the split that {config.recalibrate} is fitted on"
        missing |= {"calibration": reason, "decision": reason}
        return None, None
    found = probabilities_of(judged, validation, config, told=told)
    if found is None:
        reason = why_none(config)
        missing |= {"calibration": reason, "decision": reason}
        return None, None
    probabilities, origin = found
    return (
        calibration_of(judged.labels, probabilities, origin, clusters, config),
        decision_of(judged.labels, probabilities, clusters, config),
    )


def _counts(judged: Predictions, config: EvaluationConfig) -> Counts:
    return Counts(
        patients=judged.num_patients,
        studies=judged.labels.size,
        positive_patients=judged.num_positive,
        positive_studies=int(judged.labels.sum()),
        unlabelled=judged.num_unlabelled,
        uncertain=judged.num_uncertain,
        redraws_without_both_classes=redraws_without_both_classes(judged, config),
    )
