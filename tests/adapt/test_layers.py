"""Rates by depth, frozen stages, frozen batch norm and dropout, against loops written out."""

import math

import pytest
import torch
from torch import nn

from echossl.adapt.budget import draw_budget
from echossl.adapt.full import FullTrainer
from echossl.adapt.layers import drop_features, freeze, layer_groups, training_mode
from echossl.adapt.start import start_encoder
from echossl.config.adapt import FullRecipe
from echossl.config.encoder import Compact3DConfig, EncoderConfig, Swin3DConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import ConfigError
from echossl.training.hardware import Hardware
from echossl.training.optimiser import set_learning_rate

RECIPE = FullRecipe(steps=6, evaluate_every=6, learning_rate=2e-3, head_learning_rate=1e-2, warmup_steps=2)
SMALL = Compact3DConfig(width=4)
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


def make(architecture: EncoderConfig = SMALL) -> Encoder:
    clip = ClipConfig(num_frames=8)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=clip, size=32))


def trainer_of(toy, tmp_path, **changes):
    recipe = RECIPE.model_copy(update=changes)
    config = toy.config(tmp_path, recipe=recipe)
    budget = draw_budget(toy.table, config.labels, split="train")
    start = start_encoder(config, toy.store, toy.table)
    hardware = Hardware.resolve(config.hardware)
    return FullTrainer(start, toy.store, config=config, recipe=recipe, hardware=hardware), budget


def run(trainer, videos) -> dict[str, torch.Tensor]:
    for _ in trainer.updates(videos):
        pass
    return {name: value.clone() for name, value in trainer.encoder.state_dict().items()}


def test_factor_falls_with_the_distance_from_the_head() -> None:
    encoder = make()
    groups = layer_groups(encoder, decay=0.5, weight_decay=0.1)
    factor = {id(p): group["rate_factor"] for group in groups for p in group["params"]}
    weight_decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    expected = dict(zip(reversed(STAGES), (0.5, 0.25, 0.125, 0.0625, 0.03125), strict=True))
    for name, weight in encoder.named_parameters():
        assert factor[id(weight)] == expected[name.partition(".")[0]]
        assert weight_decay[id(weight)] == (0.1 if weight.ndim > 1 else 0)
    assert sum(len(group["params"]) for group in groups) == len(list(encoder.parameters()))


def test_a_group_moves_at_its_share_of_the_rate() -> None:
    # AdamW's first step moves every weight by the rate, whatever its gradient
    weights = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))]
    groups = [{"params": [weights[0]], "rate_factor": 0.25}, {"params": [weights[1]]}]
    optimiser = torch.optim.AdamW(groups, lr=1.0, weight_decay=0.0)
    set_learning_rate(optimiser, 0.1)
    for weight in weights:
        weight.grad = torch.ones(3)
    optimiser.step()
    assert weights[0].tolist() == pytest.approx([0.975] * 3)
    assert weights[1].tolist() == pytest.approx([0.9] * 3)


def test_first_update_moves_each_stage_by_its_own_rate(toy, tmp_path) -> None:
    trainer, budget = trainer_of(toy, tmp_path, layer_decay=0.5, weight_decay=0.0)
    before = dict(trainer.start.named_parameters())
    next(trainer.updates(budget.videos))
    moved = {
        stage: max(
            float((weight - before[name]).detach().abs().max())
            for name, weight in trainer.encoder.named_parameters()
            if name.startswith(stage)
        )
        for stage in STAGES
    }
    # the head begins at zero, so that the first update leaves the encoder where it is
    assert set(moved.values()) == {0.0}
    updates = trainer.updates(budget.videos)
    next(updates)
    after_first = {name: weight.clone() for name, weight in trainer.encoder.named_parameters()}
    next(updates)
    for depth, stage in enumerate(reversed(STAGES), start=1):
        steps = [
            (weight - after_first[name]).abs().max()
            for name, weight in trainer.encoder.named_parameters()
            if name.startswith(stage)
        ]
        # the second moment of two updates, of which the first was zero
        second = (0.1 / (1 - 0.9**2)) / (0.001 / (1 - 0.999**2)) ** 0.5
        assert float(max(steps)) == pytest.approx(2e-3 * 2 / 3 * 0.5**depth * second, rel=1e-2)


def test_rates_without_decay_are_those_of_one_group(toy, tmp_path) -> None:
    plain, budget = trainer_of(toy, tmp_path)
    split, _ = trainer_of(toy, tmp_path, layer_decay=1 - 1e-12)
    first, second = run(plain, budget.videos), run(split, budget.videos)
    for name, value in first.items():
        torch.testing.assert_close(second[name], value)


def test_trap_24_frozen_stages_stay_as_they_are(toy, tmp_path) -> None:
    trainer, budget = trainer_of(toy, tmp_path, freeze_stages=3)
    before = trainer.start.state_dict()
    after = run(trainer, budget.videos)
    for name, value in before.items():
        is_frozen = name.startswith(("stem", "layer1", "layer2"))
        assert torch.equal(after[name], value) == is_frozen, name
    # the start itself can still be trained in full
    assert all(weight.requires_grad for weight in trainer.start.parameters())


def test_trap_24_parts_that_are_frozen_are_in_evaluation_mode() -> None:
    encoder = make()
    recipe = FullRecipe(freeze_stages=2)
    freeze(encoder, recipe)
    training_mode(encoder, recipe)
    for name, part in encoder.named_modules():
        if name:
            assert part.training != name.startswith(("stem", "layer1"))


def test_frozen_batch_norm_uses_its_statistics_and_trains_its_weights(toy, tmp_path) -> None:
    trainer, budget = trainer_of(toy, tmp_path, batch_norm="frozen")
    before = trainer.start.state_dict()
    after = run(trainer, budget.videos)
    for name, value in before.items():
        is_statistic = name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        assert torch.equal(after[name], value) == is_statistic, name


def test_updates_with_frozen_parts_equal_a_loop_written_out(toy, tmp_path) -> None:
    trainer, budget = trainer_of(toy, tmp_path, freeze_stages=1, batch_norm="frozen", layer_decay=0.5)
    found = run(trainer, budget.videos)
    encoder, head, _ = trainer._from_start()
    encoder.eval()  # without dropout, evaluation mode differs in batch norm only
    trained = [(stage, 0.5**depth) for depth, stage in enumerate(reversed(STAGES[1:]), start=1)]
    groups = []
    for stage, factor in trained:
        weights = list(encoder.get_submodule(stage).parameters())
        groups += [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": 0.05, "peak": 2e-3 * factor},
            {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0, "peak": 2e-3 * factor},
        ]
    groups += [
        {"params": [head.weight], "weight_decay": 0.05, "peak": 1e-2},
        {"params": [head.bias], "weight_decay": 0.0, "peak": 1e-2},
    ]
    optimiser = torch.optim.AdamW(groups, fused=True)
    factors = [1 / 3, 2 / 3, *(0.5 * (1 + math.cos(math.pi * step / 4)) for step in range(4))]
    for factor, batch in zip(factors, trainer._batches(budget.videos), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = factor * group["peak"]
        clips = trainer.augmentation(batch.clips, step=batch.step)
        logits = head(encoder(clips.flatten(0, 1)))[:, 0]
        targets = batch.labels.reshape(-1).repeat_interleave(2)
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(logits, targets).backward()
        optimiser.step()
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(found[name], value)


def test_more_stages_than_there_are_to_train_are_refused() -> None:
    with pytest.raises(ConfigError, match="found 5, but compact3d has 5 stages; take 4 or fewer, or the rec"):
        freeze(make(), FullRecipe(freeze_stages=5))


def test_batch_norm_that_is_not_there_cannot_be_frozen() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.batch_norm: swin3d_t has no batch norm"):
        freeze(make(Swin3DConfig()), FullRecipe(batch_norm="frozen"))


def test_trap_20_dropout_drops_features_before_the_linear_layer(toy, tmp_path) -> None:
    features = torch.rand(400, 50) + 1
    dropped = drop_features(features, 0.25, seed=3, step=5)
    zeros = dropped == 0
    assert zeros.float().mean() == pytest.approx(0.25, abs=0.02)
    torch.testing.assert_close(dropped[~zeros], features[~zeros] / 0.75)
    assert dropped.mean() == pytest.approx(float(features.mean()), rel=0.02)
    assert torch.equal(dropped, drop_features(features, 0.25, seed=3, step=5))
    assert not torch.equal(dropped, drop_features(features, 0.25, seed=3, step=6))
    assert drop_features(features, 0.0, seed=3, step=5) is features
    # it changes the training, and no prediction of the classifier at hand
    trainer, budget = trainer_of(toy, tmp_path, dropout=0.5)
    plain, _ = trainer_of(toy, tmp_path)
    first, second = run(trainer, budget.videos), run(plain, budget.videos)
    assert not torch.equal(first["stem.0.weight"], second["stem.0.weight"])
    rows = budget.videos["row"].tolist()
    assert (trainer.video_logits(rows) == trainer.video_logits(rows)).all()
