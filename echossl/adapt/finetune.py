"""Adapt an encoder with a handful of labels and predict the test split."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from echossl.adapt.batches import study_targets
from echossl.adapt.budget import Budget, of_split, readable
from echossl.adapt.found_classes import draw_with_classes
from echossl.adapt.pixels import fit_pixels, study_features
from echossl.adapt.predictions import scored_studies, write_predictions, write_validation
from echossl.adapt.search import choose_within_budget
from echossl.adapt.start import start_encoder
from echossl.adapt.tasks import Task, resolve_task
from echossl.adapt.trainers import trainer_for
from echossl.adapt.units import STUDY_OF_VIDEO, by_unit, refuse_other_classes, takes_found_classes
from echossl.config.adapt import FinetuneConfig, LabelBudget
from echossl.config.evaluation import VALIDATION_NAME
from echossl.config.recipes import PixelRecipe
from echossl.data.labels import describe
from echossl.data.manifest import read_manifest
from echossl.data.store import ClipStore
from echossl.encoders.classifier import save_classifier
from echossl.encoders.files import MODEL_NAME
from echossl.errors import ConfigError
from echossl.runs import RunFolder
from echossl.training.bad_videos import BadVideos
from echossl.training.hardware import Hardware

logger = logging.getLogger(__name__)

PREDICTIONS_NAME = "predictions.csv"
BUDGET_NAME = "budget.csv"
VALIDATION_ORIGIN = (
    "of the classifier that was chosen, trained on the other labelled patients; after the choice, which was "
    "made on these, it was trained anew on all"
)


@dataclass(frozen=True)
class Outcome:
    """What a recipe made of the budget.

    Attributes:
        studies: the predicted studies, or videos: ``patient_id, study_id`` and the score columns.
        facts: what goes into ``result.json``.
    """

    studies: pd.DataFrame
    facts: dict[str, Any]


def finetune(config: FinetuneConfig) -> Path:
    """Adapt and predict. A finished run returns at once.

    The labels of the budget are the only ones that reach the recipe; those of the test split are used after
    it is predicted, to be written beside the scores.

    Returns:
        ``predictions.csv`` in the run folder: one row per assessed study (or video, with ``labels.unit``) of
        the test split. Beside it lie
        ``budget.csv`` (whose labels were used, and for what), ``model.safetensors`` (unless the recipe is
        ``pixels``), ``validation.csv`` (the same for the patients of the budget that the settings were chosen
        on, by the classifier before it was trained on them; not where nothing was chosen so) and
        ``result.json``.

    Raises:
        UserError: if the manifest, the store, the start and the settings do not fit together.
    """
    run = RunFolder.open(config.out, config, command="finetune")
    path = config.out / PREDICTIONS_NAME
    if run.result is not None:
        return path
    started = time.monotonic()
    binary_columns, store = _binary_columns(config.labels), ClipStore.open(config.data.store)
    manifest = read_manifest(
        config.data.manifest,
        binary_columns=binary_columns,
        files_needed=False,
        uncertain=config.labels.uncertain,
    )
    table = by_unit(store.rows_for(manifest), config.labels)
    labels, budget = draw_with_classes(table, config.labels, split=config.train_split)
    task, columns = resolve_task(labels), config.labels.all_columns
    test = of_split(table[table[columns].notna().any(axis=1)], config.test_split)
    if takes_found_classes(config.labels):
        refuse_other_classes(test, labels.column, labels.classes, config.test_split)
    config = config.model_copy(update={"labels": labels})
    budget.write(config.out / BUDGET_NAME, task)
    most = config.data.max_bad_fraction
    bad_videos = BadVideos(config.out, num_videos=len(budget.videos), most=most)
    budget = readable(budget, store, bad_videos)
    outcome = adapt(config, store, table.drop(columns=columns), budget, test.drop(columns=columns))
    write_predictions(task, outcome.studies, test, config.test_split, path)
    seconds = {"seconds": round(time.monotonic() - started, 2)}
    counts = _counts(task, budget, outcome.studies) | _counts_by_video(task, table, budget, outcome.studies)
    doubt = _uncertain(config, manifest)
    run.finish(_labels(task) | counts | doubt | outcome.facts | seconds)
    return path


def _binary_columns(labels: LabelBudget) -> list[str]:
    """The columns that must hold 0, 1 or nothing.

    Raises:
        UserError: if the settings of the task do not fit together.
    """
    if not takes_found_classes(labels) and resolve_task(labels).settings.name in {"binary", "multilabel"}:
        return labels.all_columns
    if labels.uncertain != "ignore":
        raise ConfigError(f"labels.uncertain: has no effect, as {labels.column} is no column of 0 and 1")
    return []


def _uncertain(config: FinetuneConfig, manifest: pd.DataFrame) -> dict[str, Any]:
    """How many uncertain cells of the manifest were counted as what; nothing where there is none."""
    counts = manifest.attrs["uncertain"]
    if not counts:
        return {}
    policy = config.labels.uncertain
    total = sum(number for of_split in counts.values() for number in of_split.values())
    logger.info("%d uncertain label cells of the manifest counted as: %s", total, policy)
    return {"uncertain": {"counted_as": policy, "cells": counts}}


def adapt(
    config: FinetuneConfig, store: ClipStore, table: pd.DataFrame, budget: Budget, test: pd.DataFrame
) -> Outcome:
    """Train on the budget and score the test videos.

    Args:
        config: recipe, start, seed.
        store: the clip store.
        table: all stored videos of the manifest, without the label.
        budget: the labelled videos.
        test: the videos to be scored, without the label.
    """
    if isinstance(config.recipe, PixelRecipe):
        return _adapt_pixels(config, config.recipe, store, budget, test)
    hardware = Hardware.resolve(config.hardware)
    start = start_encoder(config, store, of_split(table, config.train_split))
    trainer, more = trainer_for(start, store, budget, config, hardware)
    chosen = choose_within_budget(trainer, budget, config.recipe)
    save_classifier(*trainer.classifier(), trainer.task.settings, config.out / MODEL_NAME, trainer.pooling())
    facts = {
        **chosen.facts(),
        "validation_share": config.labels.validation_share,
        **more,
        "hardware": {"device": str(hardware.device), "precision": hardware.precision},
    }
    if chosen.held_out is not None:
        write_validation(trainer.task, chosen.held_out, budget, table, config.out / VALIDATION_NAME)
        facts["validation_scores"] = f"{VALIDATION_NAME}: scores {VALIDATION_ORIGIN}"
    studies, outputs = trainer.study_outputs(test)
    return Outcome(scored_studies(trainer.task, studies, outputs), facts)


def _adapt_pixels(
    config: FinetuneConfig, recipe: PixelRecipe, store: ClipStore, budget: Budget, test: pd.DataFrame
) -> Outcome:
    task = resolve_task(config.labels).fitted(study_targets(budget.videos))
    model = fit_pixels(store, budget.videos, task, recipe)
    studies, features = study_features(store, test)
    return Outcome(scored_studies(task, studies, model(features)), {})


def _labels(task: Task) -> dict[str, Any]:
    """What was learned, with the classes as they are printed with every result."""
    columns = task.settings.columns
    known = [text for text in map(describe, columns) if text]
    if task.settings.unit == "video" and task.settings.classes and not known:
        known = [f"{task.column}: {', '.join(task.settings.classes)}"]
    return {
        "task": task.settings.name,
        "column": ", ".join(columns),
        "classes": " | ".join(known) or None,
    }


def _counts(task: Task, budget: Budget, scored: pd.DataFrame) -> dict[str, Any]:
    of_stratum = budget.counts(task.stratum_names)
    positive = {"num_positive_patients": of_stratum["positive"]} if "positive" in of_stratum else {}
    return {
        "num_labelled_patients": len(budget.train_patients) + len(budget.validation_patients),
        **(positive or {"num_patients_of_stratum": of_stratum}),
        "num_validation_patients": len(budget.validation_patients),
        "num_assessed_patients": budget.assessed,
        "num_labelled_studies": budget.videos["study_id"].nunique(),
        "num_labelled_videos": len(budget.videos),
        "num_test_patients": scored["patient_id"].nunique(),
        "num_test_studies": len(scored),
    }


def _counts_by_video(task: Task, table: pd.DataFrame, budget: Budget, scored: pd.DataFrame) -> dict[str, Any]:
    """What :func:`_counts` calls a study is a video there; nothing by study."""
    if task.settings.unit == "study":
        return {}
    study = table.set_index("study_id")[STUDY_OF_VIDEO]
    return {
        "unit": "video",
        "num_labelled_studies": study.loc[budget.videos["study_id"]].nunique(),
        "num_test_studies": study.loc[scored["study_id"]].nunique(),
        "num_test_videos": len(scored),
    }
