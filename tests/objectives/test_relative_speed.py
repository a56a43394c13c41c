"""Relative speed: which frames are shown, the loss, and that it is learned from motion."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig, RelativeSpeedConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.objectives import RelativeSpeed, build_objectives
from echossl.objectives.relative_speed import num_shown, stretch


def small_encoder(motion: str, *, num_frames: int = 16, side: int = 16) -> Encoder:
    architecture = Compact3DConfig(width=4, motion=motion)
    clip = ClipConfig(num_frames=num_frames)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=clip, size=side, mean=0.2, std=0.2))


def batch_of(clips: Tensor, step: int = 0) -> Batch:
    videos = torch.zeros(clips.shape[:2], dtype=torch.int64)
    return Batch(clips=clips, patients=torch.arange(len(clips)), videos=videos, step=step)


def numbered_clips(items: int, num_frames: int) -> Tensor:
    """Every pixel holds the number of its frame."""
    return torch.arange(num_frames).float()[:, None, None].expand(items, 1, num_frames, 2, 2).contiguous()


def slow_stretch(num_frames: int, speed: float, start: float, slowest: float) -> list[int]:
    shown = num_shown(num_frames, slowest)
    apart = speed / slowest
    first = start * ((num_frames - 1) - (shown - 1) * apart)
    return [math.floor(first + k * apart + 0.5) for k in range(shown)]


@pytest.mark.parametrize(("num_frames", "slowest"), [(12, 0.5), (13, 0.5), (16, 0.25), (20, 0.7), (30, 0.9)])
def test_shown_frames_are_those_of_a_slow_loop(num_frames: int, slowest: float) -> None:
    torch.manual_seed(num_frames)
    speeds = torch.cat((torch.tensor([slowest, 1.0, slowest, 1.0]), slowest + (1 - slowest) * torch.rand(60)))
    starts = torch.cat((torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.rand(60)))
    shown = stretch(numbered_clips(64, num_frames), speeds, starts, slowest=slowest)
    assert shown.shape[2] % 2 == 0
    assert num_frames * slowest - 2 < shown.shape[2] <= num_frames * slowest
    rows = shown[:, 0, :, 0, 0].tolist()
    for row, speed, start in zip(rows, speeds.double().tolist(), starts.double().tolist(), strict=True):
        assert row == slow_stretch(num_frames, speed, start, slowest)
        assert row[0] >= 0
        assert row[-1] <= num_frames - 1
        assert all(later > earlier for earlier, later in itertools.pairwise(row))  # none twice


def test_slow_is_of_consecutive_frames_and_full_speed_reaches_over_the_clip() -> None:
    clips = numbered_clips(2, 12)
    slow, fast = stretch(clips, torch.tensor([0.5, 1.0]), torch.zeros(2), slowest=0.5)[:, 0, :, 0, 0].tolist()
    assert slow == [0, 1, 2, 3, 4, 5]
    assert fast == [0, 2, 4, 6, 8, 10]


def test_noise_that_is_new_in_every_frame_says_nothing_of_the_speed() -> None:
    """Neither repeated nor blended frames: neighbours differ as much at every speed."""
    torch.manual_seed(0)
    clips = torch.randn(400, 1, 16, 4, 4)
    for speed in (0.5, 0.6, 0.75, 1.0):
        shown = stretch(clips, torch.full((400,), speed), torch.rand(400), slowest=0.5)
        assert shown.diff(dim=2).square().mean().item() == pytest.approx(2, rel=0.02)
        assert shown.var().item() == pytest.approx(1, rel=0.02)


def test_loss_is_the_squared_error_of_the_difference_of_two_scalars() -> None:
    torch.manual_seed(0)
    encoder = small_encoder("beside").eval()  # so that one stretch at a time gives the same vectors
    objective = RelativeSpeed(RelativeSpeedConfig(slowest=0.5), encoder.dim)
    clips = torch.rand(6, 2, 1, 16, 16, 16)
    loss, metrics = objective(encoder, batch_of(clips, step=7))
    log_speeds, starts = objective.draw(6, step=7)
    assert log_speeds.shape == starts.shape == (6, 2)
    assert (log_speeds <= 0).all()
    assert (log_speeds >= math.log(0.5)).all()
    squares, distances = [], []
    for item in range(6):
        scalars = []
        for side in range(2):
            speed, start = float(log_speeds[item, side].exp()), float(starts[item, side])
            frames = slow_stretch(16, speed, start, 0.5)
            scalars.append(float(objective.head(encoder(clips[item, :1, :, frames]))))
        error = scalars[0] - scalars[1] - float(log_speeds[item, 0] - log_speeds[item, 1])
        squares.append(error**2)
        distances.append(abs(error))
    many, _ = objective.draw(200_000, step=1)
    difference = (many[:, 0] - many[:, 1]).double()
    chance_squares, chance_distances = difference.square().mean().item(), difference.abs().mean().item()
    assert loss.item() == pytest.approx(sum(squares) / 6 / chance_squares, rel=0.01)
    assert metrics["error_of_chance"].item() == pytest.approx(sum(distances) / 6 / chance_distances, rel=0.01)


def test_whoever_says_nothing_is_at_chance() -> None:
    objective = RelativeSpeed(RelativeSpeedConfig(), 8)
    loss, metrics = objective.compare(torch.zeros(20_000), batch_of(torch.zeros(20_000, 1, 1, 1, 1, 1)))
    assert loss.item() == pytest.approx(1, rel=0.03)
    assert metrics["error_of_chance"].item() == pytest.approx(1, rel=0.03)


def test_trap_19_it_makes_a_pass_of_its_own_and_trains_everything() -> None:
    encoder = small_encoder("beside")
    (name,) = build_objectives([RelativeSpeedConfig()], encoder.dim).parts
    assert name == "relative_speed"
    objective = RelativeSpeed(RelativeSpeedConfig(), encoder.dim)
    batch = batch_of(torch.rand(4, 2, 1, 16, 16, 16), step=2)
    before = batch.clips.clone()
    loss, _ = objective(encoder, batch)
    assert torch.equal(batch.clips, before)
    loss.backward()
    assert all(value.grad is not None for value in [*encoder.parameters(), *objective.parameters()])
    torch.manual_seed(5)
    again, _ = objective(encoder, batch)
    assert torch.equal(again, loss)  # drawn from the step, not from the global generator


def moving_bars(items: int, step: int) -> Tensor:
    """A bright bar that swings about a place of its own, at a phase of its own: (items, 1, 1, 16, 16, 16)."""
    generator = torch.Generator().manual_seed(step)
    phases, centres = torch.rand(2, items, 1, 1, 1, generator=generator)
    seconds = torch.arange(16.0)[:, None, None] / 16
    middle = 5 + 6 * centres + 3 * torch.sin(2 * math.pi * (seconds + phases))  # (items, 16, 1, 1)
    columns = torch.arange(16.0).expand(16, 16)
    bars = torch.exp(-((columns - middle) ** 2) / 4)
    noise = 0.05 * torch.rand(bars.shape, generator=generator)
    return (0.8 * bars + noise)[:, None, None]


@pytest.mark.parametrize("motion", ["beside", "only"])
def test_the_speed_of_moving_bars_is_learned_from_motion(motion: str) -> None:
    torch.manual_seed(0)
    encoder = small_encoder(motion)
    objective = RelativeSpeed(RelativeSpeedConfig(), encoder.dim)
    optimiser = torch.optim.Adam([*encoder.parameters(), *objective.parameters()], lr=1e-2)
    errors = []
    for step in range(80):
        loss, metrics = objective(encoder, batch_of(moving_bars(16, step), step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        errors.append(metrics["error_of_chance"].item())
    assert sum(errors[-20:]) / 20 < 0.85


def test_clips_that_are_too_short_are_refused_in_words() -> None:
    objective = RelativeSpeed(RelativeSpeedConfig(slowest=0.3), 8)
    with pytest.raises(UserError, match=r"of clips of 12 frames, speeds from 0.3 leave 2 .* 14 or more"):
        objective.check(ClipConfig(num_frames=12))
    objective.check(ClipConfig(num_frames=14))


def test_the_encoder_is_at_home_with_as_many_frames_as_it_is_shown() -> None:
    clip = ClipConfig(clip_seconds=1.0, num_frames=24)
    alone = build_objectives((RelativeSpeedConfig(),), 8)
    assert alone.encoded_clip(clip) == ClipConfig(clip_seconds=1.0, num_frames=12)
    beside = build_objectives((ContrastiveConfig(), RelativeSpeedConfig()), 8)
    assert beside.encoded_clip(clip) == clip
