"""What objectives draw depends on the seed of the run; at seed 0 it is what it was before there was one."""

import pytest
import torch
from torch import Tensor

from echossl.augment import seeded_generator
from echossl.config.objective import (
    ContrastiveConfig,
    FrameOrderConfig,
    MoCoConfig,
    ObjectiveConfig,
    PlaybackSpeedConfig,
    RelativeSpeedConfig,
    SegmentOrderConfig,
)
from echossl.data.clips import Batch
from echossl.objectives import (
    FrameOrder,
    MoCo,
    PlaybackSpeed,
    RelativeSpeed,
    SegmentOrder,
    SharedPass,
    WeightedSum,
    build_objectives,
)
from echossl.objectives.draws import draw_classes, draw_numbers, draw_shares

ITEMS, STEP = 16, 5
SETTINGS: tuple[tuple[ObjectiveConfig, ...], ...] = (
    (FrameOrderConfig(),),
    (SegmentOrderConfig(),),
    (PlaybackSpeedConfig(),),
    (RelativeSpeedConfig(),),
    (MoCoConfig(),),
    (ContrastiveConfig(), FrameOrderConfig(own_pass=False)),
)


def drawn(configs: tuple[ObjectiveConfig, ...], seed: int | None) -> Tensor:
    """All that an objective draws at a step, as one vector."""
    objective = build_objectives(configs, 4) if seed is None else build_objectives(configs, 4, seed=seed)
    if isinstance(objective, WeightedSum):
        [(_, objective)] = objective.named_parts()
    match objective:
        case FrameOrder() | SegmentOrder():
            return objective.draw(ITEMS, step=STEP)
        case PlaybackSpeed() | RelativeSpeed():
            return torch.cat([part.flatten() for part in objective.draw(ITEMS, step=STEP)])
        case MoCo():
            return torch.cat(objective._groups(ITEMS, step=STEP))
        case SharedPass():
            clips, none = torch.zeros(ITEMS, 2, 1, 4, 2, 2), torch.zeros(ITEMS, dtype=torch.int64)
            return objective.draw(Batch(clips, none, none, step=STEP))
    raise AssertionError(objective)


@pytest.mark.parametrize("configs", SETTINGS, ids=lambda configs: configs[-1].name)
def test_runs_of_different_seeds_draw_differently(configs: tuple[ObjectiveConfig, ...]) -> None:
    first, again, second, third = (drawn(configs, seed) for seed in (1, 1, 2, 0))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(third, drawn(configs, None))


@pytest.mark.parametrize("step", [0, 1, 449])
@pytest.mark.parametrize("stream", [3, 33])
def test_seed_0_draws_what_was_drawn_without_seeds(stream: int, step: int) -> None:
    key = {"stream": stream, "step": step, "seed": 0}
    assert torch.equal(
        draw_classes(24, ITEMS, **key),
        torch.randint(24, (ITEMS,), generator=seeded_generator(stream, step)),
    )
    assert torch.equal(
        draw_shares(ITEMS, **key), torch.rand(ITEMS, generator=seeded_generator(stream, step, 1))
    )
    assert torch.equal(
        draw_numbers(ITEMS, 4, **key), torch.rand((ITEMS, 4), generator=seeded_generator(stream, step))
    )
