"""``validation.csv``: what was said of held-out patients before the classifier was trained on them too."""

import json
from itertools import islice

import pandas as pd
import pytest

from echossl.adapt import finetune
from echossl.adapt.budget import draw_budget
from echossl.adapt.predictions import scored_studies
from echossl.adapt.start import start_encoder
from echossl.adapt.trainers import trainer_for
from echossl.config.adapt import FrozenRecipe, FullRecipe, LabelBudget, PixelRecipe
from echossl.config.recipes import ProbeRecipe, ProbeThenFullRecipe
from echossl.evaluation.study import read_predictions
from echossl.training.hardware import Hardware

GRID = {"learning_rates": [1e-2, 1e-3]}
RECIPES = {
    "frozen": FrozenRecipe(steps=6, evaluate_every=3, augmented_views=2, search=GRID),
    "full": FullRecipe(steps=2, evaluate_every=1, warmup_steps=1),
    "probe": ProbeRecipe(inverse_regularisations=(0.01, 1.0)),
    "lpft": ProbeThenFullRecipe(
        steps=2, evaluate_every=1, warmup_steps=1, probe={"inverse_regularisations": [0.01, 1.0]}
    ),
}
NOTHING_TO_CHOOSE = {
    "frozen": FrozenRecipe(steps=3, evaluate_every=3, augmented_views=2),
    "pixels": PixelRecipe(),
}


def _trained_again(config, toy, result) -> pd.DataFrame:
    """The first training with the chosen settings, done anew and stopped at the chosen update."""
    table = toy.table
    budget = draw_budget(table, config.labels, split="train")
    training = table[table["split"] == "train"].drop(columns="severe_as")
    start = start_encoder(config, toy.store, training)
    trainer, _ = trainer_for(start, toy.store, budget, config, Hardware.resolve(config.hardware))
    trainer.use(result.get("chosen_settings", {}))
    for _ in islice(trainer.updates(budget.training_videos), result["chosen_steps"]):
        pass
    return scored_studies(trainer.task, *trainer.study_outputs(budget.validation_videos))


@pytest.mark.parametrize("name", list(RECIPES))
def test_trap_27_held_out_patients_are_scored_before_they_are_trained_on(toy, tmp_path, name: str) -> None:
    config = toy.config(tmp_path / "run", recipe=RECIPES[name])
    predictions = finetune(config)
    text = {"patient_id": str, "study_id": str}
    found = pd.read_csv(config.out / "validation.csv", dtype=text)
    assert list(found.columns) == list(pd.read_csv(predictions).columns)
    budget = pd.read_csv(config.out / "budget.csv", dtype=text).set_index("patient_id")
    assert set(found["patient_id"]) == set(budget.index[budget["role"] == "validation"])
    assert found["severe_as"].tolist() == budget.loc[found["patient_id"], "positive"].tolist()
    assert set(found["split"]) == {"val"}
    result = json.loads((config.out / "result.json").read_text())
    again = _trained_again(config, toy, result)
    assert found["study_id"].tolist() == again["study_id"].tolist()
    assert found["severe_as_score"].to_numpy() == pytest.approx(again["severe_as_score"].to_numpy(), abs=1e-6)
    assert (
        "after the choice, which was made on these, it was trained anew on all"
        in (result["validation_scores"])
    )
    assert set(result["validation"][0]) >= {"step", "loss", "merit"}
    assert "scored" not in result["validation"][0]
    assert read_predictions(config.out / "validation.csv").num_patients == len(found)


@pytest.mark.parametrize("name", list(NOTHING_TO_CHOOSE))
def test_where_nothing_is_chosen_there_is_no_table(toy, tmp_path, name: str) -> None:
    config = toy.config(tmp_path / "run", recipe=NOTHING_TO_CHOOSE[name])
    finetune(config)
    assert not (config.out / "validation.csv").exists()
    assert "validation_scores" not in json.loads((config.out / "result.json").read_text())


def test_by_video_each_row_is_a_video_with_the_study_it_is_of(toy, tmp_path) -> None:
    labels = LabelBudget(fraction=0.34, unit="video")
    config = toy.config(tmp_path / "run", recipe=RECIPES["probe"], labels=labels)
    predictions = pd.read_csv(finetune(config))
    found = pd.read_csv(config.out / "validation.csv", dtype={"patient_id": str})
    assert list(found.columns) == list(predictions.columns)
    manifest = toy.table.set_index("path").loc[found["path"]]
    for column in ("patient_id", "study_id", "severe_as"):
        assert found[column].tolist() == manifest[column].tolist()
    held_out = manifest["patient_id"].unique()
    assert len(found) == toy.table["patient_id"].isin(held_out).sum()
