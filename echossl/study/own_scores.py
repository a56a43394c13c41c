"""Scores of our own runs as probabilities, judged where their validation says, or else at one half."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from scipy import special

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation import Predictions
from echossl.evaluation.assess import assess
from echossl.evaluation.assessment import Assessment
from echossl.evaluation.beside import PREDICTIONS_NAME, kept_validation
from echossl.evaluation.discrimination import clusters_of
from echossl.evaluation.points import judged_point
from echossl.evaluation.thresholds import OperatingPoint
from echossl.runs import RunFolder

HALF = OperatingPoint("probability 50 %", 0.5, "no study: one half, fixed beforehand", frozenset())
RULE = "probability of one half or more, which is fixed beforehand"
# those of several classes write probabilities
LOG_ODDS_TASKS = ("binary", "multilabel")


def are_log_odds(predictions: Predictions, kept: Predictions | None = None) -> bool:
    """Whether scores are log odds: the task of their run says so, else that one lies outside 0 to 1.

    Args:
        predictions: of a run, or of another tool.
        kept: the validation studies beside them, on the same scale.
    """
    task = _task_of(Path(predictions.source))
    if task is not None:
        return task in LOG_ODDS_TASKS
    tables = [predictions] if kept is None else [predictions, kept]
    return not all(_within_0_to_1(table) for table in tables)


def _within_0_to_1(table: Predictions) -> bool:
    return bool(((table.scores >= 0) & (table.scores <= 1)).all())


def _task_of(path: Path) -> str | None:
    """The task of the fine-tuning run whose predictions these are, or None."""
    run = RunFolder(path.parent)
    is_own = path.name == PREDICTIONS_NAME and (run.path / "run.json").is_file()
    if not is_own or run.record["command"] != "finetune":
        return None
    # runs that do not name their task are of a time when all were binary
    return str((run.result or {}).get("task", "binary"))


def as_probabilities(predictions: Predictions, kept: Predictions | None = None) -> Predictions:
    """Scores in 0 to 1: the logistic function of log odds; see :func:`are_log_odds`."""
    if not are_log_odds(predictions, kept):
        return predictions
    return replace(predictions, scores=special.expit(predictions.scores))


def assess_own(predictions: Predictions, config: EvaluationConfig, table: pd.DataFrame | None) -> Assessment:
    """Judge the scores of a run; without enough validation studies at one half.

    Args:
        predictions: of a run, log odds or probabilities; thresholds come from the ``validation.csv`` beside
            their ``source``, if it holds enough. For a recalibration they stay log odds.
        config: every setting.
        table: columns for subgroups, grades and measurements.
    """
    kept, told = kept_validation(Path(predictions.source), predictions, config)
    if config.scale != "auto":
        raise UserError(
            f"{predictions.source}: scale={config.scale} is for tables; a run says what its scores are"
        )
    if config.recalibrate is not None:
        if are_log_odds(predictions, kept):
            config = config.model_copy(update={"scale": "log_odds"})
        return assess(predictions, config, table=table, validation=kept, told=told)
    probabilities = as_probabilities(predictions, kept)
    if kept is not None and probabilities is not predictions:
        kept = replace(kept, scores=special.expit(kept.scores))
    if all(_within_0_to_1(one) for one in (probabilities, kept) if one is not None):
        config = config.model_copy(update={"scale": "probabilities"})
    found = assess(probabilities, config, table=table, validation=kept, told=told)
    if found.points:
        return found
    missing = {name: reason for name, reason in found.missing.items() if name != "points"}
    notes = (f"judged at a probability of one half: {told}",) if told else ()
    half = judged_point(HALF, probabilities, clusters_of(probabilities, config), config)
    return replace(found, points=(half,), missing=missing, notes=notes)
