"""Probabilities and an operating point, from labelled studies that the model was not trained on."""

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pandas as pd

from echossl.adapt.batches import study_targets
from echossl.adapt.budget import draw_budget, readable
from echossl.adapt.finetune import BUDGET_NAME
from echossl.adapt.predictions import scored_studies
from echossl.adapt.start import start_encoder
from echossl.adapt.trainers import trainer_for
from echossl.config.adapt import FinetuneConfig
from echossl.config.predict import PredictConfig
from echossl.config.recipes import FrozenRecipe, ProbeRecipe
from echossl.data.manifest import read_manifest
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.evaluation.recalibration import Recalibration, recalibrate
from echossl.evaluation.study import Predictions, read_predictions
from echossl.evaluation.thresholds import OperatingPoint, choose
from echossl.files import atomic_path
from echossl.predict.model import Model, run_settings
from echossl.runs import RunFolder
from echossl.training.bad_videos import BadVideos
from echossl.training.hardware import Hardware

VALIDATION_SPLIT = "validation"
VALIDATION_NAME = "validation.csv"


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


def calibrate(model: Model, config: PredictConfig, scratch: Path) -> Calibration:
    """Learn from validation studies what the scores mean, if there are enough.

    Args:
        model: the model.
        config: table of validation studies, curve, operating point, least number of studies.
        scratch: a folder that a table of the run's own validation studies is written to.

    Raises:
        UserError: if a table was given that holds patients whose labels the model was trained on, or that is
            wrong otherwise.
    """
    if not model.is_binary:
        return Calibration(
            None, None, f"Uncalibrated: the model learned the {model.task.settings.name} task."
        )
    given = config.validation
    found = _own(model, config, scratch) if given is None else _given(model, given)
    reason = found if isinstance(found, str) else _too_few(found, config.least_per_class)
    if isinstance(found, str) or reason:
        return Calibration(None, None, f"Uncalibrated, no operating point: {reason}.")
    return _learned(found, config)


def _learned(found: Predictions, config: PredictConfig) -> Calibration:
    """Threshold and curve of validation studies of both classes."""
    point = choose(found, config.rule, config.target)
    own = "" if config.validation else ", scored by the model before it was trained on them too"
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
    path = None if model.run is None else model.run / BUDGET_NAME
    if path is not None and path.is_file():
        trained = set(pd.read_csv(path, dtype={"patient_id": str})["patient_id"])
        shared = trained & set(found.patients.tolist())
        if shared:
            raise UserError(
                f"{table}: {len(shared)} of its patients are among those whose labels the model "
                "was trained on; give a table of others"
            )
    return found


def _own(model: Model, config: PredictConfig, scratch: Path) -> Predictions | str:
    """The run's own validation studies, or why they cannot serve."""
    settings = run_settings(model)
    if settings is None or model.run is None:
        return "the model stands alone, without the validation studies of its run; give validation=TABLE"
    kept = model.run / VALIDATION_NAME
    if kept.is_file():
        return read_predictions(kept, model.task.column)
    counted = _validation_counts(model.run)
    if counted is not None and min(counted) < config.least_per_class:
        return (
            f"the run held out {counted[1]} positive and {counted[0]} negative patients, expected "
            f"{config.least_per_class} of each; more labels, or validation=TABLE with predictions for other "
            "labelled studies, would help"
        )
    if not isinstance(settings.recipe, FrozenRecipe | ProbeRecipe):
        return (
            f"the recipe {settings.recipe.name} keeps no scores of the studies that it held out; give "
            "validation=TABLE"
        )
    if not (settings.data.manifest.is_file() and settings.data.store.is_dir()):
        return "the manifest or clip store of its run is not there any more; give validation=TABLE"
    return _scored_again(model.run, settings, scratch / VALIDATION_NAME)


def _validation_counts(run: Path) -> tuple[int, int] | None:
    """Negative and positive patients that were held out."""
    path = run / BUDGET_NAME
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"patient_id": str})
    held_out = table.loc[table["role"] == "validation", "positive"]
    return int((held_out == 0).sum()), int((held_out == 1).sum())


def _scored_again(run: Path, settings: FinetuneConfig, path: Path) -> Predictions:
    """Repeat the training that the run's number of updates was chosen by, and score what it held out.

    The encoder is frozen, so this takes no longer than the features of the labelled videos do.
    """
    settings = settings.model_copy(update={"out": path.parent})
    store = ClipStore.open(settings.data.store)
    manifest = read_manifest(
        settings.data.manifest, binary_columns=[settings.labels.column], files_needed=False
    )
    table = store.rows_for(manifest)
    budget = draw_budget(table, settings.labels, split=settings.train_split)
    bad = BadVideos(path.parent, num_videos=len(budget.videos), most=settings.data.max_bad_fraction)
    budget = readable(budget, store, bad)
    training = table[table["split"] == settings.train_split]
    hardware = Hardware.resolve(settings.hardware)
    start = start_encoder(settings, store, training.drop(columns=[settings.labels.column]))
    trainer, _ = trainer_for(start, store, budget, settings, hardware)
    result = RunFolder(run).result or {}
    trainer.use(result.get("chosen_settings", {}))
    for _ in islice(trainer.updates(budget.training_videos), int(result["chosen_steps"])):
        pass
    held_out = budget.validation_videos
    studies, outputs = trainer.study_outputs(held_out)
    scored = scored_studies(trainer.task, studies, outputs)
    labels = study_targets(held_out)[:, 0].astype(int)
    with atomic_path(path) as temporary:
        scored["split"], scored[settings.labels.column] = VALIDATION_SPLIT, labels
        scored.to_csv(temporary, index=False)
    return replace(read_predictions(path, settings.labels.column), source="validation studies of the run")
