"""From a recipe's settings to the recipe at work."""

import copy
from typing import Any

from echossl.adapt.budget import Budget
from echossl.adapt.frozen import FrozenTrainer
from echossl.adapt.full import FullTrainer
from echossl.adapt.linear_probe import ProbeTrainer
from echossl.adapt.search import choose_within_budget
from echossl.adapt.selection import Trainer
from echossl.config.adapt import FinetuneConfig
from echossl.config.recipes import (
    FrozenRecipe,
    FullRecipe,
    PixelRecipe,
    ProbeRecipe,
    ProbeThenFullRecipe,
)
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.training.hardware import Hardware


def trainer_for(
    start: Encoder, store: ClipStore, budget: Budget, config: FinetuneConfig, hardware: Hardware
) -> tuple[Trainer, dict[str, Any]]:
    """The recipe at work, not yet trained.

    Args:
        start: the start, on the CPU.
        store: the clip store.
        budget: the labelled videos. The recipe lpft chooses the strength of its probe on them at once; what
            the second half is begun from is fitted anew to whatever that half is trained on.
        config: recipe, batches, seed.
        hardware: device and precision.

    Returns:
        The trainer, and what is already known for ``result.json``.

    Raises:
        TypeError: if the recipe has no encoder.
    """
    match config.recipe:
        case FrozenRecipe() as recipe:
            start = hardware.place(start)
            return FrozenTrainer(start, store, budget, config=config, recipe=recipe, hardware=hardware), {}
        case ProbeRecipe() as recipe:
            return _probe(start, store, recipe, config, hardware), {}
        case FullRecipe() as recipe:
            return FullTrainer(start, store, config=config, recipe=recipe, hardware=hardware), {}
        case ProbeThenFullRecipe() as recipe:
            return _probe_then_full(start, store, budget, recipe, config, hardware)
        case PixelRecipe():
            raise TypeError("the recipe pixels has no encoder")


def _probe(
    start: Encoder, store: ClipStore, recipe: ProbeRecipe, config: FinetuneConfig, hardware: Hardware
) -> ProbeTrainer:
    return ProbeTrainer(
        hardware.place(start),
        store,
        config=config,
        strength=recipe.inverse_regularisations[0],
        hardware=hardware,
        pooling=recipe.pooling,
    )


def _probe_then_full(
    start: Encoder,
    store: ClipStore,
    budget: Budget,
    recipe: ProbeThenFullRecipe,
    config: FinetuneConfig,
    hardware: Hardware,
) -> tuple[Trainer, dict[str, Any]]:
    # the probe switches off the gradient of its encoder
    alone = ProbeRecipe(inverse_regularisations=recipe.probe.inverse_regularisations)
    probe = _probe(copy.deepcopy(start), store, alone, config, hardware)
    chosen = choose_within_budget(probe, budget, alone)
    trainer = FullTrainer(
        start, store, config=config, recipe=recipe, hardware=hardware, first_head=probe.head_for
    )
    return trainer, {"probe": chosen.facts()}
