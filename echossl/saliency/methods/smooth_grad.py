"""SmoothGrad: how strongly the score reacts to each cell, averaged over noisy copies of the clip."""

import torch
from torch import Tensor

from echossl.config.saliency import SmoothGradSettings
from echossl.saliency.methods.score import Score, to_clip_size


def smooth_gradient(score: Score, clips: Tensor, settings: SmoothGradSettings) -> Tensor:
    """Mean gradient over clips with Gaussian noise (Smilkov et al., arXiv 1706.03825).

    The deviation of the noise is a share of each clip's own range of values. All clips get the same noise, so
    that none depends on its neighbours in the batch.

    Returns:
        (batch, channels', frames', height', width'), of either sign.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    axes = (1, 2, 3, 4)
    deviation = settings.noise * (clips.amax(dim=axes, keepdim=True) - clips.amin(dim=axes, keepdim=True))
    total: Tensor | None = None
    for _ in range(settings.samples):
        noise = torch.randn(clips.shape[1:], generator=generator).to(clips)
        _, gradient = score.gradient(clips + deviation * noise)
        total = gradient if total is None else total + gradient
    assert total is not None  # noqa: S101 - there is at least one sample
    return total / settings.samples


def smooth_grad(score: Score, clips: Tensor, settings: SmoothGradSettings) -> Tensor:
    """Length of the mean gradient over channels: (batch, frames, height, width).

    Of one channel that is its absolute value, as published: a place counts where a change of it would move
    the score, whichever way.
    """
    gradient = smooth_gradient(score, clips, settings)
    return to_clip_size(torch.linalg.vector_norm(gradient, dim=1), clips)
