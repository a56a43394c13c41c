"""Contrast and frame order on the same shuffled clips: equal to two passes, at the price of one."""

import pytest
import torch
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig, FrameOrderConfig, VICRegConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import ConfigError, UserError
from echossl.objectives import SharedPass, build_objectives
from echossl.objectives.frame_order import all_orders

CONTRASTIVE = ContrastiveConfig(weight=2.0, hidden_dim=8, projection_dim=4, batch_norm=False)
ORDER = FrameOrderConfig(weight=0.25, own_pass=False)
ITEMS, FRAMES = 5, 8


def make(*settings: ContrastiveConfig | FrameOrderConfig) -> tuple[Encoder, SharedPass]:
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=FRAMES), size=16
    )
    encoder = build_encoder(metadata)
    objective = build_objectives(settings or (CONTRASTIVE, ORDER), encoder.dim)
    assert isinstance(objective, SharedPass)
    return encoder, objective


def make_batch(step: int = 3) -> Batch:
    clips = torch.rand(ITEMS, 2, 1, FRAMES, 16, 16, generator=torch.Generator().manual_seed(1))
    videos = torch.zeros(ITEMS, 2, dtype=torch.int64)
    return Batch(clips=clips, patients=torch.tensor([0, 1, 0, 2, 3]), videos=videos, step=step)


def slow_loss(encoder: Encoder, objective: SharedPass, batch: Batch) -> Tensor:
    """Clip by clip, frame by frame; then each loss in a pass of its own."""
    targets = objective.draw(batch)
    shuffled = batch.clips.clone()
    for item in range(ITEMS):
        for clip in range(2):
            for place, part in enumerate(all_orders(4)[targets[item, clip]].tolist()):
                for frame in range(FRAMES // 4):
                    source = batch.clips[item, clip, :, part * (FRAMES // 4) + frame]
                    shuffled[item, clip, :, place * (FRAMES // 4) + frame] = source
    projections = objective.contrastive.projection_head(encoder(shuffled.flatten(0, 1)))
    contrast, _ = objective.contrastive.compare_all(projections.view(ITEMS, 2, 1, -1), batch.patients)
    logits = objective.frame_order.head(encoder(shuffled.flatten(0, 1))).view(ITEMS, 2, 24)
    chosen = logits.log_softmax(-1).gather(2, targets[..., None])
    return 2.0 * contrast - 0.25 * chosen.mean()


def test_loss_and_gradient_equal_those_of_two_passes() -> None:
    encoder, objective = make()
    batch = make_batch()
    loss, metrics = objective(encoder, batch)
    expected = slow_loss(encoder, objective, batch)
    torch.testing.assert_close(loss, expected)
    weights = [*encoder.parameters(), *objective.parameters()]
    for found, wanted in zip(
        torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights), strict=True
    ):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-3)
    assert list(metrics) == [
        "contrastive/loss",
        "contrastive/pair_accuracy",
        "contrastive/temperature",
        "frame_order/loss",
        "frame_order/accuracy",
    ]
    both = 2.0 * metrics["contrastive/loss"] + 0.25 * metrics["frame_order/loss"]
    torch.testing.assert_close(both, loss.detach())


def test_one_pass_of_the_encoder() -> None:
    encoder, objective = make()
    passes: list[int] = []
    encoder.register_forward_hook(lambda *_: passes.append(1))
    objective(encoder, make_batch())
    assert passes == [1]


def test_orders_depend_on_the_step_alone_and_differ_between_clips() -> None:
    _, objective = make()
    first = objective.draw(make_batch())
    torch.rand(9)
    assert first.shape == (ITEMS, 2)
    assert torch.equal(first, objective.draw(make_batch()))
    assert not torch.equal(first, objective.draw(make_batch(step=4)))
    assert not torch.equal(first[:, 0], first[:, 1])
    drawn = torch.cat([objective.draw(make_batch(step)).flatten() for step in range(300)])
    assert torch.bincount(drawn, minlength=24).min() > 80  # 125 are expected


def test_a_few_items_at_a_time_are_the_same_without_batch_norm() -> None:
    encoder, objective = make()
    encoder.eval()
    batch = make_batch()
    whole = objective.project(encoder, batch, slice(None))
    parts = [objective.project(encoder, batch, part) for part in (slice(0, 2), slice(2, 5))]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_the_order_of_the_settings_plays_no_part() -> None:
    encoder, objective = make(ORDER, CONTRASTIVE)
    assert (objective.num_clips, objective.positives) == (2, "two_videos")
    assert objective(encoder, make_batch())[0].isfinite()


@pytest.mark.parametrize(
    "settings",
    [
        (ORDER,),
        (CONTRASTIVE.model_copy(update={"dense_grid": 2}), ORDER),
        (VICRegConfig(), ORDER),
        (CONTRASTIVE, VICRegConfig(), ORDER),
    ],
    ids=["alone", "dense", "vicreg", "three"],
)
def test_what_cannot_share_a_pass_is_refused(settings: tuple) -> None:
    with pytest.raises(ConfigError, match="own_pass false"):
        build_objectives(settings, 32)


def test_odd_clips_are_refused_and_a_learned_temperature_stays_in_bounds() -> None:
    encoder, objective = make(CONTRASTIVE.model_copy(update={"learn_temperature": True}), ORDER)
    with pytest.raises(UserError, match="cannot be split into 4"):
        objective.check(ClipConfig(num_frames=6))
    with torch.no_grad():
        objective.contrastive.log_scale.fill_(99.0)
    objective.after_update(encoder)
    assert objective.contrastive.log_scale.exp().item() == pytest.approx(100)
