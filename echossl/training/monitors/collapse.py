"""Collapse: all videos get nearly the same vector, which is said in words."""

import logging
from collections.abc import Iterator

import pandas as pd

from echossl.config.monitors import MonitorConfig
from echossl.training.monitors.base import Embeddings, Monitor, unit
from echossl.training.monitors.rank import effective_rank
from echossl.training.monitors.spread import embedding_std

LEAST_STD = 0.01
LEAST_RANK = 2.0
FEWEST_PATIENTS = 8  # fewer have a small rank, however good their vectors are
logger = logging.getLogger(__name__)


class Collapse(Monitor):
    """Says so when the patients' mean vectors are nearly one point, or nearly on one line.

    That is: a standard deviation below 0.01 of that of random directions, or, of eight patients or more, an
    effective rank below 2 with the mean taken off. Untrained networks have 0.02 to 0.6 and 12 to 22, since
    after a rectifier all vectors point much the same way; trained ones 0.3 and 15 to 25.

    Looks are in evaluation mode, where batch norms use their running statistics, which follow the training
    slowly: a network that collapses with the statistics of its batches is told of some steps late.
    """

    def __init__(self, config: MonitorConfig, videos: pd.DataFrame) -> None:
        super().__init__(config, videos)
        self._is_said = False

    def run(self, embeddings: Embeddings) -> Iterator[tuple[str, float]]:
        """Yield ``collapsed``, 0 or 1; a warning goes out the first time."""
        patients = embeddings.of_split(self.config.split).patients()
        std, rank = embedding_std(unit(patients)), effective_rank(patients - patients.mean(axis=0))
        is_flat = rank < LEAST_RANK and len(patients) >= FEWEST_PATIENTS
        is_collapsed = std < LEAST_STD or is_flat
        if is_collapsed and not self._is_said:
            logger.warning(
                "the embeddings have collapsed: their standard deviation is %.4f of that of random "
                "directions (expected %s or more), their effective rank %.1f (expected %s or more); the "
                "objective may be solved without looking at the videos, or the learning rate be too high",
                std,
                LEAST_STD,
                rank,
                LEAST_RANK,
            )
            self._is_said = True
        yield "collapsed", float(is_collapsed)
