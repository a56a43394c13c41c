"""Saliency with everything at hand that its room cannot reach: a head that learned shuffled labels."""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from echossl.adapt.budget import Budget, draw_budget
from echossl.adapt.frozen import FrozenTrainer
from echossl.adapt.tasks import resolve_task
from echossl.config.adapt import FinetuneConfig, FrozenRecipe
from echossl.config.explain import ExplainConfig
from echossl.data.manifest import read_manifest
from echossl.data.store import ClipStore
from echossl.encoders.classifier import load_classifier
from echossl.errors import UserError
from echossl.runs import RunFolder
from echossl.saliency.explain import explain
from echossl.saliency.model import Model, explainer_of, finetune_config
from echossl.saliency.studies import ZERO_OR_ONE
from echossl.training.hardware import Hardware

logger = logging.getLogger(__name__)
# first word of the random stream, so that no two uses share one
SHUFFLE_STREAM = 31
ATTEMPTS = 100


def explain_run(config: ExplainConfig) -> Path:
    """Explain a run; see :func:`echossl.saliency.explain.explain`.

    For the check with shuffled labels a head is trained on the run's own budget and encoder first.
    """
    finished = (config.out / "result.json").is_file()
    if finished or "label_randomisation" not in config.checks.which:
        return explain(config)
    # what is refused is refused before a head is trained
    explainer_of(Model.load(config.run, config.output), config)
    return explain(config, shuffled_head=shuffled_head(config.run, seed=config.seed))


def shuffled_head(run: Path, *, seed: int) -> nn.Module:
    """A head for the encoder of a run, trained as the run's was, on the labels of the wrong patients.

    Args:
        run: a run of ``echossl finetune`` with the recipe frozen.
        seed: which shuffling; as many patients of each class change theirs as can.

    Raises:
        UserError: if the recipe trains the encoder too, which would take another fine-tuning.
    """
    config = finetune_config(run)
    if not isinstance(config.recipe, FrozenRecipe):
        raise UserError(
            f"{run}: label_randomisation needs the recipe frozen, found {config.recipe.name}; leave it out "
            "of checks.which, or explain a run with that recipe"
        )
    encoder, _, _ = load_classifier(run)
    store = ClipStore.open(config.data.store)
    budget = shuffled_labels(_budget(config, store), seed=seed)
    hardware = Hardware.resolve(config.hardware)
    trainer = FrozenTrainer(
        hardware.place(encoder), store, budget, config=config, recipe=config.recipe, hardware=hardware
    )
    steps = int((RunFolder(run).result or {})["chosen_steps"])
    _exhaust(islice(trainer.updates(budget.videos), steps))
    return trainer.classifier()[1].cpu().eval()


def shuffled_labels(budget: Budget, *, seed: int) -> Budget:
    """The same budget with the labels of its patients dealt out anew.

    Of several shufflings the one that leaves the fewest patients their label is taken: of six patients every
    other shuffling would teach much of the truth.
    """
    patients = sorted(set(budget.videos["patient_id"]))
    first = budget.videos.drop_duplicates("patient_id").set_index("patient_id")
    columns = [str(name) for name in budget.videos if str(name) == "label" or str(name).startswith("target")]
    labels = first.loc[patients, "label"].to_numpy()
    generator = np.random.default_rng([SHUFFLE_STREAM, seed])
    orders = [generator.permutation(len(patients)) for _ in range(ATTEMPTS)]
    order = min(orders, key=lambda one: int((labels[one] == labels).sum()))
    dealt = first.loc[patients, columns].iloc[order].set_axis(patients)
    videos = budget.videos.assign(**{name: budget.videos["patient_id"].map(dealt[name]) for name in columns})
    logger.info(
        "labels shuffled: %d of %d patients keep theirs", int((labels[order] == labels).sum()), len(labels)
    )
    return Budget(
        videos,
        budget.train_patients,
        budget.validation_patients,
        {patient: int(dealt["label"][patient]) for patient in patients},
        budget.assessed,
    )


def _budget(config: FinetuneConfig, store: ClipStore) -> Budget:
    task = resolve_task(config.labels).settings
    columns = task.columns if task.name in ZERO_OR_ONE else ()
    manifest = read_manifest(
        config.data.manifest, binary_columns=columns, files_needed=False, uncertain=config.labels.uncertain
    )
    table: pd.DataFrame = store.rows_for(manifest)
    return draw_budget(table, config.labels, split=config.train_split)


def _exhaust(updates: Iterator[int]) -> None:
    for _ in updates:
        pass
