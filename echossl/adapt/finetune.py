"""Adapt an encoder with a handful of labels and predict the test split."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.adapt.budget import Budget, draw_budget, of_split, readable
from echossl.adapt.frozen import FrozenTrainer
from echossl.adapt.full import FullTrainer
from echossl.adapt.pixels import fit_pixels, study_features
from echossl.adapt.scores import study_scores
from echossl.adapt.selection import Trainer, train_within_budget
from echossl.adapt.start import start_encoder
from echossl.config.adapt import FinetuneConfig, FrozenRecipe, FullRecipe, PixelRecipe
from echossl.data.labels import describe
from echossl.data.manifest import read_manifest
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.encoders.classifier import MODEL_NAME, save_classifier
from echossl.files import atomic_path
from echossl.runs import RunFolder
from echossl.training.bad_videos import BadVideos
from echossl.training.hardware import Hardware

PREDICTIONS_NAME = "predictions.csv"
BUDGET_NAME = "budget.csv"


@dataclass(frozen=True)
class Outcome:
    """What a recipe made of the budget.

    Attributes:
        studies: the predicted studies: ``patient_id, study_id, score``.
        facts: what goes into ``result.json``.
    """

    studies: pd.DataFrame
    facts: dict[str, Any]


def finetune(config: FinetuneConfig) -> Path:
    """Adapt and predict. A finished run returns at once.

    The labels of the budget are the only ones that reach the recipe; those of the test split are used after
    it is predicted, to be written beside the scores.

    Returns:
        ``predictions.csv`` in the run folder: one row per assessed study of the test split. Beside it lie
        ``budget.csv`` (whose labels were used, and for what), ``model.safetensors`` (unless the recipe is
        ``pixels``) and ``result.json``.

    Raises:
        UserError: if the manifest, the store, the start and the settings do not fit together.
    """
    run = RunFolder.open(config.out, config, command="finetune")
    path = config.out / PREDICTIONS_NAME
    if run.result is not None:
        return path
    started = time.monotonic()
    column = config.labels.column
    store = ClipStore.open(config.data.store)
    manifest = read_manifest(config.data.manifest, binary_columns=[column], files_needed=False)
    table = store.rows_for(manifest)
    budget = draw_budget(table, config.labels, split=config.train_split)
    budget.write(config.out / BUDGET_NAME)
    most = config.data.max_bad_fraction
    bad_videos = BadVideos(config.out, num_videos=len(budget.videos), most=most)
    budget = readable(budget, store, bad_videos)
    test = of_split(table[table[column].notna()], config.test_split)
    outcome = adapt(config, store, table.drop(columns=column), budget, test.drop(columns=column))
    _write_predictions(outcome.studies, test, config, path)
    counts = _counts(budget, outcome.studies)
    classes = {"column": column, "classes": describe(column)}
    run.finish(classes | counts | outcome.facts | {"seconds": round(time.monotonic() - started, 2)})
    return path


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
        return _adapt_pixels(config.recipe, store, budget, test)
    hardware = Hardware.resolve(config.hardware)
    start = start_encoder(config, store, of_split(table, config.train_split))
    trainer = _trainer(start, store, budget, config, hardware)
    chosen, looks = train_within_budget(
        trainer, budget, steps=config.recipe.steps, evaluate_every=config.recipe.evaluate_every
    )
    save_classifier(*trainer.classifier(), config.out / MODEL_NAME)
    facts = {
        "chosen_steps": chosen,
        "validation": [asdict(look) for look in looks],
        "hardware": {"device": str(hardware.device), "precision": hardware.precision},
    }
    return Outcome(study_scores(test, trainer.video_logits(test["row"].tolist())), facts)


def _trainer(
    start: Encoder, store: ClipStore, budget: Budget, config: FinetuneConfig, hardware: Hardware
) -> Trainer:
    match config.recipe:
        case FrozenRecipe() as recipe:
            start = hardware.place(start)
            return FrozenTrainer(start, store, budget, config=config, recipe=recipe, hardware=hardware)
        case FullRecipe() as recipe:
            return FullTrainer(start, store, config=config, recipe=recipe, hardware=hardware)
    raise TypeError(f"the recipe {config.recipe.name} trains no encoder")


def _adapt_pixels(recipe: PixelRecipe, store: ClipStore, budget: Budget, test: pd.DataFrame) -> Outcome:
    model = fit_pixels(store, budget.videos, recipe)
    studies, features = study_features(store, test)
    scores: npt.NDArray[np.float64] = model.decision_function(features)
    return Outcome(studies[["patient_id", "study_id"]].assign(score=scores), {})


def _write_predictions(scored: pd.DataFrame, test: pd.DataFrame, config: FinetuneConfig, path: Path) -> None:
    column = config.labels.column
    labels = test.groupby("study_id")[column].max().astype(int)
    table = pd.DataFrame(
        {
            "patient_id": scored["patient_id"],
            "study_id": scored["study_id"],
            "split": config.test_split,
            column: scored["study_id"].map(labels),
            f"{column}_score": scored["score"],
        }
    )
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def _counts(budget: Budget, scored: pd.DataFrame) -> dict[str, int]:
    return {
        "num_labelled_patients": len(budget.train_patients) + len(budget.validation_patients),
        "num_positive_patients": len(budget.positive_patients),
        "num_validation_patients": len(budget.validation_patients),
        "num_assessed_patients": budget.assessed,
        "num_labelled_studies": budget.videos["study_id"].nunique(),
        "num_labelled_videos": len(budget.videos),
        "num_test_patients": scored["patient_id"].nunique(),
        "num_test_studies": len(scored),
    }
