import math

import pytest
import torch
from learn_samples import batch_of, learn

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import FrameOrderConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.objectives.frame_order import FrameOrder, permute_segments


def small_encoder() -> Encoder:
    architecture = Compact3DConfig(width=4)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=8), size=8))


def test_segments_move_as_a_slow_loop_would_move_them() -> None:
    clips = torch.rand(5, 2, 12, 3, 4)
    objective = FrameOrder(FrameOrderConfig(), encoder_dim=8)
    orders = objective.orders[torch.tensor([0, 5, 23, 11, 7])]
    out = permute_segments(clips, orders)
    for item in range(5):
        parts = clips[item].split(3, dim=1)
        expected = torch.cat([parts[int(segment)] for segment in orders[item]], dim=1)
        assert torch.equal(out[item], expected)
    assert torch.equal(out[0], clips[0])  # the first order is the true one
    assert out[:, :, :3].shape == (5, 2, 3, 3, 4)


@pytest.mark.parametrize("num_segments", [2, 3, 4, 5])
def test_all_orders_are_there_once(num_segments: int) -> None:
    objective = FrameOrder(FrameOrderConfig(num_segments=num_segments), encoder_dim=8)
    assert len({tuple(order.tolist()) for order in objective.orders}) == math.factorial(num_segments)
    assert objective.head.out_features == math.factorial(num_segments)
    assert "orders" not in objective.state_dict()


def test_orders_are_a_pure_function_of_the_step_and_all_drawn() -> None:
    objective = FrameOrder(FrameOrderConfig(), encoder_dim=8)
    torch.manual_seed(0)
    first = objective.draw(32, step=3)
    torch.manual_seed(1)
    assert torch.equal(first, FrameOrder(FrameOrderConfig(), encoder_dim=4).draw(32, step=3))
    assert not torch.equal(first, objective.draw(32, step=4))
    counts = torch.bincount(torch.cat([objective.draw(32, step=step) for step in range(300)]), minlength=24)
    assert counts.min() > 300
    assert counts.max() < 500


def test_loss_is_the_cross_entropy_of_the_shuffled_first_clips() -> None:
    torch.manual_seed(0)
    encoder = small_encoder()
    objective = FrameOrder(FrameOrderConfig(), encoder.dim)
    clips = torch.rand(6, 2, 1, 8, 8, 8)
    loss, metrics = objective(encoder, batch_of(clips, step=9))
    targets = objective.draw(6, step=9)
    shuffled = permute_segments(clips[:, 0], objective.orders[targets])
    probabilities = objective.head(encoder(shuffled)).softmax(1)
    expected = -sum(probabilities[i, targets[i]].log() for i in range(6)) / 6
    torch.testing.assert_close(loss, expected)
    assert metrics["accuracy"] == (probabilities.argmax(1) == targets).float().mean()


def test_trap_19_the_clips_themselves_stay_in_order() -> None:
    """The shuffled copy is for this objective alone."""
    encoder = small_encoder()
    batch = batch_of(torch.rand(4, 2, 1, 8, 8, 8))
    before = batch.clips.clone()
    FrameOrder(FrameOrderConfig(), encoder.dim)(encoder, batch)
    assert torch.equal(batch.clips, before)


def test_it_can_be_learned() -> None:
    """Clips that get brighter with time: two parts in the wrong order are easy to tell."""
    torch.manual_seed(0)
    encoder = small_encoder()
    objective = FrameOrder(FrameOrderConfig(num_segments=2), encoder.dim)
    ramp = torch.linspace(0, 1, 8)[:, None, None].expand(16, 1, 1, 8, 8, 8)
    accuracies = learn(objective, encoder, lambda: 0.8 * ramp + 0.2 * torch.rand(ramp.shape), steps=30)
    assert accuracies[-1] == 1


def test_frames_that_cannot_be_split_are_refused_in_words() -> None:
    objective = FrameOrder(FrameOrderConfig(), encoder_dim=8)
    with pytest.raises(UserError, match="clips of 10 frames cannot be split into 4 equal parts"):
        objective.check(ClipConfig(num_frames=10))
    with pytest.raises(UserError, match="multiple of 4"):
        permute_segments(torch.rand(1, 1, 6, 4, 4), objective.orders[:1])
    objective.check(ClipConfig(num_frames=12))
