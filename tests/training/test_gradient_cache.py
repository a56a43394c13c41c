"""Encoding a batch a few items at a time gives the loss and the gradient of encoding it at once."""

import copy
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import (
    ContrastiveConfig,
    FrameOrderConfig,
    MoCoConfig,
    ObjectiveConfig,
    PlaybackSpeedConfig,
    RelativeSpeedConfig,
    SegmentOrderConfig,
    VICRegConfig,
)
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.objectives import Objective, build_objectives
from echossl.training.gradient_cache import backward_partwise, parts_of, require_partwise
from echossl.training.learner import Learner

ITEMS = 7
NO_AUTOCAST = torch.autocast("cpu", enabled=False)
SMALL = {"hidden_dim": 8, "projection_dim": 6}
CONFIGS: dict[str, tuple[ObjectiveConfig, ...]] = {
    "contrastive": (ContrastiveConfig(batch_norm=False, learn_temperature=True, **SMALL),),
    "dense": (ContrastiveConfig(batch_norm=False, dense_grid=2, global_weight=0.5, **SMALL),),
    "matched": (
        ContrastiveConfig(
            batch_norm=False,
            dense_grid=2,
            dense_match="best",
            skip_blank_cells=True,
            global_weight=0.5,
            **SMALL,
        ),
    ),
    "four clips": (ContrastiveConfig(batch_norm=False, positives="patient", num_clips=4, **SMALL),),
    "moco": (MoCoConfig(queue_size=16, **SMALL),),
    "orders and speed": (
        FrameOrderConfig(),
        SegmentOrderConfig(weight=2.0, num_segments=2, hidden_dim=8),
        PlaybackSpeedConfig(),
        RelativeSpeedConfig(),
    ),
    "sum": (ContrastiveConfig(weight=2.0, batch_norm=False, **SMALL), FrameOrderConfig(weight=0.25)),
}


class Plain(Encoder):
    """No batch norm: clips are encoded independently of each other. Dropout draws random numbers."""

    def __init__(self, *, dropout: float = 0.0) -> None:
        architecture = Compact3DConfig(width=4, motion="only")  # said, not done: the clips are noise
        super().__init__(
            EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=8), size=8), dim=5
        )
        self.layer = nn.Conv3d(1, 5, 3, padding=1, stride=(1, 2, 2))
        self.dropout = nn.Dropout(dropout)

    def trunk(self, clips: Tensor) -> Tensor:
        return torch.tanh(self.dropout(self.layer(clips)))


def batch_of(items: int = ITEMS, *, size: int = 8) -> Batch:
    clips = torch.rand(items, 4, 1, 8, size, size, generator=torch.Generator().manual_seed(3))
    patients = torch.arange(items) % (items - 1)  # one patient twice
    return Batch(clips, patients, torch.zeros(items, 4, dtype=torch.int64), step=5)


def learner_of(encoder: Encoder, configs: tuple[ObjectiveConfig, ...]) -> Learner:
    torch.manual_seed(1)
    objective = build_objectives(configs, encoder.dim)
    objective.attach(encoder)
    return Learner(encoder, objective).train()


def gradients(learner: Learner) -> dict[str, Tensor]:
    return {name: p.grad for name, p in learner.named_parameters() if p.grad is not None}


def directly(learner: Learner, batch: Batch) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    loss, metrics = learner(batch)
    loss.backward()
    return loss.detach(), metrics, gradients(learner)


def cached(
    learner: Learner, batch: Batch, micro_batch: int, *, autocast: torch.autocast = NO_AUTOCAST
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    loss, metrics = backward_partwise(
        learner.objective,
        learner.encoder,
        batch,
        micro_batch=micro_batch,
        autocast=autocast,
        scaled=lambda value: value,
    )
    return loss, metrics, gradients(learner)


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 6])
@pytest.mark.parametrize("configs", CONFIGS.values(), ids=CONFIGS.keys())
def test_trap_22_loss_metrics_and_gradient_are_those_of_the_whole_batch(
    configs: tuple[ObjectiveConfig, ...], micro_batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly: in float64 nothing is left between the two."""
    torch.manual_seed(0)
    # encoders and losses make float32 of what they get; here that word means float64
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    first = learner_of(Plain(), configs).double()
    second = copy.deepcopy(first)
    batch = replace(batch_of(), clips=batch_of().clips.double())
    expected, found = directly(first, batch), cached(second, batch, micro_batch)
    assert found[0].dtype == torch.float64
    assert not found[0].requires_grad
    torch.testing.assert_close(found[0], expected[0], rtol=1e-13, atol=1e-14)
    assert found[1].keys() == expected[1].keys()
    for key, value in expected[1].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-12, atol=1e-14)
    assert found[2].keys() == expected[2].keys()
    for name, value in expected[2].items():
        torch.testing.assert_close(found[2][name], value, rtol=1e-8, atol=1e-14, msg=name)


def test_in_float32_the_gradient_is_that_of_the_whole_batch_up_to_rounding() -> None:
    torch.manual_seed(0)
    first = learner_of(Plain(), CONFIGS["sum"])
    second = copy.deepcopy(first)
    expected, found = directly(first, batch_of()), cached(second, batch_of(), 2)
    torch.testing.assert_close(found[0], expected[0])
    for name, value in expected[2].items():
        torch.testing.assert_close(found[2][name], value, rtol=1e-3, atol=1e-6, msg=name)


def batch_norm_learner(configs: tuple[ObjectiveConfig, ...]) -> Learner:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=8), size=16)
    return learner_of(build_encoder(metadata), configs)


def once_per_part(learner: Learner, batch: Batch, micro_batch: int) -> dict[str, Tensor]:
    """The same loss, with gradient through every part at once: what memory would not allow."""
    total = torch.zeros(())
    for name, part in learner.objective.named_parts():
        passes = [part.project(learner.encoder, batch, i) for i in parts_of(len(batch.clips), micro_batch)]
        total = total + learner.objective.weights[name] * part.compare(torch.cat(passes), batch)[0]
    total.backward()
    return {"loss": total.detach()} | gradients(learner)


@pytest.mark.parametrize("micro_batch", [2, 3])
@pytest.mark.parametrize(
    "configs",
    [
        (ContrastiveConfig(**SMALL), FrameOrderConfig(weight=0.25)),
        (VICRegConfig(**SMALL),),
        (MoCoConfig(queue_size=16, **SMALL),),
    ],
    ids=["contrastive", "vicreg", "moco"],
)
def test_batch_norms_see_a_pass_and_follow_it_once(
    configs: tuple[ObjectiveConfig, ...], micro_batch: int
) -> None:
    first = batch_norm_learner(configs)
    second = copy.deepcopy(first)
    before = {name: value.clone() for name, value in second.named_buffers()}
    expected = once_per_part(first, batch_of(6, size=16), micro_batch)
    loss, _, found = cached(second, batch_of(6, size=16), micro_batch)
    torch.testing.assert_close(loss, expected.pop("loss"))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)
    buffers = dict(second.named_buffers())
    for name, value in first.named_buffers():
        assert torch.equal(buffers[name], value), name
    counts = [name for name in before if name.startswith("encoder") and name.endswith("num_batches_tracked")]
    passes = len(parts_of(6, micro_batch)) * len(configs)
    assert counts
    assert {int(buffers[name] - before[name]) for name in counts} == {passes}


def test_the_second_round_draws_the_numbers_of_the_first_and_the_stream_goes_on() -> None:
    torch.manual_seed(0)
    first = learner_of(Plain(dropout=0.5), CONFIGS["sum"])
    second = copy.deepcopy(first)
    torch.manual_seed(7)
    expected = once_per_part(first, batch_of(), 3)
    after = torch.rand(3)
    torch.manual_seed(7)
    loss, _, found = cached(second, batch_of(), 3)
    assert torch.equal(torch.rand(3), after)
    torch.testing.assert_close(loss, expected.pop("loss"))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-7, msg=name)


def test_every_weight_has_a_gradient_under_autocast() -> None:
    """Casts of weights made without gradient in the first round are not used in the second."""
    bfloat16 = torch.autocast("cpu", torch.bfloat16)
    torch.manual_seed(0)
    first = learner_of(Plain(), CONFIGS["sum"])
    second = copy.deepcopy(first)
    with bfloat16:
        loss, _ = first(batch_of())
    loss.backward()
    found = cached(second, batch_of(), 2, autocast=bfloat16)
    torch.testing.assert_close(found[0], loss.detach(), rtol=1e-3, atol=1e-3)
    expected = gradients(first)
    assert found[2].keys() == expected.keys()
    for name, value in expected.items():
        assert torch.cosine_similarity(found[2][name].flatten(), value.flatten(), dim=0) > 0.99, name


@pytest.mark.parametrize(("items", "most"), [(7, 1), (7, 2), (7, 3), (8, 3), (2048, 300), (5, 5), (5, 9)])
def test_parts_cover_the_items_evenly(items: int, most: int) -> None:
    parts = parts_of(items, most)
    assert [number for part in parts for number in range(items)[part]] == list(range(items))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) <= most
    assert max(lengths) - min(lengths) <= 1
    assert len(parts) == -(-items // most)


class Whole(Objective):
    """Cannot be cut."""

    def forward(self, encoder: Encoder, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return encoder(batch.clips[:, 0]).square().mean(), {}


def test_an_objective_that_needs_the_whole_batch_is_named() -> None:
    objective = build_objectives(CONFIGS["sum"], 5)
    require_partwise(objective)
    objective.parts["whole"] = Whole()
    with pytest.raises(UserError, match="micro_batch: the objective Whole needs the whole batch at once"):
        require_partwise(objective)


def test_activations_of_one_pass_at_a_time_are_kept() -> None:
    """Counted in bytes that autograd saves: those of a pass do not grow with the batch."""
    most = {}
    for items in (8, 32):
        torch.manual_seed(0)
        learner = learner_of(Plain(), (FrameOrderConfig(),))
        sizes: list[int] = []

        def keep(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), nullcontext():
            cached(learner, batch_of(items), 2)
        most[items] = max(sizes)
    assert most[8] == most[32]
