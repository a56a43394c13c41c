"""The recipes probe and lpft: fits against scikit-learn, folding, and what the second half begins from."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from echossl.adapt import embed, finetune, load_classifier
from echossl.adapt.budget import draw_budget
from echossl.adapt.full import FullTrainer
from echossl.adapt.linear_probe import ProbeTrainer, fit_linear
from echossl.adapt.start import start_encoder
from echossl.adapt.tasks import build_task
from echossl.config.recipes import ProbeRecipe, ProbeSettings, ProbeThenFullRecipe
from echossl.config.task import TaskSettings
from echossl.training.hardware import Hardware

PROBE = ProbeRecipe(inverse_regularisations=(0.01, 0.1, 1.0))
LPFT = ProbeThenFullRecipe(
    steps=4, evaluate_every=2, learning_rate=1e-3, warmup_steps=1, probe={"inverse_regularisations": [0.1]}
)


def features_of(rows: int = 60, dim: int = 5) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.normal(3.0, np.arange(1, dim + 1), (rows, dim))


def outputs(head: torch.nn.Module, features: np.ndarray) -> np.ndarray:
    return head(torch.from_numpy(features)).numpy()


def test_binary_head_says_what_the_pipeline_of_scikit_learn_says() -> None:
    features = features_of()
    labels = (features[:, 1] + features[:, 2] > 6).astype(np.float32)
    task = build_task(TaskSettings(name="binary", columns=("a",)))
    head = fit_linear(task, features, labels[:, None], inverse_regularisation=0.1)
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=0.1).fit(scaler.transform(features), labels)
    expected = model.decision_function(scaler.transform(features))
    np.testing.assert_allclose(outputs(head, features)[:, 0], expected, rtol=1e-9)


def test_classes_are_those_of_multinomial_regression() -> None:
    features = features_of()
    labels = np.digitize(features[:, 0] + features[:, 4], (3.0, 9.0)).astype(np.float32)
    task = build_task(TaskSettings(name="multiclass", columns=("a",), classes=("x", "y", "z")))
    head = fit_linear(task, features, labels[:, None], inverse_regularisation=0.5)
    scaled = StandardScaler().fit_transform(features)
    model = LogisticRegression(C=0.5, tol=1e-10, max_iter=5000).fit(scaled, labels)
    expected = model.predict_proba(scaled)
    found = torch.softmax(head(torch.from_numpy(features)), dim=1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_numbers_are_those_of_ridge_regression() -> None:
    features = features_of()
    labels = (2.0 + 0.3 * features[:, 0] - 0.1 * features[:, 3]).astype(np.float32)
    plain = build_task(TaskSettings(name="regression", columns=("a",)))
    task = plain.fitted(labels[:, None])
    head = fit_linear(task, features, labels[:, None], inverse_regularisation=0.05)
    scaled = StandardScaler().fit_transform(features)
    # the loss says how it weighs a squared error of one deviation: half of it, or all
    strengths = [1 / 0.05, 1 / 0.1]
    expected = [Ridge(strength).fit(scaled, labels).predict(scaled) for strength in strengths]
    found = task.scores(outputs(head, features))[:, 0]
    assert min(np.abs(found - one).max() for one in expected) < 1e-3


def test_ordered_classes_fold_into_the_thresholds() -> None:
    features = features_of()
    labels = np.digitize(features[:, 0] + features[:, 4], (3.0, 9.0)).astype(np.float32)
    task = build_task(TaskSettings(name="ordinal", columns=("a",), classes=("x", "y", "z")))
    head = fit_linear(task, features, labels[:, None], inverse_regularisation=0.5)
    standardised = (features - features.mean(axis=0)) / features.std(axis=0)
    again = fit_linear(task, standardised, labels[:, None], inverse_regularisation=0.5)
    np.testing.assert_allclose(outputs(head, features), outputs(again, standardised), atol=1e-4)
    assert (np.diff(outputs(head, features), axis=1) < 0).all()


def test_probe_predicts_what_a_loop_over_the_studies_predicts(toy, tmp_path) -> None:
    recipe = ProbeRecipe(inverse_regularisations=(0.1,))
    table = pd.read_csv(finetune(toy.config(tmp_path / "run", recipe=recipe)), dtype={"study_id": str})
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["chosen_steps"], result["validation"]) == (1, [])
    budget = pd.read_csv(tmp_path / "run" / "budget.csv", dtype={"patient_id": str})
    config = toy.config(tmp_path, recipe=recipe)
    encoder = start_encoder(config, toy.store, toy.table[toy.table["split"] == "train"])
    hardware = Hardware.resolve(config.hardware)

    def study_means(videos: pd.DataFrame) -> np.ndarray:
        rows = []
        for study in videos["study_id"].unique():
            own = videos.loc[videos["study_id"] == study, "row"].tolist()
            clips = embed(encoder, toy.store, own, clips_per_video=2, hardware=hardware)
            rows.append(np.mean([video.astype(np.float64).mean(axis=0) for video in clips], axis=0))
        return np.array(rows)

    known = toy.table[toy.table["severe_as"].notna()]
    training = known[known["patient_id"].isin(budget["patient_id"])]
    test = known[known["study_id"].isin(table["study_id"])]
    scaler = StandardScaler().fit(study_means(training))
    labels = training.drop_duplicates("study_id")["severe_as"]
    model = LogisticRegression(C=0.1).fit(scaler.transform(study_means(training)), labels)
    expected = dict(
        zip(
            test["study_id"].unique(),
            model.decision_function(scaler.transform(study_means(test))),
            strict=True,
        )
    )
    np.testing.assert_allclose(table["severe_as_score"], table["study_id"].map(expected), atol=1e-3)


def test_trap_24_probe_leaves_the_encoder_as_it_was(toy, tmp_path) -> None:
    finetune(toy.config(tmp_path / "run", recipe=PROBE))
    encoder, *_ = load_classifier(tmp_path / "run")
    start = start_encoder(toy.config(tmp_path), toy.store, toy.table).state_dict()
    assert all(torch.equal(start[name], value) for name, value in encoder.state_dict().items())


def test_strength_is_chosen_on_the_validation_patients(toy, tmp_path) -> None:
    finetune(toy.config(tmp_path / "run", recipe=PROBE))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    looks = result["validation"]
    assert [look["inverse_regularisation"] for look in looks] == [0.01, 0.1, 1.0]
    best = max(looks, key=lambda look: look["merit"])  # of equal ones the first
    assert result["chosen_settings"] == {"inverse_regularisation": best["inverse_regularisation"]}


def test_fine_tuning_begins_from_the_head_of_the_probe(toy, tmp_path) -> None:
    config = toy.config(tmp_path, recipe=LPFT)
    budget = draw_budget(toy.table, config.labels, split="train")
    start = start_encoder(config, toy.store, toy.table)
    hardware = Hardware.resolve(config.hardware)
    probe = ProbeTrainer(copy.deepcopy(start), toy.store, config=config, strength=0.1, hardware=hardware)
    trainer = FullTrainer(
        start, toy.store, config=config, recipe=LPFT, hardware=hardware, first_head=probe.head_for
    )
    for videos in (budget.training_videos, budget.videos):
        # the head of the validation patients' half knows nothing of their labels
        expected = probe.head_for(videos)
        trainer.begin(videos)
        assert torch.equal(trainer.head.weight, expected.weight)
        assert torch.equal(trainer.head.bias, expected.bias)
        assert expected.weight.abs().max() > 0
    heads = [probe.head_for(videos).weight for videos in (budget.training_videos, budget.videos)]
    assert not torch.equal(*heads)
    assert all(weight.requires_grad for weight in trainer.encoder.parameters())


def test_lpft_says_what_both_halves_chose(toy, tmp_path) -> None:
    recipe = LPFT.model_copy(update={"probe": ProbeSettings(inverse_regularisations=(0.01, 0.1))})
    finetune(toy.config(tmp_path / "run", recipe=recipe))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [look["step"] for look in result["validation"]] == [2, 4]
    assert len(result["probe"]["validation"]) == 2
    assert result["probe"]["chosen_settings"]["inverse_regularisation"] in {0.01, 0.1}


def test_grid_of_strengths_holds_different_numbers_above_zero() -> None:
    for values in ((0.0,), (0.1, 0.1), (-1.0, 1.0), ()):
        with pytest.raises(ValueError, match=r"different numbers above 0|at least 1 item"):
            ProbeRecipe(inverse_regularisations=values)
