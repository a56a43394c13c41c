"""Attention over the videos of a study: which of them the classifier looks at."""

import torch
from torch import Tensor, nn


class GatedAttention(nn.Module):
    """Gated attention of multiple-instance learning (Ilse et al., arXiv 1802.04712, equations 7 and 9).

    The weight of video k of a study is the softmax over the study of ``w . (tanh(V h_k) * sigmoid(U h_k))``;
    the study is the weighted mean of its videos' features. ``w`` begins at zero, where all videos weigh the
    same. Since every head is linear, the weighted mean of what it says of videos is what it says of the mean.

    Args:
        dim: features of a video.
        width: rows of V and U.
        seed: of the random V and U.
    """

    def __init__(self, dim: int, width: int, *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.content = nn.Linear(dim, width, bias=False)
            self.gate = nn.Linear(dim, width, bias=False)
            self.score = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def energies(self, features: Tensor) -> Tensor:
        """What the softmax is taken of: (videos, dim) to (videos,)."""
        gated: Tensor = self.content(features).tanh() * self.gate(features).sigmoid()
        scores: Tensor = self.score(gated)[:, 0]
        return scores

    def forward(self, features: Tensor, studies: Tensor) -> Tensor:
        """Features of videos to features of studies.

        Args:
            features: (videos, dim).
            studies: (videos,) int64, 0 to studies - 1, each at least once.

        Returns:
            (studies, dim).
        """
        weights = study_softmax(self.energies(features), studies)
        pooled = features.new_zeros((int(studies.max()) + 1, features.shape[1]))
        return pooled.index_add(0, studies, weights[:, None] * features)


def study_softmax(energies: Tensor, studies: Tensor) -> Tensor:
    """Softmax over the videos of each study.

    Args:
        energies: (videos,).
        studies: (videos,) int64 from 0.

    Returns:
        (videos,), 1 in sum over each study.
    """
    largest = energies.new_full((int(studies.max()) + 1,), -torch.inf)
    largest = largest.scatter_reduce(0, studies, energies.detach(), "amax")
    shares = (energies - largest[studies]).exp()
    sums = torch.zeros_like(largest).index_add(0, studies, shares)
    return shares / sums[studies]
