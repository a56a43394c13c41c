from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from echossl.adapt.budget import Budget
from echossl.adapt.search import choose_within_budget
from echossl.adapt.selection import Look, Trainer, most_of_best
from echossl.adapt.tasks import resolve_task
from echossl.config.adapt import LabelBudget
from echossl.config.recipes import FrozenRecipe


class Scripted(Trainer):
    """Its logits after a number of updates are written down; it notes what it was trained on."""

    task = resolve_task(LabelBudget())

    def __init__(self, confidence: dict[int, float], steps: int) -> None:
        self.confidence = confidence
        self.steps = steps
        self.trainings: list[tuple[list[int], int]] = []

    def updates(self, videos: pd.DataFrame) -> Iterator[int]:
        self.trainings.append((videos["row"].tolist(), 0))
        for step in range(1, self.steps + 1):
            self.trainings[-1] = (self.trainings[-1][0], step)
            yield step

    def video_logits(self, rows) -> np.ndarray:
        step = self.trainings[-1][1]
        logits = [self.confidence.get(step, 0.0) * (1 if row % 2 else -1) for row in rows]
        return np.array(logits, np.float32)[:, None]

    def classifier(self):
        raise NotImplementedError


def _budget() -> Budget:
    patients = [f"p{number}" for number in range(8)]
    videos = pd.DataFrame(
        {
            "row": range(8),
            "patient_id": patients,
            "study_id": patients,
            "duration_seconds": 1.0,
            "target0": [float(number % 2) for number in range(8)],
        }
    )
    return Budget(videos, tuple(patients[:6]), tuple(patients[6:]), {}, 80)


def choose(trainer: Trainer, budget: Budget, **settings: int) -> tuple[int, list[Look]]:
    chosen = choose_within_budget(trainer, budget, FrozenRecipe(**settings))
    return chosen.steps, [look for _, own in chosen.looks for look in own]


def test_steps_are_chosen_on_the_validation_patients_and_then_all_are_used() -> None:
    trainer = Scripted({5: 1.0, 10: 2.0, 15: -1.0, 20: -0.5}, steps=20)
    chosen, looks = choose(trainer, _budget(), steps=20, evaluate_every=5)
    assert chosen == 10
    # first the six training patients to the end, then all eight for as many updates as were chosen
    assert trainer.trainings == [([0, 1, 2, 3, 4, 5], 20), ([0, 1, 2, 3, 4, 5, 6, 7], 10)]
    assert [look.step for look in looks] == [5, 10, 15, 20]
    assert looks[1].loss == pytest.approx(np.log1p(np.exp(-2.0)))
    assert [look.merit for look in looks] == [1.0, 1.0, 0.0, 0.0]


def test_ties_take_more_steps() -> None:
    trainer = Scripted({5: 1.0, 10: 1.0, 15: 1.0}, steps=15)
    chosen, _ = choose(trainer, _budget(), steps=15, evaluate_every=5)
    assert chosen == 15
    looks = [Look(30, 0.4, 0.5), Look(20, 0.4, 0.9), Look(10, 0.1, 0.9)]
    assert most_of_best(looks) == 20


def test_last_update_is_looked_at_even_between_looks() -> None:
    trainer = Scripted({5: -1.0, 7: 3.0}, steps=7)
    chosen, looks = choose(trainer, _budget(), steps=7, evaluate_every=5)
    assert [look.step for look in looks] == [5, 7]
    assert chosen == 7


def test_a_fixed_number_of_steps_is_trained_once() -> None:
    trainer = Scripted({}, steps=3)
    chosen, looks = choose(trainer, _budget(), steps=3, evaluate_every=50)
    assert (chosen, looks) == (3, [])
    assert trainer.trainings == [(list(range(8)), 3)]
