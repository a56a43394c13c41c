"""Masked objective: what is hidden, what the loss looks at, and that it can be learned."""

import math

import pytest
import torch
from learn_samples import batch_of
from torch import Tensor

from echossl.config.encoder import Compact3DConfig, R3D18Config
from echossl.config.objective import MaskedConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.objectives import WeightedSum, build_objectives
from echossl.objectives.masked import Masked, masked_mean, standardised_patches, unfold_cells
from echossl.training.fit import require_shapes
from echossl.training.gradient_cache import backward_partwise
from echossl.training.learner import Learner

SIDE = 32


def encoder_of(frames: int = 4, architecture=None, **changes) -> Encoder:
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=architecture or Compact3DConfig(width=4),
        clip=ClipConfig(num_frames=frames),
        size=SIDE,
        mean=0.3,
        std=0.2,
        **changes,
    )
    return build_encoder(metadata)


def masked_of(encoder: Encoder, seed: int = 0, **changes) -> Masked:
    config = MaskedConfig(**changes)
    objective = build_objectives([config], encoder.dim, seed=seed)
    objective.attach(encoder)
    part = objective.parts["masked"]
    assert isinstance(part, Masked)
    return part


def clips_of(items: int = 3, frames: int = 4, seed: int = 1) -> Tensor:
    return torch.rand(items, 1, 1, frames, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def slow_loss(painted: Tensor, wanted: Tensor, hidden: Tensor) -> float:
    """The formula of Multi-OCT-SelfNet, one pixel at a time: sum of hidden errors / pixels / share hidden."""
    errors = hidden_count = 0.0
    pairs = zip(painted.flatten().tolist(), wanted.flatten().tolist(), hidden.flatten().tolist(), strict=True)
    for guess, truth, is_hidden in pairs:
        errors += is_hidden * (guess - truth) ** 2
        hidden_count += is_hidden
    return errors / wanted.numel() / (hidden_count / wanted.numel())


@pytest.mark.parametrize("changes", [{}, {"mask": "random"}, {"ratio": 0.4, "patch": 4}])
def test_the_loss_equals_the_published_formula(changes) -> None:
    encoder = encoder_of().eval()
    objective, clips = masked_of(encoder, **changes), clips_of(2)
    loss, _ = objective(encoder, batch_of(clips, step=5))
    hidden = objective.draw(2, clips.shape[3:], step=5)[:, None]
    painted = objective.paint(encoder, torch.where(hidden, objective.grey, clips[:, 0]))
    wanted = (clips[:, 0] - 0.3) / 0.2
    assert loss.item() == pytest.approx(slow_loss(painted, wanted, hidden), rel=1e-4)


@pytest.mark.parametrize("mask", ["tube", "random"])
def test_the_loss_looks_at_hidden_pixels_only(mask: str) -> None:
    # the truth is compared where pixels are hidden; what is painted elsewhere does not count
    encoder = encoder_of().eval()
    objective, clips = masked_of(encoder, mask=mask), clips_of()
    hidden = objective.draw(3, clips.shape[3:], step=0)[:, None]
    painted = torch.randn_like(clips[:, 0])
    wanted = objective.targets(encoder, clips[:, 0])
    loss = masked_mean((painted - wanted).square(), hidden)
    moved = torch.where(hidden, painted, painted + 9)
    torch.testing.assert_close(masked_mean((moved - wanted).square(), hidden), loss)
    moved = torch.where(hidden, painted + 1, painted)
    assert (masked_mean((moved - wanted).square(), hidden) != loss).all()


def test_the_encoder_never_sees_what_is_hidden() -> None:
    encoder = encoder_of().eval()
    objective, clips = masked_of(encoder), clips_of()
    hidden = objective.draw(3, clips.shape[3:], step=0)[:, None]
    seen: list[Tensor] = []
    original = encoder.feature_map
    encoder.__dict__["feature_map"] = lambda given: seen.append(given) or original(given)
    objective(encoder, batch_of(clips))
    other = torch.where(hidden, 1 - clips[:, 0], clips[:, 0])[:, None]
    first, _ = objective(encoder, batch_of(clips))
    second, _ = objective(encoder, batch_of(other))
    torch.testing.assert_close(seen[-1], seen[-2], rtol=0, atol=0)
    assert first != second
    assert (seen[-1][hidden] == objective.grey).all()
    torch.testing.assert_close(seen[-1][~hidden], clips[:, 0][~hidden], rtol=0, atol=0)


@pytest.mark.parametrize(("ratio", "frames"), [(0.7, 1), (0.75, 4), (0.9, 8)])
def test_tubes_are_the_same_in_all_frames_and_exactly_as_many_as_asked_for(ratio: float, frames: int) -> None:
    objective = masked_of(encoder_of(), ratio=ratio)
    hidden = objective.draw(7, (frames, SIDE, SIDE), step=3)
    assert hidden.shape == (7, frames, SIDE, SIDE)
    assert (hidden == hidden[:, :1]).all()
    patches = hidden[:, 0].reshape(7, 4, 8, 4, 8).float().mean((2, 4))
    assert set(patches.unique().tolist()) == {0.0, 1.0}
    assert (patches.sum((1, 2)) == round(ratio * 16)).all()
    assert len({tuple(row.flatten().tolist()) for row in patches}) > 4


def test_random_masks_change_within_the_clip_and_are_exactly_as_many() -> None:
    objective = masked_of(encoder_of(8), mask="random", patch_frames=2, ratio=0.6)
    hidden = objective.draw(5, (8, SIDE, SIDE), step=0)
    pairs = hidden.reshape(5, 4, 2, SIDE, SIDE)
    assert (pairs[:, :, 0] == pairs[:, :, 1]).all()
    assert (pairs[:, 0, 0] != pairs[:, 1, 0]).any()
    assert (hidden.flatten(1).sum(1) == round(0.6 * 64) * 2 * 64).all()


def test_masks_are_a_function_of_seed_and_step_and_evenly_spread() -> None:
    encoder = encoder_of()
    first, again, other = (masked_of(encoder, seed=seed) for seed in (0, 0, 1))
    shape = (1, SIDE, SIDE)
    assert torch.equal(first.draw(4, shape, step=2), again.draw(4, shape, step=2))
    assert not torch.equal(first.draw(4, shape, step=2), first.draw(4, shape, step=3))
    assert not torch.equal(first.draw(4, shape, step=2), other.draw(4, shape, step=2))
    share = first.draw(2000, shape, step=0).float().mean((0, 1))
    assert (share - 0.75).abs().max() < 0.06


def test_the_seed_decides_the_head() -> None:
    heads = [masked_of(encoder_of(), seed=seed).state_dict()["head.weight"] for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_cells_are_laid_out_in_place() -> None:
    channels, cell, grid = 2, (2, 3, 4), (3, 2, 2)
    pixels = torch.randn(2, *grid, channels * math.prod(cell))
    whole = unfold_cells(pixels, channels, cell)
    assert whole.shape == (2, channels, 6, 6, 8)
    for t in range(6):
        for y in range(6):
            for x in range(8):
                values = pixels[:, t // 2, y // 3, x // 4].reshape(2, channels, *cell)
                torch.testing.assert_close(whole[:, :, t, y, x], values[:, :, t % 2, y % 3, x % 4])


def test_patches_are_standardised_each_for_itself() -> None:
    pixels = torch.randn(2, 1, 3, 8, 8) * 5 + 2
    found = standardised_patches(pixels, 4)
    patch = pixels[1, 0, 2, 4:8, :4]
    expected = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
    torch.testing.assert_close(found[1, 0, 2, 4:8, :4], expected)
    assert torch.isfinite(standardised_patches(torch.zeros(1, 1, 1, 8, 8), 4)).all()


def test_patches_of_one_grey_are_painted_as_such() -> None:
    encoder = encoder_of().eval()
    objective = masked_of(encoder, normalise_patches=True)
    loss, metrics = objective(encoder, batch_of(torch.zeros(2, 1, 1, 4, SIDE, SIDE)))
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("architecture", [R3D18Config(width=4), Compact3DConfig(width=4, motion="beside")])
def test_every_kind_of_network_can_be_trained(architecture) -> None:
    encoder = encoder_of(6, architecture)
    objective = masked_of(encoder)
    clips = clips_of(2, 6)
    loss, _ = objective(encoder, batch_of(clips))
    assert objective.paint(encoder, clips[:, 0]).shape == clips[:, 0].shape
    loss.backward()
    parameters = [*encoder.parameters(), *objective.parameters()]
    assert all(parameter.grad is not None for parameter in parameters)
    assert objective.grey.grad is not None
    assert objective.grey.grad != 0


def test_a_still_picture_is_a_clip_of_one_frame() -> None:
    encoder = encoder_of(1, R3D18Config(width=4))
    for changes in ({}, {"mask": "random", "patch_frames": 1}):
        objective = masked_of(encoder, **changes)
        objective.check(ClipConfig(num_frames=1))
        loss, metrics = objective(encoder, batch_of(clips_of(4, 1)))
        assert torch.isfinite(loss)
        assert metrics["error_of_chance"] > 0.5


def test_a_few_items_at_a_time_give_the_same_gradient() -> None:
    encoder = encoder_of().eval()
    objective, batch = masked_of(encoder), batch_of(clips_of(6))
    whole, _ = objective(encoder, batch)
    whole.backward()
    expected = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    loss, _ = backward_partwise(
        objective, encoder, batch, micro_batch=2, autocast=torch.autocast("cpu", enabled=False),
        scaled=lambda value: value,
    )  # fmt: skip
    torch.testing.assert_close(loss, whole.detach())
    for parameter, gradient in zip(encoder.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)


def test_it_learns_to_paint_what_can_be_known() -> None:
    # each item is a wave of a place of its own, without noise: a quarter of it tells the rest
    encoder = encoder_of(2, Compact3DConfig(width=8))
    objective = masked_of(encoder, patch=4)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *objective.parameters()], lr=3e-3)
    rows = torch.linspace(0, 2 * math.pi, SIDE)
    errors = []
    for step in range(45):
        phases = 2 * math.pi * torch.rand(12, generator=torch.Generator().manual_seed(step))
        waves = 0.5 + 0.4 * torch.sin(rows[None] + phases[:, None])
        clips = waves[:, None, None, None, :, None].expand(12, 1, 1, 2, SIDE, SIDE).contiguous()
        loss, metrics = objective(encoder, batch_of(clips, step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(metrics["error_of_chance"].item())
    assert errors[0] > 0.8
    assert sum(errors[-5:]) / 5 < 0.4


def test_shapes_are_checked_before_a_run_and_bfloat16_trains() -> None:
    encoder = encoder_of()
    objective = masked_of(encoder)
    require_shapes(Learner(encoder, WeightedSum([(objective.config, objective)])))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = objective(encoder, batch_of(clips_of()))
    assert loss.dtype == torch.float32
    loss.backward()
    assert torch.isfinite(objective.grey.grad)


def test_trap_23_a_run_that_goes_on_has_the_same_loss() -> None:
    encoder, other = encoder_of(), encoder_of()
    objective, again = masked_of(encoder), masked_of(other)
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=0.01)
    objective(encoder, batch_of(clips_of()))[0].backward()
    optimiser.step()
    assert objective.grey != again.grey
    other.load_state_dict(encoder.state_dict())
    again.load_state_dict(objective.state_dict())
    batch = batch_of(clips_of(seed=3), step=1)
    assert objective(encoder, batch)[0].item() == again(other, batch)[0].item()


def test_trap_21_what_is_painted_has_the_mean_and_deviation_of_the_weights() -> None:
    encoder = encoder_of()
    objective, clips = masked_of(encoder), clips_of()[:, 0]
    torch.testing.assert_close(objective.targets(encoder, clips), (clips - 0.3) / 0.2)
    encoder.describe(mean=0.5, std=0.1)
    torch.testing.assert_close(objective.targets(encoder, clips), (clips - 0.5) / 0.1)
    assert objective.grey.item() == pytest.approx(0.3)
    stretching = encoder_of(grey="clip_min_max")
    found = masked_of(stretching).targets(stretching, clips * 0.5)
    assert found.amin().item() == pytest.approx(-0.3 / 0.2)
    assert found.amax().item() == pytest.approx(0.7 / 0.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patch": 12}, "patches of 12 pixels do not fill pictures of 32"),
        ({"patch": 32}, "of 1 patches hides 1 of them, expected some and not all"),
        ({"patch": 16, "ratio": 0.1}, "of 4 patches hides 0 of them"),
    ],
)
def test_masks_that_cannot_be_are_refused(changes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        masked_of(encoder_of(), **changes)


def test_clips_that_patches_do_not_fill_are_refused() -> None:
    objective = masked_of(encoder_of(), mask="random", patch_frames=4)
    with pytest.raises(UserError, match="patches of 4 frames do not fill clips of 6"):
        objective.check(ClipConfig(num_frames=6))


def test_a_setting_without_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="patch_frames is about random masks"):
        MaskedConfig(patch_frames=4)
