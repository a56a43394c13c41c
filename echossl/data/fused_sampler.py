"""Batches out of several sources in given shares, a pure function of the seed and the step."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from echossl.config.data import FusionConfig
from echossl.config.video import ClipConfig
from echossl.data.requests import ClipRequest
from echossl.data.samplers import Draw, PairSampler, Positives
from echossl.errors import UserError

# first words of the random streams, so that no two uses share one
COUNTS, ORDER, SOURCE = 6, 7, 8
# shares are counted in whole parts of an item, so that a whole number of items is met at every step
ITEM_PARTS = 2**32


class FusedSampler:
    """Of every source its share of patients in every batch, in random order.

    How many items of a batch come from a source is its share of the batch, rounded down or up so that the
    mean over steps is the share itself. Within a source patients come as :class:`PairSampler` draws them:
    different ones in a batch, in random orders of all. Where a share is no whole number of items, patients
    whose turn falls on a step that is rounded down wait for the next order.

    Args:
        tables: per source ``row``, ``patient_id`` and ``duration_seconds`` of its videos; no row and no
            patient stands in two.
        shares: of the sources in a batch, positive, together 1.
        positives: see :class:`PairSampler`.
        num_clips: clips per patient.
        batch_size: patients per batch, over all sources.
        clip: which frames make a clip.
        seed: seed of all draws.

    Attributes:
        patients: those of each source in turn; a draw names them by their position.

    Raises:
        UserError: if a source has fewer patients than its share of a batch.
    """

    def __init__(
        self,
        tables: Mapping[str, pd.DataFrame],
        shares: np.ndarray,
        *,
        positives: Positives,
        num_clips: int,
        batch_size: int,
        clip: ClipConfig,
        seed: int,
    ) -> None:
        self.clip, self.seed, self.batch_size = clip, seed, batch_size
        widths = _widths(np.asarray(shares), batch_size)
        self._bounds = np.cumsum(widths)
        self._samplers = []
        for number, ((name, table), width) in enumerate(zip(tables.items(), widths.tolist(), strict=True)):
            most = -(-width // ITEM_PARTS)  # rounded up
            _require_patients(name, table, most, batch_size)
            self._samplers.append(
                PairSampler(
                    table,
                    positives=positives,
                    num_clips=num_clips,
                    batch_size=most,
                    clip=clip,
                    seed=_seed_of(seed, number),
                )
            )
        self.patients = [patient for sampler in self._samplers for patient in sampler.patients]
        self._first = np.cumsum([0, *(len(sampler.patients) for sampler in self._samplers)])

    def counts(self, step: int) -> np.ndarray:
        """Items of each source in the batch of a step: (sources,) int64, together ``batch_size``.

        Systematic sampling: evenly spaced points behind one random start, counted between the bounds.
        """
        start = int(np.random.default_rng((COUNTS, self.seed, step)).integers(ITEM_PARTS))
        ends = -((start - self._bounds) // ITEM_PARTS)  # rounded up
        counts: np.ndarray = np.diff(ends, prepend=0)
        return counts

    def draw(self, step: int) -> Draw:
        """``batch_size`` different patients of all sources."""
        items: list[list[ClipRequest]] = []
        patients = []
        for number, count in enumerate(self.counts(step).tolist()):
            own = self._samplers[number].draw(step)
            items += own.items[:count]
            patients.append(own.patients[:count] + self._first[number])
        order = self._order(step)
        return Draw([items[place] for place in order], np.concatenate(patients)[order])

    def replace(
        self, patients: np.ndarray, step: int, item: int, attempt: int
    ) -> tuple[list[ClipRequest], int]:
        """Other clips of the same source; see :meth:`PairSampler.replace`."""
        order, ends = self._order(step), np.cumsum(self.counts(step))
        place = int(order[item])
        number = int(np.searchsorted(ends, place, side="right"))
        first = int(ends[number - 1]) if number else 0
        sorted_patients = np.empty_like(patients)
        sorted_patients[order] = patients
        own = sorted_patients[first : ends[number]] - self._first[number]
        requests, patient = self._samplers[number].replace(own, step, place - first, attempt)
        return requests, patient + int(self._first[number])

    def _order(self, step: int) -> np.ndarray:
        """Where each item stands while the sources follow one another: no process gets one source alone."""
        return np.random.default_rng((ORDER, self.seed, step)).permutation(self.batch_size)


def source_shares(num_patients: np.ndarray, config: FusionConfig) -> np.ndarray:
    """The share of each source in a batch: (sources,), together 1.

    Args:
        num_patients: of each source.
        config: ``sampling`` and ``temperature``; patients to the power of 1 / temperature.
    """
    powers = {"proportional": 1.0, "uniform": 0.0, "temperature": 1.0 / (config.temperature or 1.0)}
    weights = num_patients.astype(float) ** powers[config.sampling]
    return np.asarray(weights / weights.sum())


def _widths(shares: np.ndarray, batch_size: int) -> np.ndarray:
    """The share of each source in a batch, in parts of an item: (sources,) int64, together all parts."""
    widths: np.ndarray = np.round(shares / shares.sum() * batch_size * ITEM_PARTS).astype(np.int64)
    # what rounding leaves goes where it makes no whole number of items a broken one
    fractions = widths % ITEM_PARTS
    widths[np.argmax(np.minimum(fractions, ITEM_PARTS - fractions))] += batch_size * ITEM_PARTS - widths.sum()
    return widths


def _seed_of(seed: int, number: int) -> int:
    """A seed for each source, so that no two draw alike."""
    return int(np.random.SeedSequence((SOURCE, seed, number)).generate_state(1)[0])


def _require_patients(name: str, table: pd.DataFrame, most: int, batch_size: int) -> None:
    found = table["patient_id"].nunique()
    if found < most:
        raise UserError(
            f"fusion: source {name} has {found} patients, its share of a batch of {batch_size} is {most}; "
            "set batch_size lower, or sampling nearer to proportional"
        )
