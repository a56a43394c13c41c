import numpy as np
import pytest
import torch

from echossl.adapt.budget import draw_budget
from echossl.adapt.frozen import FrozenTrainer
from echossl.adapt.start import start_encoder
from echossl.config.adapt import FrozenRecipe
from echossl.data.store import ClipStore
from echossl.training.hardware import Hardware


def _trainer(toy, tmp_path, **changes):
    config = toy.config(tmp_path, **changes)
    budget = draw_budget(toy.table, config.labels, split="train")
    encoder = start_encoder(config, toy.store, toy.table)
    hardware = Hardware.resolve(config.hardware)
    trainer = FrozenTrainer(
        encoder, toy.store, budget, config=config, recipe=config.recipe, hardware=hardware
    )
    return trainer, budget


def _run(trainer, videos, count: int) -> None:
    for step in trainer.updates(videos):
        if step == count:
            break


def test_trap_24_nothing_of_a_frozen_encoder_changes(toy, tmp_path) -> None:
    config = toy.config(tmp_path)
    before = {
        name: value.clone()
        for name, value in start_encoder(config, toy.store, toy.table).state_dict().items()
    }
    trainer, budget = _trainer(toy, tmp_path)
    _run(trainer, budget.videos, 20)
    trainer.video_logits(budget.videos["row"].tolist())
    after = trainer.encoder.state_dict()
    assert before.keys() == after.keys()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in trainer.encoder.modules())
    assert not any(parameter.requires_grad for parameter in trainer.encoder.parameters())


def test_head_learns_what_the_videos_show(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path, recipe=FrozenRecipe(steps=40, augmented_views=4))
    _run(trainer, budget.videos, 40)
    labels = budget.videos["label"].to_numpy()
    logits = trainer.video_logits(budget.videos["row"].tolist())[:, 0]
    assert logits[labels == 1].mean() > logits[labels == 0].mean() + 0.5


def test_every_training_begins_at_zero_and_repeats_itself(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    rows = budget.videos["row"].tolist()
    assert (trainer.video_logits(rows) == 0).all()
    _run(trainer, budget.videos, 7)
    first = trainer.video_logits(rows)
    _run(trainer, budget.training_videos, 20)
    assert not np.array_equal(trainer.video_logits(rows), first)
    _run(trainer, budget.videos, 7)
    assert np.array_equal(trainer.video_logits(rows), first)


def test_folded_head_equals_the_head_on_scaled_features(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    _run(trainer, budget.videos, 20)
    _, folded = trainer.classifier()
    features = torch.randn(5, trainer.encoder.dim)
    expected = trainer.head(features / trainer._scale)
    assert torch.allclose(folded(features), expected, atol=1e-4)


def test_one_number_scales_all_features(toy, tmp_path) -> None:
    # directions of little variance keep it: each feature is not standardised for itself
    trainer, _ = _trainer(toy, tmp_path)
    known = np.concatenate([value.numpy() for value in trainer._augmented.values()])
    assert trainer._scale.ndim == 0
    assert trainer._scale == pytest.approx(known.std(ddof=1), rel=1e-5)


def test_first_update_equals_plain_logistic_regression_gradient(toy, tmp_path) -> None:
    # AdamW's first step moves every weight by the rate, against the sign of its gradient
    trainer, budget = _trainer(toy, tmp_path)
    batch = next(iter(trainer._batches(budget.videos)))
    features = trainer._features(batch).numpy()
    gradient = ((0.5 - batch.targets.numpy()) * features).mean(axis=0)
    _run(trainer, budget.videos, 1)
    rate = 1e-2 * 1 / 11  # first of ten warm-up updates
    clear = np.abs(gradient) > 1e-4
    assert np.allclose(
        trainer.head.weight.detach().numpy()[0][clear], -rate * np.sign(gradient[clear]), rtol=1e-3
    )


def test_batches_hold_as_many_clips_of_each_class_and_two_per_patient(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    for batch in trainer._batches(budget.videos):
        assert batch.targets[:, 0].tolist() == [0.0] * 8 + [1.0] * 8
        known = budget.videos.set_index("row")["label"]
        assert known[batch.rows].tolist() == batch.targets[:, 0].tolist()
        assert batch.views.min() >= 0
        assert batch.views.max() < trainer.recipe.augmented_views


def test_only_videos_of_the_budget_are_read(toy, tmp_path) -> None:
    class Counting(ClipStore):
        rows_read: set[int]

        def frames(self, row: int) -> np.ndarray:
            self.rows_read.add(int(row))
            return super().frames(row)

    store = Counting.open(toy.store.path)
    store.rows_read = set()
    config = toy.config(tmp_path)
    budget = draw_budget(toy.table, config.labels, split="train")
    encoder = start_encoder(config, toy.store, toy.table)
    hardware = Hardware.resolve(config.hardware)
    trainer = FrozenTrainer(encoder, store, budget, config=config, recipe=config.recipe, hardware=hardware)
    _run(trainer, budget.videos, 20)
    assert store.rows_read <= set(budget.videos["row"])
