"""Faults of published comparisons of starts kept out: a test split that chooses, other grey values."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from echossl.adapt import finetune
from echossl.config.adapt import FinetuneConfig, LabelBudget
from echossl.config.recipes import FullRecipe, FullSearch
from echossl.encoders.files import MODEL_NAME, load_encoder, save_encoder

RECIPE = FullRecipe(steps=4, evaluate_every=2, warmup_steps=1, search=FullSearch(learning_rates=(1e-4, 3e-3)))


def test_sister_trap_01_nothing_is_chosen_on_the_test_split(toy, tmp_path):
    """Turned test labels change neither rate, nor steps, nor weights, nor scores: only labels beside them."""

    def turned(table: pd.DataFrame) -> pd.DataFrame:
        test = table["split"] == "test"
        return table.assign(severe_as=table["severe_as"].where(~test, 1 - table["severe_as"]))

    found = {}
    for name, change in (("as_they_are", lambda table: table), ("turned", turned)):
        data = toy.with_labels(tmp_path / f"{name}.csv", change)
        config = toy.config(tmp_path / name, data=data, recipe=RECIPE, labels=LabelBudget(fraction=0.5))
        predictions = pd.read_csv(finetune(config))
        result = json.loads((config.out / "result.json").read_text())
        found[name] = (predictions, result, load_file(config.out / MODEL_NAME))
    (first, told, weights), (second, again, others) = found.values()
    np.testing.assert_array_equal(first["severe_as_score"], second["severe_as_score"])
    np.testing.assert_array_equal(first["severe_as"], 1 - second["severe_as"])
    for key in ("chosen_settings", "chosen_steps", "validation"):
        assert told[key] == again[key]
    assert all(torch.equal(weights[name], others[name]) for name in weights)


@pytest.mark.parametrize("statistics", [(0.449, 0.226), (0.5, 0.5)])
def test_sister_trap_13_grey_values_of_the_start_stay_with_its_weights(toy, tmp_path, statistics):
    """Through fine-tuning to the model that it leaves; a random start takes those of the training clips."""
    plain = toy.config(tmp_path / "random", recipe=RECIPE)
    finetune(plain)
    random = load_encoder(tmp_path / "random" / MODEL_NAME)
    random.describe(mean=statistics[0], std=statistics[1])
    save_encoder(random, tmp_path / "start.safetensors")
    config: FinetuneConfig = toy.config(tmp_path / "run", recipe=RECIPE, start=tmp_path / "start.safetensors")
    finetune(config)
    model = load_encoder(tmp_path / "run" / MODEL_NAME)
    assert (model.metadata.mean, model.metadata.std) == pytest.approx(statistics)
    own = load_encoder(tmp_path / "random" / MODEL_NAME).metadata
    assert (own.mean, own.std) != pytest.approx(statistics, abs=1e-3)
    # and they are what the pictures meet
    clips = torch.rand(1, model.metadata.channels, 8, 32, 32)
    before = model(clips)
    model.describe(mean=own.mean, std=own.std)
    assert not torch.allclose(before, model(clips), atol=1e-4)
