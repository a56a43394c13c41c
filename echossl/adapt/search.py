"""Settings out of a declared grid, chosen on the budget's validation patients together with the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from echossl.adapt.budget import Budget
from echossl.adapt.selection import Look, Trainer, looks_of, most_of_best, train_on_all
from echossl.config.recipes import TrainedRecipe

Settings = Mapping[str, float]


@dataclass(frozen=True)
class Chosen:
    """What was chosen, and everything that was looked at.

    Attributes:
        settings: by the name of the recipe's setting; empty without a search.
        steps: number of updates.
        looks: of each candidate, in the order of the grid: its settings and its looks.
        held_out: the validation studies with their scores at the look that was chosen, before the training
            on all patients; None where there was nothing to choose and so no look.
    """

    settings: Settings
    steps: int
    looks: tuple[tuple[Settings, tuple[Look, ...]], ...]
    held_out: pd.DataFrame | None = None

    def facts(self) -> dict[str, Any]:
        """What goes into ``result.json``."""
        looks = [dict(settings) | _figures(look) for settings, own in self.looks for look in own]
        searched = {"chosen_settings": dict(self.settings)} if self.settings else {}
        return {"chosen_steps": self.steps, "validation": looks, **searched}


def candidates(recipe: TrainedRecipe) -> list[dict[str, float]]:
    """Every combination of the lists in ``recipe.search``, the last list running fastest; one if none."""
    lists = recipe.grid()
    return [dict(zip(lists, values, strict=True)) for values in product(*lists.values())]


def choose_within_budget(trainer: Trainer, budget: Budget, recipe: TrainedRecipe) -> Chosen:
    """Choose settings and number of updates, then train on the whole budget with them.

    Each candidate is trained on the training patients of the budget and looked at on its validation
    patients. The largest merit wins; of equal candidates the one that is listed first, of equal looks of a
    candidate the one with most updates (see :func:`echossl.adapt.selection.most_of_best`). The second
    training begins from the same start with the same learning-rate schedule, cut at the chosen step. It is
    done because the validation patients are a quarter of the labels: of 8 patients, leaving 2 out for good
    costs more than it tells.

    Args:
        trainer: the recipe at work.
        budget: the labelled patients; no other label is there to be read.
        recipe: its grid; ``steps`` is the most updates, ``evaluate_every`` those between looks. The last
            update is looked at in any case. With ``evaluate_every`` of ``steps`` or more the number of steps
            is fixed; without a grid there is then nothing to choose, and only the second training is done.
    """
    grid = candidates(recipe)
    looks: list[tuple[Settings, tuple[Look, ...]]] = []
    if len(grid) > 1 or recipe.evaluate_every < recipe.steps:
        for candidate in grid:
            trainer.use(candidate)
            own = looks_of(trainer, budget, steps=recipe.steps, evaluate_every=recipe.evaluate_every)
            looks.append((candidate, tuple(own)))
    settings, steps, held_out = _best(looks) if looks else (grid[0], recipe.steps, None)
    trainer.use(settings)
    train_on_all(trainer, budget, steps)
    return Chosen(settings, steps, tuple(looks), held_out)


def _best(looks: Sequence[tuple[Settings, Sequence[Look]]]) -> tuple[Settings, int, pd.DataFrame]:
    """Settings, number of updates, and what was said of the validation studies then."""
    settings, own = max(looks, key=lambda pair: max(look.merit for look in pair[1]))
    steps = most_of_best(own)
    return settings, steps, next(look.scored for look in own if look.step == steps)


def _figures(look: Look) -> dict[str, float]:
    return {"step": look.step, "loss": look.loss, "merit": look.merit}
