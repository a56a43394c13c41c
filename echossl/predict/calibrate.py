"""Probabilities and an operating point, from labelled studies that the model was not trained on."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from echossl.adapt.finetune import BUDGET_NAME
from echossl.config.evaluation import VALIDATION_NAME
from echossl.config.predict import PredictConfig
from echossl.errors import UserError
from echossl.evaluation.recalibration import Recalibration, recalibrate
from echossl.evaluation.study import Predictions, read_predictions
from echossl.evaluation.thresholds import OperatingPoint, choose
from echossl.predict.model import Model

# a model alone does not say who its patients were
UNCHECKED = " (not checked: the model stands alone, whose patients may be among them)"


@dataclass(frozen=True)
class Calibration:
    """What a score means.

    Attributes:
        curve: from scores to probabilities; None where scores stay as they are.
        point: the threshold; None where there is none.
        note: what was done, or why nothing was, in a sentence.
    """

    curve: Recalibration | None
    point: OperatingPoint | None
    note: str


def calibrate(model: Model, config: PredictConfig) -> Calibration:
    """Learn from validation studies what the scores mean, if there are enough.

    Args:
        model: the model.
        config: table of validation studies, curve, operating point, least number of studies.

    Raises:
        UserError: if a table was given that scores videos, or that holds patients whose labels the model was
            trained on, or that is wrong otherwise.
    """
    if not model.is_binary:
        return Calibration(
            None, None, f"Uncalibrated: the model learned the {model.task.settings.name} task."
        )
    given = config.validation
    found = _own(model) if given is None else _given(model, given)
    reason = found if isinstance(found, str) else _too_few(found, config.least_per_class)
    if isinstance(found, str) or reason:
        return Calibration(None, None, f"Uncalibrated, no operating point: {reason}.")
    return _learned(model, found, config)


def _learned(model: Model, found: Predictions, config: PredictConfig) -> Calibration:
    """Threshold and curve of validation studies of both classes."""
    point = choose(found, config.rule, config.target)
    own = ", scored by the model before it was trained on them too"
    if config.validation:
        own = "" if _trained(model) is not None else UNCHECKED
    where = f"{found.studies.size} validation studies, {int(found.labels.sum())} of them positive{own}"
    if config.calibration == "none":
        return Calibration(None, point, f"Uncalibrated, as asked for; operating point from {where}.")
    try:
        curve = recalibrate(found, config.calibration)
    except UserError as error:
        return Calibration(None, point, f"Uncalibrated: {error}; operating point from {where}.")
    how = f"Calibrated ({config.calibration}) and given its operating point ({point.rule}) on {where}."
    return Calibration(curve, point, how)


def _too_few(found: Predictions, least: int) -> str:
    positive = int(found.labels.sum())
    negative = found.labels.size - positive
    if min(positive, negative) >= least:
        return ""
    return (
        f"{positive} positive and {negative} negative validation studies, expected {least} of each; more "
        "labels, or validation=TABLE with predictions for other labelled studies, would help"
    )


def _given(model: Model, table: Path) -> Predictions:
    """The table that was named; none of its patients may have been trained on."""
    found = read_predictions(table, model.task.column)
    if found.unit == "videos":
        raise UserError(
            f"{table}: has a row for each video (column path), expected one for each study, whose score is "
            "calibrated; give a table by study"
        )
    shared = (_trained(model) or set()) & set(found.patients.tolist())
    if shared:
        raise UserError(
            f"{table}: {len(shared)} of its patients are among those whose labels the model "
            "was trained on; give a table of others"
        )
    return found


def _trained(model: Model) -> set[str] | None:
    """Patients whose labels the model was trained on; None where nobody knows."""
    path = None if model.run is None else model.run / BUDGET_NAME
    if path is None or not path.is_file():
        return None
    return set(pd.read_csv(path, dtype={"patient_id": str})["patient_id"])


def _own(model: Model) -> Predictions | str:
    """The run's own validation studies, scored before it was trained on them, or why there are none."""
    if model.run is None:
        return "the model stands alone, without the validation studies of its run; give validation=TABLE"
    kept = model.run / VALIDATION_NAME
    if kept.is_file():
        return read_predictions(kept, model.task.column)
    return (
        f"its run holds no {VALIDATION_NAME}: an earlier version made it, or it had nothing to choose on "
        "patients held out (one setting, and a look after the last update alone); give validation=TABLE"
    )
