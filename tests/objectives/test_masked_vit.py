"""Masked objective with the plain vision transformer: hidden patches are left out, a decoder paints them."""

import math

import pytest
import torch
from learn_samples import batch_of
from torch import Tensor

from echossl.config.encoder import Compact3DConfig, ViTConfig
from echossl.config.objective import MaskedConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.vit import VisionTransformer
from echossl.errors import UserError
from echossl.objectives import WeightedSum, build_objectives
from echossl.objectives.masked import Masked, masked_mean
from echossl.objectives.masked_decoder import MaskedDecoder, places_kept
from echossl.training.fit import require_shapes
from echossl.training.gradient_cache import backward_partwise
from echossl.training.learner import Learner

SIDE = 32


def vit(frames: int = 4, **changes: object) -> VisionTransformer:
    settings = {"width": 32, "depth": 1, "heads": 2, "patch": 8, "patch_frames": min(frames, 2), **changes}
    encoder = build(ViTConfig.model_validate(settings), frames)
    assert isinstance(encoder, VisionTransformer)
    return encoder


def build(architecture: ViTConfig | Compact3DConfig, frames: int = 4) -> Encoder:
    torch.manual_seed(0)
    clip = ClipConfig(num_frames=frames)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=clip, size=SIDE, mean=0.3, std=0.2))


def masked_of(encoder: Encoder, seed: int = 0, **changes: object) -> Masked:
    objective = build_objectives([MaskedConfig.model_validate(changes)], encoder.dim, seed=seed)
    objective.attach(encoder)
    part = objective.get_submodule("parts.masked")
    assert isinstance(part, Masked)
    return part


def clips_of(items: int = 3, frames: int = 4, seed: int = 1) -> Tensor:
    return torch.rand(items, 1, 1, frames, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("changes", [{"mask": "tube"}, {"mask": "random"}, {"ratio": 0.5, "patch": 16}])
def test_patches_that_are_kept_are_those_that_are_not_hidden(changes) -> None:
    encoder = vit()
    objective = masked_of(encoder, **{"ratio": 0.75} | changes)
    hidden = objective.draw(3, (4, SIDE, SIDE), step=2)
    kept = places_kept(hidden, encoder.patch)
    times, rows, columns = encoder.grid((4, SIDE, SIDE))
    for item in range(3):
        wanted = [
            (time * rows + row) * columns + column
            for time in range(times)
            for row in range(rows)
            for column in range(columns)
            if not hidden[item, 2 * time, 8 * row, 8 * column]
        ]
        assert kept[item].tolist() == wanted


@pytest.mark.parametrize("frames", [1, 4])
def test_what_is_painted_is_a_function_of_what_is_seen(frames: int) -> None:
    encoder = vit(frames).eval()
    objective, clips = masked_of(encoder), clips_of(frames=frames)[:, 0]
    hidden = objective.draw(3, clips.shape[2:], step=0)
    kept = places_kept(hidden, encoder.patch)
    painted = objective.paint_kept(encoder, clips, kept)
    assert painted.shape == clips.shape
    other = torch.where(hidden[:, None], torch.rand_like(clips), clips)
    assert torch.equal(objective.paint_kept(encoder, other, kept), painted)
    other = torch.where(hidden[:, None], clips, torch.rand_like(clips))
    assert not torch.allclose(objective.paint_kept(encoder, other, kept), painted)
    loss, _ = objective(encoder, batch_of(clips[:, None]))
    errors = (painted - objective.targets(encoder, clips)).square()
    assert loss.item() == pytest.approx(masked_mean(errors, hidden[:, None]).mean().item(), rel=1e-5)


def test_each_place_paints_its_own_pixels() -> None:
    encoder = vit().eval()
    objective, clips = masked_of(encoder, mask="random"), clips_of()[:, 0]
    kept = places_kept(objective.draw(3, clips.shape[2:], step=0), encoder.patch)
    painted = objective.paint_kept(encoder, clips, kept)
    pixels = objective.head(encoder.visible_tokens(clips, kept), kept)
    time, row, column = 1, 2, 3
    place = (time * 4 + row) * 4 + column
    wanted = pixels[:, place].reshape(3, 1, 2, 8, 8)
    assert torch.equal(painted[:, :, 2:4, 16:24, 24:32], wanted)


def test_the_decoder_sees_tokens_at_their_places() -> None:
    torch.manual_seed(0)
    decoder = MaskedDecoder(8, (1, 2, 3), width=32, depth=1, pixels=4)
    tokens, kept = torch.randn(2, 2, 8), torch.tensor([[0, 4], [2, 3]])
    places = decoder.hidden.expand(2, 6, 32).clone()
    for item in range(2):
        for number, place in enumerate(kept[item]):
            places[item, place] = decoder.embed(tokens[item, number])
    wanted = decoder.pixels(decoder.norm(decoder.blocks(places + decoder.positions)))
    torch.testing.assert_close(decoder(tokens, kept), wanted)


@pytest.mark.parametrize("micro_batch", [2, 3])
def test_gradients_reach_both_and_may_be_made_in_parts(micro_batch: int) -> None:
    encoder = vit()
    objective = WeightedSum([(MaskedConfig(), masked_of(encoder))])
    batch = batch_of(clips_of(4), step=3)
    loss, _ = objective(encoder, batch)
    loss.backward()
    learner = Learner(encoder, objective)
    wanted = {name: weight.grad for name, weight in learner.named_parameters() if weight.requires_grad}
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in wanted.values())
    assert "objective.parts.masked.grey" not in wanted
    learner.zero_grad()
    backward_partwise(
        objective,
        encoder,
        batch,
        micro_batch=micro_batch,
        autocast=torch.autocast("cpu", enabled=False),
        scaled=lambda loss: loss,
    )
    for name, weight in learner.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(weight.grad, wanted[name], rtol=1e-3, atol=1e-5)


def test_bfloat16_trains_and_shapes_are_checked_before_a_run() -> None:
    encoder = vit()
    objective = masked_of(encoder)
    require_shapes(Learner(encoder, WeightedSum([(objective.config, objective)])))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = objective(encoder, batch_of(clips_of()))
    assert loss.dtype == torch.float32
    loss.backward()
    assert math.isfinite(loss.item())


def test_it_learns_to_paint_a_smooth_picture() -> None:
    encoder = vit(1)
    objective = masked_of(encoder, ratio=0.5)
    ramp = torch.linspace(0, 1, SIDE)

    def pictures(step: int) -> Tensor:
        slopes = torch.rand(16, 1, 1, 1, 1, 1, generator=torch.Generator().manual_seed(step))
        return slopes * ramp.view(1, 1, 1, 1, 1, SIDE).expand(16, 1, 1, 1, SIDE, SIDE)

    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=0.003)
    found = []
    for step in range(120):
        loss, metrics = objective(encoder, batch_of(pictures(step), step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(metrics["error_of_chance"].item())
    assert sum(found[-10:]) / 10 < 0.2


def test_random_weights_are_of_the_seed_and_leave_the_stream_alone() -> None:
    encoder = vit()
    before = torch.random.get_rng_state()
    first, same, other = masked_of(encoder), masked_of(encoder), masked_of(encoder, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [part.get_parameter("head.pixels.weight") for part in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_decoder_is_as_large_as_the_settings_say() -> None:
    part = masked_of(vit(), decoder_width=64, decoder_depth=3)
    assert isinstance(part.head, MaskedDecoder)
    assert (part.head.embed.out_features, len(part.head.blocks)) == (64, 3)
    part = masked_of(vit(width=128))
    assert isinstance(part.head, MaskedDecoder)
    assert (part.head.embed.out_features, len(part.head.blocks)) == (64, 2)


@pytest.mark.parametrize(
    ("encoder", "changes", "words"),
    [
        (
            ViTConfig(width=32, heads=2, depth=1),
            {},
            "8 pixels are no whole patches .* patch to a multiple of 16",
        ),
        (
            ViTConfig(width=32, heads=2, depth=1, patch=8),
            {"mask": "random", "patch_frames": 1},
            "patch_frames to one of 2",
        ),
        (Compact3DConfig(width=4), {"decoder_depth": 2}, "only the encoder vit .* found compact3d; leave it"),
    ],
)
def test_what_does_not_go_together_is_refused(encoder, changes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        masked_of(build(encoder), **changes)
