"""Fine-tuning with uncertain cells: budget, targets and test labels follow one policy; capped balance."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from scipy.special import expit

from echossl.adapt import finetune
from echossl.adapt.full import FullTrainer
from echossl.adapt.start import start_encoder
from echossl.adapt.tasks.base import class_weights
from echossl.adapt.tasks.binary import binary_loss
from echossl.config.adapt import LabelBudget
from echossl.config.evaluation import EvaluationConfig
from echossl.config.recipes import FullRecipe, ProbeRecipe
from echossl.errors import ConfigError
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.spoken import as_text
from echossl.training.hardware import Hardware

COLUMNS = ("severe_as", "second")
RECIPE = ProbeRecipe(inverse_regularisations=(0.1,))


def with_doubt(table: pd.DataFrame) -> pd.DataFrame:
    """A second finding, and the doubt of a reader about a fifth of the patients of either split."""
    numbers = table["patient_id"].astype(int)
    second = (numbers % 2).astype(str).where(numbers % 5 != 0, "uncertain")
    return table.assign(second=second)


@pytest.fixture(scope="module")
def runs(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doubt")
    data = toy.with_labels(folder / "manifest.csv", with_doubt)
    found = {}
    for policy in ("ignore", "zero", "one"):
        labels = LabelBudget(columns=COLUMNS, fraction=1.0, uncertain=policy)
        config = toy.config(folder / policy, data=data, labels=labels, recipe=RECIPE)
        found[policy] = (config, pd.read_csv(finetune(config)))
    return found


@pytest.mark.parametrize(("policy", "value"), [("ignore", np.nan), ("zero", 0.0), ("one", 1.0)])
def test_test_labels_follow_the_policy_of_the_budget(runs, policy, value):
    table = runs[policy][1]
    numbers = table["patient_id"].astype(int)
    expected = np.where(numbers % 5 == 0, value, numbers % 2)
    np.testing.assert_array_equal(table["second"], expected)
    assert np.isfinite(table["second_score"]).all()


def test_the_run_says_how_many_cells_were_counted_as_what(runs, toy):
    videos = with_doubt(toy.table)
    number = videos[videos["second"] == "uncertain"].groupby("split").size().to_dict()
    for policy, (config, _) in runs.items():
        result = json.loads((config.out / "result.json").read_text())
        assert result["uncertain"] == {
            "counted_as": policy,
            "cells": {split: {"second": count} for split, count in number.items()},
        }


def test_one_and_zero_teach_other_weights(runs):
    scores = {policy: table.set_index("study_id")["second_score"] for policy, (_, table) in runs.items()}
    shared = scores["ignore"].index
    # a study without another label is none of the test where its doubt is ignored
    assert len(shared) == len(scores["zero"]) - 1 == len(scores["one"]) - 1
    assert not np.allclose(scores["zero"], scores["one"])
    assert not np.allclose(scores["zero"][shared], scores["ignore"])


def test_a_policy_that_has_no_effect_is_refused(toy, tmp_path):
    with pytest.raises(ValidationError, match="uncertain has no effect on a task regression"):
        LabelBudget(column="velocity", task="regression", uncertain="one")
    labels = LabelBudget(column="as_grade", uncertain="one")
    with pytest.raises(ConfigError, match=r"labels\.uncertain: has no effect, as as_grade is no column of 0"):
        finetune(toy.config(tmp_path / "run", labels=labels))


def test_evaluation_leaves_uncertain_cells_out_and_says_so(runs, tmp_path):
    table = runs["ignore"][1]
    numbers = table["patient_id"].astype(int)
    words = (
        table["second"].astype("Int64").astype(str).mask(numbers % 5 == 0, "uncertain").replace("<NA>", "")
    )
    table.assign(second=words).to_csv(tmp_path / "words.csv", index=False)
    table.to_csv(tmp_path / "empty.csv", index=False)
    config = EvaluationConfig(resamples=100)
    found = {name: evaluate_file(tmp_path / f"{name}.csv", config) for name in ("words", "empty")}
    figures = [[one.figures for one in answers] for answers in found.values()]
    assert str(figures[0]) == str(figures[1])
    count = int((numbers % 5 == 0).sum())
    text = "\n".join(map(as_text, found["words"]))
    assert text.count(f"{count} of them uncertain") == 2  # of the summary, and of the finding itself
    assert "uncertain" not in "\n".join(map(as_text, found["empty"]))


def test_weights_equal_the_capped_ratio_of_negatives_to_positives():
    generator = np.random.default_rng(0)
    targets = (generator.random((400, 3)) < [0.5, 0.1, 0.01]).astype(np.float32)
    targets[generator.random(targets.shape) < 0.2] = np.nan
    logits = torch.from_numpy(generator.normal(size=targets.shape).astype(np.float32))
    for column in range(3):
        known = ~np.isnan(targets[:, column])
        codes = targets[known, column].astype(int)
        negatives, positives = np.bincount(codes, minlength=2)
        weights = class_weights(codes, 2, most=5.0)
        assert weights[1] / weights[0] == pytest.approx(min(negatives / positives, 5.0))
        assert weights[codes].mean() == pytest.approx(1)
        # the loss is that of pos_weight, up to the scale that one learning rate for all columns wants
        ratio = float(weights[1] / weights[0])
        own = logits[:, column].double().numpy()[known]
        losses = -(ratio * codes * np.log(expit(own)) + (1 - codes) * np.log(expit(-own)))
        expected = losses.sum() / (ratio * positives + negatives)
        pair = torch.from_numpy(weights).float()
        found = binary_loss(
            logits[:, [column]],
            torch.from_numpy(targets[:, [column]]),
            label_smoothing=0.0,
            class_weights=pair,
        )
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_loose_cap_changes_nothing_and_classes_without_rows_keep_one():
    codes = np.array([0, 0, 0, 2])
    np.testing.assert_array_equal(class_weights(codes, 3, most=100.0), class_weights(codes, 3))
    assert class_weights(codes, 3, most=2.0)[1] == 1
    assert class_weights(np.array([], dtype=np.int64), 2, most=2.0).tolist() == [1, 1]


def test_weights_come_from_the_rows_that_are_trained_on(toy, tmp_path):
    recipe = FullRecipe(steps=2, evaluate_every=2, balance="loss", most_balance=1.2)
    config = toy.config(tmp_path, recipe=recipe)
    start = start_encoder(config, toy.store, toy.table)
    trainer = FullTrainer(
        start, toy.store, config=config, recipe=recipe, hardware=Hardware.resolve(config.hardware)
    )
    videos = pd.DataFrame({"study_id": list("abcdd"), "target0": [1.0, 0.0, 0.0, 0.0, 0.0]})
    weights = trainer._class_weights(videos).numpy()
    np.testing.assert_allclose(weights, class_weights(np.array([1, 0, 0, 0]), 2, most=1.2), rtol=1e-6)
    assert weights[1] / weights[0] == pytest.approx(1.2)


def test_a_cap_without_balance_in_the_loss_is_refused():
    with pytest.raises(ValidationError, match="most_balance has no effect without balance loss"):
        FullRecipe(most_balance=10.0)
