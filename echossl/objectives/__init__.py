"""Objectives: what an encoder is pre-trained on. One file each; a run adds several up.

A new objective is one new file, one class of settings, and one line in ``OBJECTIVES``.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from echossl.config.objective import ContrastiveConfig, FrameOrderConfig, ObjectiveConfig
from echossl.errors import ConfigError
from echossl.objectives.base import Objective, WeightedSum
from echossl.objectives.contrastive import Contrastive
from echossl.objectives.frame_order import FrameOrder
from echossl.objectives.masked import Masked
from echossl.objectives.moco import MoCo
from echossl.objectives.playback_speed import PlaybackSpeed
from echossl.objectives.refine import Refine
from echossl.objectives.relative_speed import RelativeSpeed
from echossl.objectives.segment_order import SegmentOrder
from echossl.objectives.shared_pass import SharedPass
from echossl.objectives.similarity import dense_nt_xent, nt_xent
from echossl.objectives.tripartite import Tripartite
from echossl.objectives.vicreg import VICReg

# name of the settings → objective, made from (settings, length of the encoder's vectors)
OBJECTIVES: dict[str, Callable[[Any, int], Objective]] = {
    "contrastive": Contrastive,
    "moco": MoCo,
    "vicreg": VICReg,
    "frame_order": FrameOrder,
    "segment_order": SegmentOrder,
    "playback_speed": PlaybackSpeed,
    "relative_speed": RelativeSpeed,
    "masked": Masked,
}
# those that read reports, made from (settings, length of the encoder's vectors, reports that are trained on)
REPORT_OBJECTIVES: dict[str, Callable[[Any, int, Sequence[str]], Objective]] = {
    "refine": Refine,
    "tripartite": Tripartite.of_reports,
}


def build_objectives(
    configs: Sequence[ObjectiveConfig],
    encoder_dim: int,
    *,
    seed: int = 0,
    reports: Sequence[str] | None = None,
) -> Objective:
    """Make the sum of the objectives, with random heads from torch's global generator.

    Args:
        configs: settings of each.
        encoder_dim: length of the encoder's vectors.
        seed: of what they draw in training.
        reports: those of the studies that are trained on, for objectives that read them.

    Raises:
        ConfigError: if an objective is named twice, or two of them want different pairs, or those of a shared
            pass are not two that can share one.
    """
    twice = [name for name, count in Counter(config.name for config in configs).items() if count > 1]
    if twice:
        raise ConfigError(f"objectives: {twice[0]} is named twice; name each objective once")
    parts = [(config, _build(config, encoder_dim, reports)) for config in configs]
    wanted = {config.name: part.positives for config, part in parts if part.positives is not None}
    if len(set(wanted.values())) > 1:
        pairs = ", ".join(f"{name} {positives}" for name, positives in wanted.items())
        raise ConfigError(f"objectives: a batch has one kind of pairs, found {pairs}; set positives alike")
    is_shared = any(isinstance(config, FrameOrderConfig) and not config.own_pass for config in configs)
    objective = _shared_pass(parts) if is_shared else WeightedSum(parts)
    for part in objective.modules():
        if isinstance(part, Objective):
            part.seed = seed
    return objective


def _build(config: ObjectiveConfig, encoder_dim: int, reports: Sequence[str] | None) -> Objective:
    if config.name not in REPORT_OBJECTIVES:
        return OBJECTIVES[config.name](config, encoder_dim)
    if reports is None:
        raise ValueError(f"objective {config.name} reads reports, expected those that are trained on")
    return REPORT_OBJECTIVES[config.name](config, encoder_dim, reports)


def _shared_pass(parts: Sequence[tuple[ObjectiveConfig, Objective]]) -> SharedPass:
    match sorted(parts, key=lambda part: part[0].name):
        case [
            (ContrastiveConfig(dense_grid=0) as contrast, Contrastive() as contrastive),
            (FrameOrderConfig() as order, FrameOrder() as frame_order),
        ]:
            return SharedPass((contrast, contrastive), (order, frame_order))
    raise ConfigError(
        "objectives: frame_order has own_pass false, and then shares a pass with contrastive without "
        "dense_grid and with nothing else; set it to true, or leave the others out"
    )


__all__ = [
    "OBJECTIVES",
    "REPORT_OBJECTIVES",
    "Contrastive",
    "FrameOrder",
    "Masked",
    "MoCo",
    "Objective",
    "PlaybackSpeed",
    "Refine",
    "RelativeSpeed",
    "SegmentOrder",
    "SharedPass",
    "Tripartite",
    "VICReg",
    "WeightedSum",
    "build_objectives",
    "dense_nt_xent",
    "nt_xent",
]
