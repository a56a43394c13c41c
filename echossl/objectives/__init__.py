"""Objectives: what an encoder is pre-trained on. One file each; a run adds several up.

A new objective is one new file, one class of settings, and one line in ``OBJECTIVES``.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from echossl.config.objective import ObjectiveConfig
from echossl.errors import ConfigError
from echossl.objectives.base import Objective, WeightedSum
from echossl.objectives.contrastive import Contrastive
from echossl.objectives.frame_order import FrameOrder
from echossl.objectives.moco import MoCo
from echossl.objectives.playback_speed import PlaybackSpeed
from echossl.objectives.segment_order import SegmentOrder
from echossl.objectives.similarity import dense_nt_xent, nt_xent
from echossl.objectives.vicreg import VICReg

# name of the settings → objective, made from (settings, length of the encoder's vectors)
OBJECTIVES: dict[str, Callable[[Any, int], Objective]] = {
    "contrastive": Contrastive,
    "moco": MoCo,
    "vicreg": VICReg,
    "frame_order": FrameOrder,
    "segment_order": SegmentOrder,
    "playback_speed": PlaybackSpeed,
}


def build_objectives(configs: Sequence[ObjectiveConfig], encoder_dim: int) -> WeightedSum:
    """Make the sum of the objectives, with random heads from torch's global generator.

    Raises:
        ConfigError: if an objective is named twice, or two of them want different pairs.
    """
    twice = [name for name, count in Counter(config.name for config in configs).items() if count > 1]
    if twice:
        raise ConfigError(f"objectives: {twice[0]} is named twice; name each objective once")
    parts = [(config, OBJECTIVES[config.name](config, encoder_dim)) for config in configs]
    wanted = {config.name: part.positives for config, part in parts if part.positives is not None}
    if len(set(wanted.values())) > 1:
        pairs = ", ".join(f"{name} {positives}" for name, positives in wanted.items())
        raise ConfigError(f"objectives: a batch has one kind of pairs, found {pairs}; set positives alike")
    return WeightedSum(parts)


__all__ = [
    "OBJECTIVES",
    "Contrastive",
    "FrameOrder",
    "MoCo",
    "Objective",
    "PlaybackSpeed",
    "SegmentOrder",
    "VICReg",
    "WeightedSum",
    "build_objectives",
    "dense_nt_xent",
    "nt_xent",
]
