"""Integrated gradients: what each cell adds to the score on a straight way from a baseline to the clip."""

import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.config.saliency import IntegratedGradientsSettings
from echossl.saliency.methods.baseline import baseline
from echossl.saliency.methods.score import Score, to_clip_size


def attributions(score: Score, clips: Tensor, settings: IntegratedGradientsSettings) -> Tensor:
    """``(A - A0) mean_k grad(A0 + a_k (A - A0))`` (Sundararajan et al., arXiv 1703.01365), midpoints a_k.

    ``A`` are the cells of the layer for the clip, ``A0`` those for the baseline. Summed over channels and
    places they are the score of the clip minus that of the baseline, if all that follows goes through the
    layer, up to the error of the sum over ``steps`` points.

    Args:
        score: with the layer; ``input`` is the published method.
        clips: (batch, channels, frames, height, width) in 0..1.
        settings: steps and baseline.

    Returns:
        (batch, channels', frames', height', width'), of either sign.
    """
    end = score.cells(clips)
    start = score.cells(baseline(clips, settings.baseline))
    total = torch.zeros_like(end)
    for step in range(settings.steps):
        _, gradient = score.gradient(clips, start + (step + 0.5) / settings.steps * (end - start))
        total += gradient
    return (end - start) * total / settings.steps


def integrated_gradients(score: Score, clips: Tensor, settings: IntegratedGradientsSettings) -> Tensor:
    """The positive part of the attributions, summed over channels: (batch, frames, height, width)."""
    return to_clip_size(F.relu(attributions(score, clips, settings).sum(dim=1)), clips)
