"""The runs of one arm as a grid of draws and seeds on one list of studies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.auc import Floats, Metric
from echossl.evaluation.bootstrap import DRAWS, resampled_metric
from echossl.evaluation.study import Predictions


@dataclass(frozen=True)
class Cell:
    """One run of an arm.

    Attributes:
        draw: which draw of the labelled patients it was given; the same number is the same draw in every arm.
        seed: its training seed; a seed means nothing outside its arm.
        predictions: of one split.
    """

    draw: int
    seed: int
    predictions: Predictions


@dataclass(frozen=True)
class Grid:
    """The scores of one arm.

    Attributes:
        draws: the label draws, rising.
        seeds: the training seeds, rising.
        first: the first cell's predictions, by patient and study.
        scores: of every cell, draw by draw, in that order of studies, (draws * seeds, n).
    """

    draws: tuple[int, ...]
    seeds: tuple[int, ...]
    first: Predictions
    scores: Floats

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> "Grid":
        """Sort the cells into a grid.

        Raises:
            UserError: if the grid has a hole or a cell twice, if the cells differ in studies or labels, hold
                several splits, or lack a class.
        """
        if not cells:
            raise UserError("no runs to pool; give at least one prediction table")
        draws = tuple(sorted({cell.draw for cell in cells}))
        seeds = tuple(sorted({cell.seed for cell in cells}))
        _refuse_incomplete(cells, draws, seeds)
        ordered = sorted(cells, key=lambda cell: (cell.draw, cell.seed))
        tables = [_by_study(cell.predictions) for cell in ordered]
        for table in tables[1:]:
            _refuse_other_studies(tables[0], table)
        return cls(draws, seeds, tables[0], np.stack([table.scores for table in tables]))

    def resampled(self, metric: Metric, config: BootstrapConfig) -> Floats:
        """The metric of every cell under the same resampled patients, (draws * seeds, resamples)."""
        return resampled_metric(self.first.labels, self.scores, self.first.patients, metric, config)

    def average(self, figures: Floats, config: BootstrapConfig, seed_stream: int) -> Floats:
        """Mean over the resampled draws and seeds, (draws * seeds, resamples) to (resamples,)."""
        by_cell = figures.reshape(len(self.draws), len(self.seeds), config.resamples)
        return average_cells(by_cell, config, seed_stream)

    def plain(self, metric: Metric) -> float:
        """Mean over the cells of the metric of the sample itself."""
        once = np.ones((1, self.first.labels.size))
        return float(np.mean([metric(self.first.labels, scores, once) for scores in self.scores]))


def average_cells(figures: Floats, config: BootstrapConfig, seed_stream: int) -> Floats:
    """Mean over the resampled draws and seeds, (draws, seeds, resamples) to (resamples,)."""
    num_draws, num_seeds, _ = figures.shape
    draw_shares = _shares(num_draws, config, DRAWS)
    seed_shares = _shares(num_seeds, config, seed_stream)
    mean: Floats = np.einsum("rd,dsr,rs->r", draw_shares, figures, seed_shares)
    return mean


def _shares(num_items: int, config: BootstrapConfig, stream: int) -> Floats:
    """Share of each item in resamples of ``num_items`` of them, (resamples, num_items); rows sum to 1."""
    generator = np.random.default_rng([config.seed, stream])
    drawn = generator.integers(num_items, size=(config.resamples, num_items, 1))
    shares: Floats = (drawn == np.arange(num_items)).mean(axis=1)
    return shares


def _by_study(predictions: Predictions) -> Predictions:
    splits = sorted(set(predictions.splits.tolist()))
    if len(splits) > 1:
        raise UserError(
            f"{predictions.source}: holds the splits {', '.join(splits)}, expected one; "
            "pool the test split only"
        )
    predictions.require_both_classes()
    return predictions.take(np.lexsort((predictions.studies, predictions.patients)))


def _refuse_incomplete(cells: Sequence[Cell], draws: tuple[int, ...], seeds: tuple[int, ...]) -> None:
    found = [(cell.draw, cell.seed) for cell in cells]
    for draw in draws:
        for seed in seeds:
            count = found.count((draw, seed))
            if count != 1:
                where = f"draw {draw} with seed {seed}"
                raise UserError(
                    f"{where}: found {count} runs, expected 1; pool every draw with every seed, "
                    f"here draws {_join(draws)} and seeds {_join(seeds)}"
                )


def refuse_unpaired(grid_a: Grid, grid_b: Grid) -> None:
    """Raise UserError if two arms differ in label draws, studies or labels."""
    _refuse_other_studies(grid_a.first, grid_b.first)
    if grid_a.draws != grid_b.draws:
        raise UserError(
            f"{grid_b.first.source}: draws {_join(grid_b.draws)}, but draws {_join(grid_a.draws)} in "
            f"{grid_a.first.source}; a paired comparison needs the same label draws in both arms"
        )


def _refuse_other_studies(one: Predictions, other: Predictions) -> None:
    """Both in order of patient and study."""
    studies_of_one, studies_of_other = _study_names(one), _study_names(other)
    different = sorted(set(studies_of_one) ^ set(studies_of_other))
    if different:
        patient, study = different[0]
        has, lacks = (one, other) if different[0] in studies_of_one else (other, one)
        raise UserError(
            f"{lacks.source}: lacks study {study!r} of patient {patient!r} that is in {has.source} (of "
            f"{len(different)} such studies); evaluate both on the same patients"
        )
    wrong = np.flatnonzero(one.labels != other.labels)
    if wrong.size:
        patient, study = studies_of_one[wrong[0]]
        raise UserError(
            f"{other.source}: {other.column} of study {study!r} of patient {patient!r} is not that of "
            f"{one.source} (of {wrong.size} such studies); predict both from the same manifest"
        )


def _study_names(predictions: Predictions) -> list[tuple[str, str]]:
    return list(zip(predictions.patients.tolist(), predictions.studies.tolist(), strict=True))


def _join(numbers: tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in numbers)
