"""From the clips of a study's videos to what a classifier says of the study."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from echossl.adapt.embed import mean_logits
from echossl.adapt.scores import Pooling, study_outputs
from echossl.config.recipes import Pooled
from echossl.data.samplers import Draw
from echossl.encoders.attention import GatedAttention

Clips = npt.NDArray[np.float32]


def make_attention(recipe: Pooled, dim: int, *, seed: int) -> GatedAttention | None:
    """The attention that a recipe asks for, which begins as the mean."""
    return GatedAttention(dim, recipe.attention_width, seed=seed) if recipe.attends else None


def with_attention(head: nn.Module, attention: GatedAttention | None) -> nn.Module:
    """What is trained: the head, and the attention if there is one."""
    return head if attention is None else nn.ModuleList([head, attention])


def pooled_outputs(
    videos: pd.DataFrame,
    features: Sequence[Clips],
    head: nn.Module,
    *,
    pooling: Pooling = "mean",
    attention: GatedAttention | None = None,
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """What a head says of studies: first the mean over the clips of a video, then over videos.

    Args:
        videos: ``patient_id, study_id``, one row per video.
        features: for each video its vectors, (clips, dim).
        head: on any device; linear, so that a weighted mean of outputs is the output of the weighted mean.
        pooling: over the videos of a study.
        attention: on the device of the head; looks at the mean vector of a video.

    Returns:
        See :func:`echossl.adapt.scores.study_outputs`.
    """
    outputs = mean_logits(head, features)
    energies = None
    if attention is not None:
        means = torch.from_numpy(np.stack([own.mean(axis=0) for own in features]))
        with torch.inference_mode():
            energies = attention.energies(means.to(attention.score.weight.device)).cpu().numpy()
    return study_outputs(videos, outputs, pooling=pooling, energies=energies)


def studies_of(videos: pd.DataFrame) -> dict[int, int]:
    """The number of the study of each store row, in the order of first appearance."""
    codes, _ = pd.factorize(videos["study_id"])
    return dict(zip(videos["row"].tolist(), codes.tolist(), strict=True))


def whole_studies(draw: Draw, studies: Mapping[int, int]) -> tuple[list[int], Tensor]:
    """All videos of the study that the first clip of each item belongs to.

    Returns:
        Store rows (clips,), and which item each belongs to (clips,) int64.
    """
    members: dict[int, list[int]] = {}
    for row, study in studies.items():
        members.setdefault(study, []).append(row)
    groups = [members[studies[item[0].row]] for item in draw.items]
    items = torch.repeat_interleave(torch.tensor([len(group) for group in groups]))
    return [row for group in groups for row in group], items


def studies_in_items(rows: Tensor, studies: Mapping[int, int]) -> tuple[Tensor, Tensor]:
    """Clips of one study in one item belong together.

    Args:
        rows: store row of each clip, (items, clips).
        studies: of each row.

    Returns:
        Number of the group of each clip in the order of the clips (items * clips,), and the place of the
        first clip of each group (groups,), both int64.
    """
    numbers: dict[tuple[int, int], int] = {}
    groups, first = [], []
    pairs = [(item, studies[row]) for item, own in enumerate(rows.tolist()) for row in own]
    for place, pair in enumerate(pairs):
        if pair not in numbers:
            numbers[pair] = len(numbers)
            first.append(place)
        groups.append(numbers[pair])
    return torch.tensor(groups), torch.tensor(first)
