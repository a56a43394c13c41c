"""The pretexts about time: order of segments seen alone, and speed of playback."""

import itertools

import pytest
import torch
from learn_samples import batch_of, learn
from pydantic import ValidationError
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import FrameOrderConfig, PlaybackSpeedConfig, SegmentOrderConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.objectives import FrameOrder, Objective, PlaybackSpeed, SegmentOrder
from echossl.objectives.draws import SEGMENT_STREAM, draw_classes
from echossl.objectives.playback_speed import play
from echossl.objectives.segment_order import split_segments


def small_encoder() -> Encoder:
    architecture = Compact3DConfig(width=4)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=12), size=8))


def numbered_clips(items: int, num_frames: int) -> Tensor:
    """Every pixel holds the number of its frame."""
    return torch.arange(num_frames).float()[:, None, None].expand(items, 1, num_frames, 2, 2).contiguous()


@pytest.mark.parametrize("num_segments", [2, 3, 4])
def test_segments_are_the_stretches_of_time(num_segments: int) -> None:
    clips = torch.rand(3, 2, 12, 4, 5)
    parts = split_segments(clips, num_segments)
    length = 12 // num_segments
    assert parts.shape == (3, num_segments, 2, length, 4, 5)
    for item, part in itertools.product(range(3), range(num_segments)):
        assert torch.equal(parts[item, part], clips[item, :, part * length : (part + 1) * length])


def test_segment_order_is_the_cross_entropy_of_parts_seen_alone() -> None:
    torch.manual_seed(0)
    encoder = small_encoder().eval()  # so that one part at a time gives the same vectors
    objective = SegmentOrder(SegmentOrderConfig(hidden_dim=8), encoder.dim)
    clips = torch.rand(6, 2, 1, 12, 8, 8)
    loss, metrics = objective(encoder, batch_of(clips, step=9))
    targets = draw_classes(6, 6, stream=SEGMENT_STREAM, step=9).tolist()
    orders = list(itertools.permutations(range(3)))
    expected, right = torch.zeros(()), 0
    for item, target in enumerate(targets):
        shown = [clips[item, 0, :, 4 * part : 4 * part + 4] for part in orders[target]]
        vectors = [encoder(part[None]) for part in shown]
        compared = [
            objective.pair_head(torch.cat((vectors[i], vectors[j]), dim=1))
            for i, j in [(0, 1), (0, 2), (1, 2)]
        ]
        probabilities = objective.head(torch.cat(compared, dim=1)).softmax(1)[0]
        expected = expected - probabilities[target].log() / 6
        right += int(probabilities.argmax()) == target
    torch.testing.assert_close(loss, expected)
    assert metrics["accuracy"].item() == pytest.approx(right / 6)


@pytest.mark.parametrize("num_frames", [8, 12, 13])
@pytest.mark.parametrize("hold", [2, 4])
def test_played_frames_are_those_of_a_slow_loop(num_frames: int, hold: int) -> None:
    speeds = torch.tensor([1, 2, hold, hold, 1])
    starts = torch.tensor([0.0, 0.5, 0.99, 1.0, 1.0])
    out = play(numbered_clips(5, num_frames), speeds, starts, hold=hold)[:, 0, :, 0, 0]
    for item in range(5):
        speed, start = int(speeds[item]), float(starts[item])
        reach = speed * ((num_frames - 1) // hold)
        first = min(int(start * (num_frames - reach)), num_frames - reach - 1)
        assert out[item].tolist() == [first + speed * (i // hold) for i in range(num_frames)]


def test_every_speed_shows_as_many_frames_each_as_long() -> None:
    """Held or repeated frames give nothing away: the pattern of changes is the same at every speed."""
    out = play(numbered_clips(3, 16), torch.tensor([1, 2, 4]), torch.zeros(3), hold=4)[:, 0, :, 0, 0]
    changes = out.diff(dim=1)
    assert [set(row.tolist()) for row in changes] == [{0, 1}, {0, 2}, {0, 4}]
    assert torch.equal(changes[0] > 0, changes[1] > 0)
    assert torch.equal(changes[0] > 0, changes[2] > 0)


def test_playback_speed_is_the_cross_entropy_of_the_played_first_clips() -> None:
    torch.manual_seed(1)
    encoder = small_encoder()
    objective = PlaybackSpeed(PlaybackSpeedConfig(speeds=(1, 2, 3)), encoder.dim)
    clips = torch.rand(6, 2, 1, 12, 8, 8)
    loss, metrics = objective(encoder, batch_of(clips, step=4))
    targets, starts = objective.draw(6, step=4)
    played = play(clips[:, 0], torch.tensor([1, 2, 3])[targets], starts, hold=3)
    probabilities = objective.head(encoder(played)).softmax(1)
    torch.testing.assert_close(loss, -sum(probabilities[i, targets[i]].log() for i in range(6)) / 6)
    assert metrics["accuracy"] == (probabilities.argmax(1) == targets).float().mean()


OBJECTIVES = {
    "frame_order": lambda dim: FrameOrder(FrameOrderConfig(num_segments=3), dim),
    "segment_order": lambda dim: SegmentOrder(SegmentOrderConfig(), dim),
    "playback_speed": lambda dim: PlaybackSpeed(PlaybackSpeedConfig(), dim),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_trap_19_each_makes_a_pass_of_its_own_and_trains_everything(name: str) -> None:
    encoder = small_encoder()
    objective: Objective = OBJECTIVES[name](encoder.dim)
    batch = batch_of(torch.rand(4, 2, 1, 12, 8, 8), step=2)
    before = batch.clips.clone()
    loss, _ = objective(encoder, batch)
    assert torch.equal(batch.clips, before)
    loss.backward()
    assert all(value.grad is not None for value in [*encoder.parameters(), *objective.parameters()])
    torch.manual_seed(5)
    again, _ = objective(encoder, batch)
    assert torch.equal(again, loss)  # drawn from the step, not from the global generator


def test_segments_that_get_brighter_can_be_put_in_order() -> None:
    torch.manual_seed(0)
    encoder = small_encoder()
    objective = SegmentOrder(SegmentOrderConfig(num_segments=2), encoder.dim)
    ramp = torch.linspace(0, 1, 12)[:, None, None].expand(16, 1, 1, 12, 8, 8)
    accuracies = learn(objective, encoder, lambda: 0.8 * ramp + 0.2 * torch.rand(ramp.shape), steps=30)
    assert accuracies[-1] == 1


def test_the_speed_of_rising_brightness_can_be_learned() -> None:
    """Brightness begins anywhere and rises at one rate; only its change over time tells the speed."""
    torch.manual_seed(0)
    encoder = small_encoder()
    objective = PlaybackSpeed(PlaybackSpeedConfig(), encoder.dim)
    ramp = torch.linspace(0, 0.5, 12)[:, None, None].expand(32, 1, 1, 12, 8, 8)
    accuracies = learn(objective, encoder, lambda: ramp + 0.5 * torch.rand(32, 1, 1, 1, 1, 1), steps=60)
    assert sum(accuracies[-10:]) / 10 > 0.85


def test_clips_that_do_not_fit_are_refused_in_words() -> None:
    with pytest.raises(
        UserError, match="segment_order: clips of 10 frames cannot be split into 3 equal parts"
    ):
        SegmentOrder(SegmentOrderConfig(), 8).check(ClipConfig(num_frames=10))
    speed = PlaybackSpeed(PlaybackSpeedConfig(speeds=(1, 4)), 8)
    with pytest.raises(UserError, match="clips of 6 frames show fewer than two of them at 4 times the speed"):
        speed.check(ClipConfig(num_frames=6))
    speed.check(ClipConfig(num_frames=8))


@pytest.mark.parametrize("speeds", [(2, 1), (0, 1), (1, 1)])
def test_speeds_have_to_rise(speeds: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="rising whole numbers"):
        PlaybackSpeedConfig(speeds=speeds)
