"""Classes balanced in the loss instead of the sampler, and label smoothing, against loops written out."""

import numpy as np
import pytest
import torch

from echossl.adapt.batches import labelled_sampler
from echossl.adapt.budget import draw_budget
from echossl.adapt.full import FullTrainer
from echossl.adapt.start import start_encoder
from echossl.adapt.study_pooling import studies_of
from echossl.config.adapt import FullRecipe, LabelBudget
from echossl.errors import ConfigError
from echossl.training.hardware import Hardware

RECIPE = FullRecipe(steps=4, evaluate_every=4, learning_rate=2e-3, head_learning_rate=1e-2, warmup_steps=1)


def trainer_of(toy, tmp_path, **changes):
    recipe = RECIPE.model_copy(update=changes)
    config = toy.config(tmp_path, recipe=recipe, labels=LabelBudget(fraction=0.7))
    budget = draw_budget(toy.table, config.labels, split="train")
    start = start_encoder(config, toy.store, toy.table)
    hardware = Hardware.resolve(config.hardware)
    return FullTrainer(start, toy.store, config=config, recipe=recipe, hardware=hardware), budget


def loss_of(trainer, videos) -> tuple[float, np.ndarray, np.ndarray]:
    """The loss of the first batch, the logits and the labels that it is of."""
    labelled = trainer.begin(videos)
    torch.manual_seed(0)
    torch.nn.init.normal_(trainer.head.weight)
    batch = next(iter(trainer._batches(videos)))
    found = trainer._loss(batch, labelled, studies_of(videos), trainer._class_weights(videos))
    clips = trainer.augmentation(batch.clips, step=batch.step).flatten(0, 1)
    logits = trainer.head(trainer.encoder(clips))[:, 0].detach().numpy()
    labels = videos.set_index("row")["target0"][batch.videos.flatten().tolist()].to_numpy()
    return float(found.detach()), logits.astype(np.float64), labels


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    chance = 1 / (1 + np.exp(-logits))
    return -(targets * np.log(chance) + (1 - targets) * np.log(1 - chance))


def test_loss_weighs_classes_by_their_rareness_in_the_budget(toy, tmp_path) -> None:
    trainer, budget = trainer_of(toy, tmp_path, balance="loss")
    found, logits, labels = loss_of(trainer, budget.videos)
    studies = budget.videos.drop_duplicates("study_id")["target0"].to_numpy()
    weight = {value: len(studies) / (2 * np.sum(studies == value)) for value in (0.0, 1.0)}
    assert weight[1.0] > weight[0.0]
    weights = np.array([weight[label] for label in labels])
    expected = (weights * cross_entropy(logits, labels)).sum() / weights.sum()
    assert found == pytest.approx(expected, rel=1e-5)


def test_batches_then_come_from_all_patients_alike(toy, tmp_path) -> None:
    trainer, budget = trainer_of(toy, tmp_path, balance="loss")
    clip = trainer.start.metadata.clip
    sampler = labelled_sampler(budget.videos, trainer.config, clip, balanced=False)
    share, seen = [], []
    known = budget.videos.set_index("row")
    for step in range(60):
        draw = sampler.draw(step)
        assert len(draw.items) == 8  # as many as with the sampler: four of each of two classes
        assert len(set(draw.patients)) == 8
        rows = [request.row for item in draw.items for request in item]
        share.append(known.loc[rows, "target0"].mean())
        seen += known.loc[rows, "patient_id"].tolist()
    patients = budget.videos.groupby("patient_id")["target0"].max()
    assert np.mean(share) == pytest.approx(patients.mean(), abs=0.03)
    assert set(seen) == set(patients.index)


def test_labels_are_smoothed_in_the_loss(toy, tmp_path) -> None:
    trainer, budget = trainer_of(toy, tmp_path, label_smoothing=0.2)
    found, logits, labels = loss_of(trainer, budget.videos)
    expected = cross_entropy(logits, np.where(labels == 1, 0.9, 0.1)).mean()
    assert found == pytest.approx(expected, rel=1e-5)
    plain, _ = trainer_of(toy, tmp_path)
    assert loss_of(plain, budget.videos)[0] == pytest.approx(cross_entropy(logits, labels).mean(), rel=1e-5)


@pytest.mark.parametrize("changes", [{"label_smoothing": 0.1}, {"balance": "loss"}])
def test_numbers_have_no_classes_to_smooth_or_balance(toy, tmp_path, changes) -> None:
    recipe = RECIPE.model_copy(update=changes)
    labels = LabelBudget(column="velocity", task="regression")
    config = toy.config(tmp_path, recipe=recipe, labels=labels)
    start = start_encoder(toy.config(tmp_path), toy.store, toy.table)
    hardware = Hardware.resolve(config.hardware)
    with pytest.raises(ConfigError, match=f"recipe.{next(iter(changes))}: has no effect on regression"):
        FullTrainer(start, toy.store, config=config, recipe=recipe, hardware=hardware)
