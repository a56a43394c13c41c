"""The last layer of a classifier, for every kind of task; all begin by saying the same of everything."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.task import TaskSettings


class CumulativeHead(nn.Module):
    """Cumulative logits of ordered classes: one linear score and increasing thresholds.

    ``logit P(class > k) = w . x - t_k`` with ``t_0 < t_1 < ...`` (the proportional-odds model, McCullagh, J R
    Stat Soc B 1980): the cuts never cross, whatever the features. The thresholds begin where all classes are
    equally likely.

    Args:
        dim: features.
        num_classes: ordered classes, at least 2.

    Attributes:
        weight: (1, dim), zeros at first; the only parameter that the features are multiplied with.
        first: (1,) the lowest threshold.
        gaps: (classes - 2,) distances to the next ones before softplus.
    """

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        cuts = torch.arange(1, num_classes, dtype=torch.float64)
        thresholds = torch.log(cuts / (num_classes - cuts))
        gaps = thresholds.diff().expm1().log()  # softplus turned around
        self.weight = nn.Parameter(torch.zeros(1, dim))
        self.first = nn.Parameter(thresholds[:1].float())
        self.gaps = nn.Parameter(gaps.float())

    def thresholds(self) -> Tensor:
        """(classes - 1,), increasing."""
        return torch.cat([self.first, self.first + F.softplus(self.gaps).cumsum(dim=0)])

    def forward(self, features: Tensor) -> Tensor:
        """(batch, dim) to cumulative logits (batch, classes - 1), decreasing along a row."""
        return F.linear(features, self.weight) - self.thresholds()


def build_head(task: TaskSettings, dim: int) -> nn.Module:
    """The head of a task: (batch, dim) to (batch, ``task.num_outputs``).

    Every head has a ``weight`` (rows, dim), the only parameter that features are multiplied with.
    """
    if task.name == "ordinal":
        return CumulativeHead(dim, len(task.classes))
    with torch.random.fork_rng(devices=[]):  # the random weights made here are thrown away at once
        head = nn.Linear(dim, task.num_outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
