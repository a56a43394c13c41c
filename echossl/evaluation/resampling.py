"""Patients drawn with replacement for figures of any kind, also several figures at once.

A figure is a function of the weight of each row, so that a redraw, a redraw of a redraw and leaving a patient
out are all the same call with other weights. The functions here carry those weights from patients to rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import Floats, Metric
from echossl.evaluation.bootstrap import ENTRIES_PER_CHUNK, PATIENTS, drawn_counts

Counts = npt.NDArray[np.int64]
# weights (resamples, n) -> figures (figures, resamples), NaN where a figure is undefined
Figures = Callable[[npt.NDArray[np.generic]], Floats]


@dataclass(frozen=True)
class Clusters:
    """Which patient each row belongs to, and which patients may stand in for one another.

    Attributes:
        codes: number of each row's patient, (n,).
        strata: number of each patient's stratum, (patients,); all alike where draws are not stratified.
    """

    codes: npt.NDArray[np.intp]
    strata: npt.NDArray[np.intp]

    @classmethod
    def of(cls, patients: npt.ArrayLike, strata: npt.ArrayLike | None = None) -> "Clusters":
        """Number the patients.

        Args:
            patients: the patient of each row, any kind of name, (n,).
            strata: a value per row, (n,); a patient belongs to the largest of its rows, so with labels
                the patients with a positive study are drawn apart from those without. Every redraw then
                holds as many of each, and none lacks a class; the interval no longer says how the share
                of positives varies. None draws all patients alike.
        """
        names, codes = np.unique(np.asarray(patients), return_inverse=True)
        of_patient = np.zeros(names.size, dtype=np.intp)
        if strata is not None:
            np.maximum.at(of_patient, codes, np.unique(np.asarray(strata), return_inverse=True)[1])
        return cls(codes, of_patient)

    @property
    def num_patients(self) -> int:
        """Number of different patients."""
        return self.strata.size

    def draws(self, config: BootstrapConfig) -> Iterator[Counts]:
        """How often each patient is drawn, in chunks (rows, patients) that add up to all resamples."""
        generator = np.random.default_rng([config.seed, PATIENTS])
        members = [np.flatnonzero(self.strata == stratum) for stratum in np.unique(self.strata)]
        most_rows = max(1, ENTRIES_PER_CHUNK // self.num_patients)
        for first in range(0, config.resamples, most_rows):
            counts = np.zeros((min(most_rows, config.resamples - first), self.num_patients), dtype=np.int64)
            for places in members:
                counts[:, places] = drawn_counts(generator, len(counts), places.size)
            yield counts

    def redraws(self, counts: Counts, times: int, generator: np.random.Generator) -> Counts:
        """Draw again from each draw, stratum by stratum, (rows, patients) to (rows * times, patients)."""
        again = np.zeros((len(counts) * times, self.num_patients), dtype=np.int64)
        for stratum in np.unique(self.strata):
            places = np.flatnonzero(self.strata == stratum)
            again[:, places] = _redrawn(counts[:, places], times, generator)
        return again

    def rows(self, counts: Counts) -> Counts:
        """Weights of patients to those of rows, (rows, patients) to (rows, n)."""
        return np.take(counts, self.codes, axis=1)


def _redrawn(counts: Counts, times: int, generator: np.random.Generator) -> Counts:
    rows, size = counts.shape
    # who stands at each place of a draw
    drawn = np.repeat(np.tile(np.arange(size), rows), counts.ravel()).reshape(rows, 1, size)
    picked = np.take_along_axis(drawn, generator.integers(size, size=(rows, times, size)), axis=2)
    picked = picked.reshape(rows * times, size) + np.arange(rows * times)[:, None] * size
    return np.bincount(picked.ravel(), minlength=picked.size).reshape(picked.shape)


def resampled(figures: Figures, clusters: Clusters, config: BootstrapConfig) -> Floats:
    """Figures of every redraw of the patients, (figures, resamples)."""
    return np.concatenate([figures(clusters.rows(counts)) for counts in clusters.draws(config)], axis=1)


def without_each_patient(figures: Figures, clusters: Clusters) -> Floats:
    """Figures with one patient left out at a time (the jackknife), (figures, patients)."""
    num_patients = clusters.num_patients
    rows = max(1, ENTRIES_PER_CHUNK // num_patients)
    parts = []
    for first in range(0, num_patients, rows):
        left_out = np.arange(first, min(first + rows, num_patients))
        counts = np.ones((left_out.size, num_patients), dtype=np.int64)
        counts[np.arange(left_out.size), left_out] = 0
        parts.append(figures(clusters.rows(counts)))
    return np.concatenate(parts, axis=1)


def of_sample(figures: Figures, clusters: Clusters) -> Floats:
    """Figures of the sample itself, (figures,)."""
    plain: Floats = figures(np.ones((1, clusters.codes.size)))[:, 0]
    return plain


def figure_of(metric: Metric, labels: npt.ArrayLike, scores: npt.ArrayLike) -> Figures:
    """One figure from a metric and its rows."""
    return lambda weights: metric(labels, scores, weights)[None]


def difference_of(
    metric: Metric, labels: npt.ArrayLike, scores_a: npt.ArrayLike, scores_b: npt.ArrayLike
) -> Figures:
    """One figure: the metric of the first score minus that of the second, under the same weights."""
    return lambda weights: (metric(labels, scores_a, weights) - metric(labels, scores_b, weights))[None]
