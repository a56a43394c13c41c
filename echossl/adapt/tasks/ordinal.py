"""Ordered classes: cumulative logits of one score, from which every binary cut is reported."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.special import expit
from torch import Tensor

from echossl.adapt.tasks.base import CHANCE, Floats
from echossl.adapt.tasks.multiclass import MulticlassTask
from echossl.evaluation.grades import weighted_concordance


class OrdinalTask(MulticlassTask):
    """Grades, as of severity, with the head of :class:`echossl.encoders.heads.CumulativeHead`."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """``as_grade_score_moderate`` for each class, ``as_grade_score_at_least_moderate`` for each cut."""
        cuts = tuple(f"{self.column}_score_at_least_{name}" for name in self.slugs[1:])
        return (*super().score_names, *cuts)

    def class_log_probabilities(self, outputs: Tensor) -> Tensor:
        """Cumulative logits (batch, classes - 1) to log probabilities (batch, classes).

        With neighbouring logits a > b: ``sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))``,
        which loses no digits where both are close to 0 or to 1.
        """
        first, last = F.logsigmoid(-outputs[:, :1]), F.logsigmoid(outputs[:, -1:])
        above, below = outputs[:, :-1], outputs[:, 1:]
        # thresholds that meet in floating point leave the class between them a tiny chance, not none
        least = torch.finfo(outputs.dtype).tiny
        apart = torch.log((-torch.expm1(below - above)).clamp_min(least))
        return torch.cat([first, F.logsigmoid(above) + F.logsigmoid(-below) + apart, last], dim=1)

    def merit(self, targets: Floats, outputs: Floats) -> float:
        """Chance that of two studies with different grades the higher one has the higher score."""
        known = ~np.isnan(targets[:, 0])
        codes = targets[known, 0]
        if len(np.unique(codes)) < 2:
            return CHANCE
        # the cuts differ by constants, so their mean is the one score
        return float(weighted_concordance(codes, outputs[known].mean(axis=1), np.ones((1, len(codes))))[0])

    def scores(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """Probability of each class, then of each class or a higher one."""
        cuts: npt.NDArray[np.float64] = expit(np.asarray(outputs, dtype=np.float64))
        edges = np.hstack([np.ones((len(cuts), 1)), cuts, np.zeros((len(cuts), 1))])
        return np.hstack([edges[:, :-1] - edges[:, 1:], cuts])
