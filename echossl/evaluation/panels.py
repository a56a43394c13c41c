"""The runs of one arm on the same rows, and its figure with all its resamples, so that figures can be joined.

:mod:`echossl.evaluation.pooling` says how draws, seeds and patients are resampled. Here the resamples
are kept: a figure can then be taken off another, paired, and averaged with those of other data sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.auc import Floats, Metric
from echossl.evaluation.bootstrap import OTHER_SEEDS, SEEDS, Difference, Interval, resampled_metric
from echossl.evaluation.grid import average_cells

Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Panel:
    """Scores of every label draw and seed of one arm, all of the same rows.

    Attributes:
        source: where they come from, for messages.
        patients: patient of each row, (n,).
        units: name of each row, of a study or a video, (n,).
        truth: 0 or 1, or any number, (n,).
        draws: numbers of the label draws.
        seeds: numbers of the seeds.
        scores: (draws, seeds, n).
        num_labelled_patients: patients whose labels were used in a run.
    """

    source: str
    patients: Texts
    units: Texts
    truth: Floats
    draws: tuple[int, ...]
    seeds: tuple[int, ...]
    scores: Floats
    num_labelled_patients: int

    @property
    def num_patients(self) -> int:
        """Number of different patients."""
        return np.unique(self.patients).size

    @property
    def num_positive(self) -> int:
        """Number of patients with a row whose truth is 1."""
        return np.unique(self.patients[self.truth == 1]).size

    def cells(self, metric: Metric) -> Floats:
        """The figure of each run, (draws, seeds)."""
        once = np.ones((1, self.truth.size))
        flat = [metric(self.truth, scores, once)[0] for scores in self.scores.reshape(-1, self.truth.size)]
        return np.array(flat).reshape(self.scores.shape[:2])


@dataclass(frozen=True)
class Resampled:
    """A figure and what it is in each resample.

    Attributes:
        value: the mean over the runs.
        samples: (resamples,); NaN where it is undefined.
        as_rival: the same with seeds resampled on their own, for where it is taken off another figure: equal
            numbers of seeds mean nothing across arms.
        confidence: coverage of the intervals.
    """

    value: float
    samples: Floats
    as_rival: Floats
    confidence: float

    @classmethod
    def of(cls, panel: Panel, metric: Metric, config: BootstrapConfig) -> "Resampled":
        """Resample patients, draws and seeds; equal ``config`` and rows give the same patients and draws."""
        num_draws, num_seeds, _ = panel.scores.shape
        flat = panel.scores.reshape(num_draws * num_seeds, -1)
        figures = resampled_metric(panel.truth, flat, panel.patients, metric, config)
        by_cell = figures.reshape(num_draws, num_seeds, config.resamples)
        means = [average_cells(by_cell, config, stream) for stream in (SEEDS, OTHER_SEEDS)]
        return cls(float(panel.cells(metric).mean()), means[0], means[1], config.confidence)

    @classmethod
    def mean(cls, parts: Sequence["Resampled"]) -> "Resampled":
        """Mean over data sets that were resampled independently of each other.

        Each data set weighs the same, however many patients it has, and the data sets themselves are not
        resampled: the interval speaks of new patients, draws and seeds in these data sets.
        """
        return cls(
            float(np.mean([part.value for part in parts])),
            np.mean([part.samples for part in parts], axis=0),
            np.mean([part.as_rival for part in parts], axis=0),
            parts[0].confidence,
        )

    @property
    def interval(self) -> Interval:
        """The figure with its percentile interval."""
        return Interval.of(self.value, self.samples, self.confidence)

    def minus(self, other: "Resampled") -> Difference:
        """Paired difference; both must come from the same rows, draws and ``config``."""
        return Difference.of(self.value - other.value, self.samples - other.as_rival, self.confidence)


def refuse_unpaired_panels(one: Panel, other: Panel) -> None:
    """Raise UserError if two arms differ in rows, truth or label draws."""
    same_rows = np.array_equal(one.units, other.units) and np.array_equal(one.patients, other.patients)
    if not same_rows or not np.array_equal(one.truth, other.truth):
        raise UserError(
            f"{other.source}: other studies, videos or labels than in {one.source}; "
            "a paired comparison needs the same in both arms"
        )
    if one.draws != other.draws:
        found = [", ".join(map(str, panel.draws)) for panel in (other, one)]
        raise UserError(
            f"{other.source}: draws {found[0]}, but draws {found[1]} in {one.source}; a paired comparison "
            "needs the same label draws in both arms"
        )
