"""One cell of a study of several sources: learn from some of them, then predict the test split of each."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from echossl.adapt.budget import Budget, draw_budget, of_split, readable
from echossl.adapt.finetune import BUDGET_NAME
from echossl.adapt.predictions import scored_studies, write_predictions, write_validation
from echossl.adapt.saved import classifier_outputs
from echossl.adapt.search import choose_within_budget
from echossl.adapt.start import start_encoder
from echossl.adapt.tasks import Task, build_task, resolve_task
from echossl.adapt.tasks.assessed import ASSESSED_COLUMN, assessed_text
from echossl.adapt.trainers import trainer_for
from echossl.config.across import AcrossConfig, LabelledSource
from echossl.config.evaluation import VALIDATION_NAME
from echossl.config.recipes import PixelRecipe
from echossl.data.fused_store import FusedStore
from echossl.data.manifest import read_manifest
from echossl.data.store import ClipStore
from echossl.encoders.classifier import load_classifier, save_classifier
from echossl.encoders.files import MODEL_NAME
from echossl.errors import UserError
from echossl.runs import RunFolder
from echossl.training.bad_videos import BadVideos
from echossl.training.hardware import Hardware

COMMAND = "sweep"


def adapt_across(config: AcrossConfig) -> Path:
    """Adapt to some sources and predict others. A finished run returns at once.

    Nothing of a source that is only tested is opened before the classifier is in its file; of those that are
    adapted to, the training split alone is read until then.

    Returns:
        The folder, with ``predictions-SOURCE.csv`` for each tested source, ``model.safetensors``,
        ``budget.csv`` (patients with the name of their source before them), ``validation.csv`` and
        ``result.json``.

    Raises:
        UserError: if manifests, stores, start and settings do not fit together.
    """
    run = RunFolder.open(config.out, config, command=COMMAND)
    if run.result is None:
        started = time.monotonic()
        facts = _learn(config)
        counts = {source.name: _predict(config, source) for source in config.tested}
        seconds = round(time.monotonic() - started, 2)
        run.finish(facts | {"num_test_patients_of_source": counts, "seconds": seconds})
    return config.out


def predictions_name(source: str) -> str:
    """The table of a tested source in the folder of a cell."""
    return f"predictions-{source}.csv"


def source_videos(source: LabelledSource, config: AcrossConfig, split: str) -> tuple[ClipStore, pd.DataFrame]:
    """The store of a source and its videos of a split, with the classes that it assesses beside them.

    Raises:
        UserError: if the manifest has no such split, or a label is none that the source assesses.
    """
    manifest = read_manifest(source.manifest, files_needed=False)
    store = ClipStore.open(source.store)
    task, column = resolve_task(config.labels), config.labels.column
    if column not in manifest:
        raise UserError(f"{source.manifest}: no label column {column!r}; found {', '.join(manifest.columns)}")
    table = of_split(store.rows_for(manifest), split)
    table = table.assign(**{ASSESSED_COLUMN: assessed_text(source.assessed or task.settings.classes)})
    task.targets(table)  # refuses labels that do not fit, before anything is trained
    return store, table


def _learn(config: AcrossConfig) -> dict[str, Any]:
    """Train on the labels of the adapted sources, and save the classifier; returns what is known of it."""
    if isinstance(config.recipe, PixelRecipe):
        raise UserError("recipe: pixels leaves no classifier that other sources could be tested with")
    store, table, budget = _budget(config)
    task = resolve_task(config.labels)
    budget.write(config.out / BUDGET_NAME, task)
    most = config.data.max_bad_fraction
    budget = readable(budget, store, BadVideos(config.out, num_videos=len(budget.videos), most=most))
    hardware = Hardware.resolve(config.hardware)
    start = start_encoder(config, store, table)
    trainer, more = trainer_for(start, store, budget, config, hardware)
    chosen = choose_within_budget(trainer, budget, config.recipe)
    save_classifier(*trainer.classifier(), task.settings, config.out / MODEL_NAME, trainer.pooling())
    if chosen.held_out is not None:
        write_validation(trainer.task, chosen.held_out, budget, table, config.out / VALIDATION_NAME)
    return {
        "task": task.settings.name,
        "column": task.column,
        "classes": ", ".join(task.settings.classes),
        **_counts(task, budget),
        **chosen.facts(),
        **more,
        "hardware": {"device": str(hardware.device), "precision": hardware.precision},
    }


def _budget(config: AcrossConfig) -> tuple[FusedStore, pd.DataFrame, Budget]:
    """The adapted sources as one, and the same share of the labels of each: drawn as if it were alone."""
    pairs = [source_videos(source, config, config.train_split) for source in config.adapted]
    store = FusedStore([own for own, _ in pairs])
    tables, budgets = [], []
    firsts = store.first_rows[:-1].tolist()
    for source, (_, table), first in zip(config.adapted, pairs, firsts, strict=True):
        keys = {name: [f"{source.name}:{key}" for key in table[name]] for name in ("patient_id", "study_id")}
        try:
            budget = draw_budget(table, config.labels, split=config.train_split)
        except UserError as error:
            raise UserError(f"source {source.name}: {error}") from error
        tables.append(table.assign(row=table["row"] + first, **keys))
        budgets.append(_moved(budget, source.name, first))
    return store, pd.concat(tables, ignore_index=True), _joined(budgets)


def _moved(budget: Budget, source: str, first: int) -> Budget:
    """With the name of the source before patients and studies, which two sources may number alike."""

    def named(patient: str) -> str:
        return f"{source}:{patient}"

    videos = budget.videos
    keys = {name: [named(key) for key in videos[name]] for name in ("patient_id", "study_id")}
    return replace(
        budget,
        videos=videos.assign(row=videos["row"] + first, **keys),
        train_patients=tuple(map(named, budget.train_patients)),
        validation_patients=tuple(map(named, budget.validation_patients)),
        strata={named(patient): code for patient, code in budget.strata.items()},
    )


def _joined(budgets: list[Budget]) -> Budget:
    return Budget(
        videos=pd.concat([one.videos for one in budgets], ignore_index=True),
        train_patients=tuple(patient for one in budgets for patient in one.train_patients),
        validation_patients=tuple(patient for one in budgets for patient in one.validation_patients),
        strata={patient: code for one in budgets for patient, code in one.strata.items()},
        assessed=sum(one.assessed for one in budgets),
    )


def _counts(task: Task, budget: Budget) -> dict[str, Any]:
    return {
        "num_labelled_patients": len(budget.train_patients) + len(budget.validation_patients),
        "num_validation_patients": len(budget.validation_patients),
        "num_patients_of_stratum": budget.counts(task.stratum_names),
        "num_assessed_patients": budget.assessed,
    }


def _predict(config: AcrossConfig, source: LabelledSource) -> int:
    """Write the scores of the test split of a source; returns the number of its patients."""
    store, table = source_videos(source, config, config.test_split)
    column = config.labels.column
    test = table[table[column].notna() & (table[column] != "")].reset_index(drop=True)
    task = build_task(load_classifier(config.out)[2])
    hardware = Hardware.resolve(config.hardware)
    studies, outputs = classifier_outputs(config.out, config, hardware, store, test.drop(columns=column))
    scored = scored_studies(task, studies, outputs)
    path = config.out / predictions_name(source.name)
    write_predictions(task, scored, test, config.test_split, path)
    return int(scored["patient_id"].nunique())
