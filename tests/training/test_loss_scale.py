"""Scaling the loss changes no update; an overflow halves the scale, skips the step, and is no bad step."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig, FrameOrderConfig
from echossl.config.training import HardwareConfig, OptimiserConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.errors import ConfigError
from echossl.objectives import build_objectives
from echossl.training.checkpoint import Checkpoints
from echossl.training.hardware import Hardware
from echossl.training.learner import Learner, is_bad, is_finite, update
from echossl.training.loss_scale import LossScale
from echossl.training.optimiser import build_optimiser

# a loss of this scale is beyond float32
TOO_LARGE = 2.0**127


def make() -> tuple[Learner, torch.optim.Optimizer]:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=4), size=16)
    encoder = build_encoder(metadata)
    configs = (ContrastiveConfig(hidden_dim=8, projection_dim=4), FrameOrderConfig())
    learner = Learner(encoder, build_objectives(configs, encoder.dim))
    return learner, build_optimiser(learner, OptimiserConfig(learning_rate=1e-3))


def batch_of(step: int) -> Batch:
    clips = torch.rand(4, 2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(step))
    return Batch(clips, torch.arange(4), torch.zeros(4, 2, dtype=torch.int64), step=step)


def one_update(
    learner: Learner,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    loss_scale: LossScale | None,
    *,
    micro_batch: int | None = None,
) -> dict[str, float]:
    return update(
        learner,
        optimiser,
        batch,
        autocast=torch.autocast("cpu", enabled=False),
        max_gradient_norm=1.0,
        micro_batch=micro_batch,
        loss_scale=loss_scale,
    )


def weights(learner: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in learner.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_scaled_updates_equal_unscaled_ones(micro_batch: int | None) -> None:
    """A power of two changes no bit in float32."""
    (plain, plain_optimiser), (scaled, scaled_optimiser) = make(), make()
    scale = LossScale(enabled=True, start=2.0**10, calm_steps=2)
    used = []
    for step in range(5):
        expected = one_update(plain, plain_optimiser, batch_of(step), None, micro_batch=micro_batch)
        found = one_update(scaled, scaled_optimiser, batch_of(step), scale, micro_batch=micro_batch)
        used.append(found.pop("loss_scale"))
        assert found.pop("overflow") == 0
        assert found == expected
    assert same(weights(plain), weights(scaled))
    assert used == [2.0**10, 2.0**10, 2.0**11, 2.0**11, 2.0**12]  # doubled after two calm steps


def test_an_overflow_halves_the_scale_and_leaves_everything_as_it_was() -> None:
    learner, optimiser = make()
    scale = LossScale(enabled=True, start=TOO_LARGE)
    before, used = weights(learner), []
    for _ in range(200):
        figures = one_update(learner, optimiser, batch_of(0), scale)
        used.append(figures["loss_scale"])
        if is_finite(figures):
            break
        assert figures["overflow"] == 1
        assert not is_bad(figures)
        assert same(weights(learner), before)
        assert optimiser.state == {}
    assert used == [TOO_LARGE / 2**number for number in range(len(used))]
    assert len(used) > 1
    assert not same(weights(learner), before)
    assert figures["overflow"] == 0


def test_what_a_smaller_scale_cannot_mend_is_a_bad_step() -> None:
    learner, optimiser = make()
    batch = replace(batch_of(0), clips=batch_of(0).clips * math.nan)
    figures = one_update(learner, optimiser, batch, LossScale(enabled=True))
    assert math.isnan(figures["loss"])
    assert is_bad(figures)
    low = LossScale(enabled=True, start=1.0)
    learner.encoder.stem[0].weight.register_hook(lambda gradient: gradient * math.inf)
    figures = one_update(learner, optimiser, batch_of(0), low)
    assert math.isfinite(figures["loss"])
    assert is_bad(figures)  # the gradient itself, not its scale
    assert figures["overflow"] == 0


def test_a_scale_that_overflows_for_ever_ends_in_bad_steps() -> None:
    """Halving from 65,536 takes 16 skipped steps, then they count."""
    learner, optimiser = make()
    learner.encoder.stem[0].weight.register_hook(lambda gradient: gradient * math.inf)
    scale = LossScale(enabled=True)
    bad = [is_bad(one_update(learner, optimiser, batch_of(0), scale)) for _ in range(20)]
    assert bad == [False] * 16 + [True] * 4


def test_going_on_from_a_checkpoint_goes_on_with_the_scale(tmp_path: Path) -> None:
    learner, optimiser = make()
    scale = LossScale(enabled=True, start=2.0**10, calm_steps=3)
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(4):
        one_update(learner, optimiser, batch_of(step), scale)
    checkpoints.save(4, learner, optimiser, loss_scale=scale)
    again, again_optimiser = make()
    resumed = LossScale(enabled=True, calm_steps=3)
    assert checkpoints.restore(again, again_optimiser, loss_scale=resumed) == 4
    assert resumed.state_dict() == scale.state_dict()
    for step in range(4, 8):
        expected = one_update(learner, optimiser, batch_of(step), scale)
        assert one_update(again, again_optimiser, batch_of(step), resumed) == expected


def test_checkpoints_of_other_precisions_have_no_scale(tmp_path: Path) -> None:
    learner, optimiser = make()
    checkpoints = Checkpoints(tmp_path, keep=3)
    checkpoints.save(1, learner, optimiser)
    checkpoints.save(2, learner, optimiser, loss_scale=LossScale())
    scale = LossScale(enabled=True)
    before = scale.state_dict()
    assert checkpoints.restore(learner, optimiser, loss_scale=scale) == 2
    assert scale.state_dict() == before
    (tmp_path / "step_000000002.pt").unlink()
    assert checkpoints.restore(learner, optimiser, loss_scale=scale) == 1
    assert scale.state_dict() == before


def test_float16_is_for_gpus() -> None:
    with pytest.raises(ConfigError, match=r"hardware\.precision: fp16 is for GPUs; on a CPU set it to auto"):
        Hardware.resolve(HardwareConfig(device="cpu", precision="fp16"))
    assert Hardware.resolve(HardwareConfig(device="cpu", precision="fp32")).loss_scale().state_dict() == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="float16 needs a GPU")
@pytest.mark.parametrize("micro_batch", [None, 2])
def test_float16_on_a_gpu_is_near_float32(micro_batch: int | None) -> None:
    found = {}
    for precision in ("fp32", "fp16"):
        hardware = Hardware.resolve(HardwareConfig(device="cuda", precision=precision))
        learner, _ = make()
        learner = hardware.place(learner)
        optimiser = build_optimiser(learner, OptimiserConfig())
        figures = update(
            learner,
            optimiser,
            batch_of(0).to(hardware.device),
            autocast=hardware.autocast(),
            max_gradient_norm=None,
            micro_batch=micro_batch,
            loss_scale=hardware.loss_scale(),
        )
        assert not is_bad(figures)
        found[precision] = figures
    assert found["fp16"]["loss_scale"] == 2.0**16
    assert found["fp16"]["loss"] == pytest.approx(found["fp32"]["loss"], rel=1e-2)
    assert found["fp16"]["gradient_norm"] == pytest.approx(found["fp32"]["gradient_norm"], rel=5e-2)
