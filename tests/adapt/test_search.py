"""Settings out of a grid: which are tried, which are taken, and whose labels are read for it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from echossl.adapt import finetune
from echossl.adapt.budget import Budget, draw_budget
from echossl.adapt.finetune import adapt
from echossl.adapt.search import candidates, choose_within_budget
from echossl.adapt.selection import Trainer
from echossl.adapt.tasks import resolve_task
from echossl.config.adapt import FrozenRecipe, FullRecipe, LabelBudget
from echossl.config.recipes import ProbeRecipe, ProbeThenFullRecipe

GRID = {"learning_rates": [1e-2, 1e-3, 3e-2]}
RECIPES = {
    "frozen": FrozenRecipe(steps=10, evaluate_every=5, augmented_views=2, search=GRID),
    "full": FullRecipe(steps=2, evaluate_every=1, warmup_steps=1, search={"layer_decays": [1.0, 0.5]}),
    "probe": ProbeRecipe(inverse_regularisations=(0.01, 1.0)),
    "lpft": ProbeThenFullRecipe(
        steps=2, evaluate_every=1, warmup_steps=1, probe={"inverse_regularisations": [0.01, 1.0]}
    ),
}


class Scripted(Trainer):
    """How well it ranks after a number of updates with a learning rate is written down."""

    task = resolve_task(LabelBudget())

    def __init__(self, confidence: dict[tuple[float, int], float]) -> None:
        self.confidence = confidence
        self.rate = 0.0
        self.trainings: list[tuple[float, list[int], int]] = []

    def use(self, settings) -> None:
        self.rate = settings["learning_rate"]

    def updates(self, videos: pd.DataFrame) -> Iterator[int]:
        for step in range(1, 11):
            self.trainings.append((self.rate, videos["row"].tolist(), step))
            yield step

    def video_logits(self, rows) -> np.ndarray:
        sign = self.confidence.get((self.rate, self.trainings[-1][2]), -1.0)
        return np.array([[sign if row % 2 else -sign] for row in rows], np.float32)

    def classifier(self):
        raise NotImplementedError


def _budget() -> Budget:
    patients = [f"p{number}" for number in range(8)]
    videos = pd.DataFrame(
        {
            "row": range(8),
            "patient_id": patients,
            "study_id": patients,
            "target0": [float(number % 2) for number in range(8)],
        }
    )
    return Budget(videos, tuple(patients[:6]), tuple(patients[6:]), {}, 80)


def test_grid_holds_every_combination_in_the_order_of_the_lists() -> None:
    recipe = FullRecipe(search={"head_learning_rates": [3.0, 4.0], "learning_rates": [1.0, 2.0]})
    pairs = [(found["learning_rate"], found["head_learning_rate"]) for found in candidates(recipe)]
    assert pairs == [(1.0, 3.0), (1.0, 4.0), (2.0, 3.0), (2.0, 4.0)]
    assert candidates(FrozenRecipe()) == [{}]


def test_best_settings_and_steps_are_taken_together_and_all_patients_used() -> None:
    trainer = Scripted({(1e-3, 5): 1.0})
    recipe = FrozenRecipe(steps=10, evaluate_every=5, search=GRID)
    chosen = choose_within_budget(trainer, _budget(), recipe)
    assert (chosen.settings, chosen.steps) == ({"learning_rate": 1e-3}, 5)
    assert trainer.trainings[-1] == (1e-3, list(range(8)), 5)
    held_out = {6, 7}
    searched = trainer.trainings[:-5]
    assert [rate for rate, _, step in searched if step == 10] == [1e-2, 1e-3, 3e-2]
    assert all(not held_out & set(rows) for _, rows, _ in searched)
    facts = chosen.facts()
    assert len(facts["validation"]) == 6
    assert facts["validation"][2] == {
        "learning_rate": 1e-3,
        "step": 5,
        "loss": pytest.approx(np.log1p(np.exp(-1.0))),
        "merit": 1.0,
    }


def test_of_equal_settings_the_first_listed_is_taken_with_the_most_steps() -> None:
    everywhere = {(rate, step): 1.0 for rate in (1e-2, 1e-3, 3e-2) for step in (5, 10)}
    chosen = choose_within_budget(
        Scripted(everywhere), _budget(), FrozenRecipe(steps=10, evaluate_every=5, search=GRID)
    )
    assert (chosen.settings, chosen.steps) == ({"learning_rate": 1e-2}, 10)


def test_settings_are_searched_even_if_the_number_of_steps_is_fixed() -> None:
    trainer = Scripted({(3e-2, 10): 1.0})
    chosen = choose_within_budget(trainer, _budget(), FrozenRecipe(steps=10, evaluate_every=10, search=GRID))
    assert (chosen.settings, chosen.steps) == ({"learning_rate": 3e-2}, 10)
    assert [len(looks) for _, looks in chosen.looks] == [1, 1, 1]


def test_searched_run_equals_a_run_with_the_chosen_settings(toy, tmp_path) -> None:
    recipe = RECIPES["frozen"]
    searched = pd.read_csv(finetune(toy.config(tmp_path / "searched", recipe=recipe)))
    result = json.loads((tmp_path / "searched" / "result.json").read_text())
    assert len(result["validation"]) == 6
    rate = result["chosen_settings"]["learning_rate"]
    alone = FrozenRecipe(steps=10, evaluate_every=5, augmented_views=2, learning_rate=rate)
    plain = pd.read_csv(finetune(toy.config(tmp_path / "plain", recipe=alone)))
    pd.testing.assert_frame_equal(searched, plain)


@pytest.mark.parametrize("name", list(RECIPES))
def test_trap_14_labels_outside_the_budget_may_be_nonsense(toy, tmp_path, name: str) -> None:
    """After the draw every other label of the manifest is turned around or lost: the scores are the same."""
    config = toy.config(tmp_path / "run", recipe=RECIPES[name])
    budget = draw_budget(toy.table, config.labels, split="train")
    table = toy.table
    test = table[table["split"] == "test"]
    others = ~table["patient_id"].isin(budget.videos["patient_id"])
    nonsense = table["severe_as"].mask(others, 1 - table["severe_as"])
    nonsense = nonsense.mask(others & (table["row"] % 3 == 0))
    found = []
    for labels in (table["severe_as"], nonsense):
        poisoned = table.assign(severe_as=labels)
        own = replace(budget, videos=budget.videos.copy())
        known = poisoned["patient_id"].isin(budget.videos["patient_id"]) & poisoned["severe_as"].notna()
        assert poisoned.loc[known, "severe_as"].equals(table.loc[known, "severe_as"])
        scored = test.assign(severe_as=poisoned.loc[test.index, "severe_as"])
        found.append(adapt(config, toy.store, poisoned, own, scored).studies)
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize(
    "search", [{"learning_rates": [0.0]}, {"weight_decays": [0.1, 0.1]}, {"layer_decays": [2.0]}]
)
def test_impossible_lists_are_refused(search) -> None:
    with pytest.raises(ValueError, match=r"different numbers above 0|at most 1"):
        FullRecipe(search=search)


def test_a_setting_that_a_recipe_cannot_change_is_refused() -> None:
    class Fixed(Scripted):
        use = Trainer.use

    with pytest.raises(ValueError, match="no setting rate that can be changed"):
        Fixed({}).use({"rate": 1.0})
