"""Deletion and insertion: how the score moves as a clip is taken away or built up in the order of a map.

After Petsiuk et al., arXiv 1806.07421, with the logit instead of the probability, which saturates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from echossl.config.saliency import BaselineName
from echossl.saliency.methods.baseline import baseline

Floats = npt.NDArray[np.floating]
CLIPS_PER_PASS = 8


@dataclass(frozen=True)
class Curves:
    """The logit of one clip at each fraction of its sector.

    Attributes:
        fractions: (steps + 1,) from 0 to 1.
        deletion: with the largest fraction of the map replaced by the baseline.
        insertion: with the largest fraction of the map alone, the rest being baseline.
    """

    fractions: Floats
    deletion: Floats
    insertion: Floats

    @property
    def faithfulness(self) -> float:
        """Area between insertion and deletion, in logits: about 0 for a map that knows nothing."""
        return float(np.trapezoid(self.insertion - self.deletion, self.fractions))


def deletion_insertion(
    score: Callable[[Tensor], Tensor],
    clips: Tensor,
    saliency: Floats,
    sector: npt.NDArray[np.bool_],
    *,
    steps: int,
    name: BaselineName,
    seed: int = 0,
) -> Curves:
    """The curves of one clip.

    Args:
        score: (batch, channels, frames, height, width) → logits (batch,).
        clips: (1, channels, frames, height, width) in 0..1.
        saliency: (frames, height, width) or (height, width).
        sector: (height, width); only its pixels are taken away, and count.
        steps: steps from nothing to everything.
        name: what stands for nothing to see.
        seed: which of equal places, such as all that are 0, come first.
    """
    frames = clips.shape[2]
    inside = np.broadcast_to(sector, (frames, *sector.shape)).ravel()
    values = np.broadcast_to(saliency, (frames, *sector.shape)).ravel()[inside]
    mixed = np.random.default_rng(seed).permutation(len(values))
    order = np.flatnonzero(inside)[mixed[np.argsort(-values[mixed], kind="stable")]]
    fractions = np.linspace(0, 1, steps + 1)
    chosen = np.zeros((steps + 1, len(inside)), dtype=np.bool_)
    for row, fraction in zip(chosen, fractions, strict=True):
        row[order[: round(fraction * len(order))]] = True
    masks = torch.from_numpy(chosen).view(steps + 1, 1, *clips.shape[2:]).to(clips.device)
    empty = baseline(clips, name)
    deleted, inserted = torch.where(masks, empty, clips), torch.where(masks, clips, empty)
    return Curves(fractions, _scores(score, deleted), _scores(score, inserted))


def _scores(score: Callable[[Tensor], Tensor], clips: Tensor) -> Floats:
    parts = [clips[start : start + CLIPS_PER_PASS] for start in range(0, len(clips), CLIPS_PER_PASS)]
    found = torch.cat([score(part) for part in parts])
    return found.double().cpu().numpy()
