from typing import get_args

import pytest
import torch

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import (
    ContrastiveConfig,
    FrameOrderConfig,
    MoCoConfig,
    ObjectiveConfig,
    TripartiteConfig,
    VICRegConfig,
)
from echossl.config.training import PretrainConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import ConfigError, UserError
from echossl.objectives import OBJECTIVES, REPORT_OBJECTIVES, build_objectives

CONTRASTIVE = ContrastiveConfig(weight=2.0, positives="two_clips")
FRAME_ORDER = FrameOrderConfig(weight=0.25)
RUN = {"data": {"manifest": "m.csv", "store": "store"}, "out": "out"}


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    architecture = Compact3DConfig(width=4)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=8), size=16))


@pytest.fixture
def batch() -> Batch:
    clips = torch.rand(4, 2, 1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    return Batch(clips=clips, patients=torch.arange(4), videos=torch.zeros(4, 2, dtype=torch.int64), step=3)


def test_the_sum_is_weighted_and_the_metrics_are_named(encoder: Encoder, batch: Batch) -> None:
    objective = build_objectives([CONTRASTIVE, FRAME_ORDER], encoder.dim)
    total, metrics = objective(encoder, batch)
    parts = [part(encoder, batch)[0] for part in objective.parts.values()]
    torch.testing.assert_close(total, 2.0 * parts[0] + 0.25 * parts[1])
    torch.testing.assert_close(metrics["contrastive/loss"], parts[0].detach())
    assert list(metrics) == [
        "contrastive/loss",
        "contrastive/pair_accuracy",
        "contrastive/temperature",
        "frame_order/loss",
        "frame_order/accuracy",
    ]
    assert not any(value.requires_grad for value in metrics.values())
    total.backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())


def test_it_asks_for_what_its_parts_need(encoder: Encoder) -> None:
    both = build_objectives([FRAME_ORDER, CONTRASTIVE], encoder.dim)
    assert (both.num_clips, both.positives) == (2, "two_clips")
    alone = build_objectives([FRAME_ORDER], encoder.dim)
    assert (alone.num_clips, alone.positives) == (1, None)


def test_clips_that_one_part_cannot_use_are_refused_early(encoder: Encoder) -> None:
    objective = build_objectives([CONTRASTIVE, FRAME_ORDER], encoder.dim)
    objective.check(ClipConfig(num_frames=8))
    with pytest.raises(UserError, match="frame_order"):
        objective.check(ClipConfig(num_frames=6))


def test_an_objective_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="contrastive is named twice"):
        build_objectives([CONTRASTIVE, FRAME_ORDER, CONTRASTIVE], 8)


def test_every_objective_of_the_settings_can_be_built() -> None:
    kinds = get_args(get_args(ObjectiveConfig)[0])
    assert {*OBJECTIVES, *REPORT_OBJECTIVES} == {kind.model_fields["name"].default for kind in kinds}
    for kind in kinds:
        name = kind().name
        reports = ["Normal aortic valve."] if name in REPORT_OBJECTIVES else None
        part = build_objectives([kind()], 8, reports=reports).parts[name]
        assert type(part).__name__.lower() == name.replace("_", "")  # VICReg is vicreg
        assert (
            part.reads_reports == PretrainConfig.model_validate(RUN | {"objectives": [kind()]}).reads_reports
        )
    with pytest.raises(ValueError, match="objective tripartite reads reports"):
        build_objectives([TripartiteConfig()], 8)


def test_parts_that_want_different_pairs_are_refused() -> None:
    with pytest.raises(ConfigError, match="contrastive two_clips, vicreg two_videos; set positives alike"):
        build_objectives([CONTRASTIVE, VICRegConfig()], 8)


@pytest.mark.parametrize("config", [MoCoConfig(positives="two_clips"), FRAME_ORDER])
def test_parts_are_told_of_the_encoder_and_of_updates(
    encoder: Encoder, batch: Batch, config: ObjectiveConfig
) -> None:
    objective = build_objectives([CONTRASTIVE, config], encoder.dim)
    objective.attach(encoder)
    objective(encoder, batch)
    objective.after_update(encoder)
    queues = [value for name, value in objective.state_dict().items() if name.endswith("queue.patients")]
    assert [value.max().item() for value in queues] == [3] * (config.name == "moco")


def test_the_seed_decides_the_heads() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(build_objectives([CONTRASTIVE, FRAME_ORDER], 8).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
