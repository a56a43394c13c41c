import numpy as np
import pytest
import torch
import torch.nn.functional as F

from echossl.adapt.budget import draw_budget
from echossl.adapt.full import FullTrainer
from echossl.adapt.start import start_encoder
from echossl.config.adapt import FullRecipe
from echossl.errors import ConfigError, EchosslError
from echossl.training.hardware import Hardware

RECIPE = FullRecipe(steps=12, evaluate_every=6, learning_rate=2e-3, head_learning_rate=1e-2, warmup_steps=2)


def _trainer(toy, tmp_path, recipe: FullRecipe = RECIPE):
    config = toy.config(tmp_path, recipe=recipe)
    budget = draw_budget(toy.table, config.labels, split="train")
    start = start_encoder(config, toy.store, toy.table)
    hardware = Hardware.resolve(config.hardware)
    return FullTrainer(start, toy.store, config=config, recipe=recipe, hardware=hardware), budget


def _run(trainer, videos, count: int) -> dict[str, torch.Tensor]:
    for step in trainer.updates(videos):
        if step == count:
            break
    return {name: value.clone() for name, value in trainer.encoder.state_dict().items()}


def _equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_all_layers_learn_and_batch_norm_collects_statistics(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    before = {name: value.clone() for name, value in trainer.start.state_dict().items()}
    after = _run(trainer, budget.videos, 12)
    unchanged = [name for name in before if torch.equal(before[name], after[name])]
    assert not unchanged
    assert _equal(before, trainer.start.state_dict())  # the start itself is never touched


def test_second_training_begins_from_the_same_start(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    first = _run(trainer, budget.videos, 5)
    _run(trainer, budget.training_videos, 12)
    assert _equal(first, _run(trainer, budget.videos, 5))


def test_looking_at_the_validation_patients_changes_nothing(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    undisturbed = _run(trainer, budget.videos, 6)
    for step in trainer.updates(budget.videos):
        trainer.video_logits(budget.validation_videos["row"].tolist())
        if step == 6:
            break
    assert _equal(undisturbed, trainer.encoder.state_dict())


def test_updates_equal_a_loop_written_out(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    found = _run(trainer, budget.videos, 3)
    encoder, head, _ = trainer._from_start()
    matrices = [p for p in encoder.parameters() if p.ndim > 1]
    vectors = [p for p in encoder.parameters() if p.ndim == 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": 0.05},
            {"params": vectors, "weight_decay": 0.0},
            {"params": [head.weight], "weight_decay": 0.05},
            {"params": [head.bias], "weight_decay": 0.0},
        ],
        fused=True,
    )
    encoder.train()
    # two warm-up updates of 1/3 and 2/3 of the peak, then the cosine begins at the peak
    for factor, batch in zip((1 / 3, 2 / 3, 1.0), trainer._batches(budget.videos), strict=False):
        for group, peak in zip(optimiser.param_groups, (2e-3, 2e-3, 1e-2, 1e-2), strict=True):
            group["lr"] = factor * peak
        clips = trainer.augmentation(batch.clips, step=batch.step)
        logits = head(encoder(clips.flatten(0, 1)))[:, 0]
        targets = batch.labels[:, None].expand(-1, 2).reshape(-1)
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(logits, targets).backward()
        optimiser.step()
    assert _equal(found, encoder.state_dict())
    assert torch.equal(head.weight, trainer.head.weight)


def test_it_learns_what_the_videos_show(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    _run(trainer, budget.videos, 12)
    labels = budget.videos["label"].to_numpy()
    logits = trainer.video_logits(budget.videos["row"].tolist())[:, 0]
    assert logits.dtype == np.float32
    assert logits[labels == 1].mean() > logits[labels == 0].mean()


def test_loss_that_is_not_finite_stops_the_run(toy, tmp_path) -> None:
    trainer, budget = _trainer(toy, tmp_path)
    with torch.no_grad():
        trainer.start.get_parameter("stem.0.weight").fill_(torch.nan)
    with pytest.raises(EchosslError, match=r"step 1: the loss is nan; lower recipe\.learning_rate"):
        _run(trainer, budget.videos, 3)


def test_float16_is_refused_where_the_loss_is_not_scaled(toy, tmp_path) -> None:
    config = toy.config(tmp_path, recipe=RECIPE)
    start = start_encoder(config, toy.store, toy.table)
    hardware = Hardware(torch.device("cuda"), "fp16", workers=0)
    with pytest.raises(ConfigError, match="recipe full cannot train in fp16; take bf16 or fp32"):
        FullTrainer(start, toy.store, config=config, recipe=RECIPE, hardware=hardware)
