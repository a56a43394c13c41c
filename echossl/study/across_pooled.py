"""From the finished cells of a study of several sources to figures of each that is learned from or tested."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echossl.config.across import LabelledSource
from echossl.config.evaluation import BootstrapConfig
from echossl.config.study import ArmConfig, StudyConfig
from echossl.errors import EchosslError, UserError
from echossl.evaluation import Difference, Interval
from echossl.evaluation.auc import Floats
from echossl.evaluation.bootstrap import OTHER_SEEDS, SEEDS
from echossl.evaluation.grid import average_cells
from echossl.evaluation.shared_classes import (
    SharedScores,
    penalty_index,
    read_shared_scores,
    resampled_shared_figures,
    shared_figures,
)
from echossl.study.across_run import predictions_name
from echossl.study.cells import Cell, plan_cells
from echossl.study.places import Place, classes_of, shared_classes

Pair = tuple[str, str]


@dataclass(frozen=True)
class PairResult:
    """An arm at one label fraction, learned from some sources and tested on one, over its draws and seeds.

    Attributes:
        arm: the arm.
        fraction: share of the labelled patients of each source that is learned from.
        pretrained: names of the sources of the pre-training, ``+`` between them; empty without one.
        adapted: names of the sources that are learned from.
        tested: name of the source that is tested.
        is_own: whether the tested source is one that is learned from.
        classes: those that both sides assess; the figures are about these alone.
        draws: the label draws that all seeds have finished.
        seeds: the training seeds.
        plain: (draws, seeds, 4) figures of the sample itself, in the order of ``SHARED_FIGURES``.
        samples: (draws, seeds, 4, resamples) under resampled patients.
        num_patients: tested patients with one of the classes.
        num_labelled_patients: of a cell, validation included.
    """

    arm: ArmConfig
    fraction: float
    pretrained: str
    adapted: str
    tested: str
    is_own: bool
    classes: tuple[str, ...]
    draws: tuple[int, ...]
    seeds: tuple[int, ...]
    plain: Floats
    samples: Floats
    num_patients: int
    num_labelled_patients: int

    @property
    def pair(self) -> Pair:
        """What it is learned from and tested on."""
        return self.adapted, self.tested


def collect_pairs(config: StudyConfig) -> list[PairResult]:
    """Read the finished cells of every arm and fraction; an arm stands on the draws that are whole.

    Raises:
        EchosslError: if there is nothing to pool yet.
        UserError: if tables of the same test source differ in studies or labels.
    """
    classes = classes_of(config)
    results = []
    for arm in config.arms:
        for fraction in config.fractions:
            cells = _whole_draws(
                [one for one in plan_cells(config) if (one.arm.name, one.fraction) == (arm.name, fraction)]
            )
            for place in dict.fromkeys(cell.place for cell in cells if cell.place):
                own = [cell for cell in cells if cell.place == place]
                results += [_pair(config, own, place, source, classes) for source in place.tested]
    if not results:
        raise EchosslError(f"{config.out}: no cell is finished; there is nothing to sum up yet")
    _refuse_other_studies(results)
    return [result for result, _ in results]


def mean_interval(results: Sequence[PairResult], figure: int, config: BootstrapConfig) -> Interval:
    """Mean over pairs, draws and seeds of one figure; all three and the patients are resampled but the pairs.

    Args:
        results: of one arm and fraction, with the same draws and seeds.
        figure: its place in ``SHARED_FIGURES``.
        config: confidence and seed.
    """
    plain, samples = _mean(results, figure, config, SEEDS)
    return Interval.of(plain, samples, config.confidence)


def mean_difference(
    first: Sequence[PairResult], other: Sequence[PairResult], figure: int, config: BootstrapConfig
) -> Difference | None:
    """Mean of one arm minus that of another over their common pairs and draws; None without any.

    Patients and label draws are paired, seeds are not: seed 1 of one arm has nothing to do with another's.
    """
    pairs = {one.pair for one in first} & {one.pair for one in other}
    draws = {draw for one in first for draw in one.draws} & {draw for one in other for draw in one.draws}
    if not pairs or not draws:
        return None
    plain_a, samples_a = _mean([_of(one, draws) for one in first if one.pair in pairs], figure, config, SEEDS)
    plain_b, samples_b = _mean(
        [_of(one, draws) for one in other if one.pair in pairs], figure, config, OTHER_SEEDS
    )
    return Difference.of(plain_a - plain_b, samples_a - samples_b, config.confidence)


def penalty_interval(results: Sequence[PairResult], figure: int, config: BootstrapConfig) -> Interval:
    """Penalty index over the tested sources of what was learned from one, mean over draws and seeds.

    Args:
        results: one for each tested source.
        figure: its place in ``SHARED_FIGURES``.
        config: confidence and seed.
    """
    plain = penalty_index(np.stack([one.plain[:, :, figure] for one in results]))
    samples = penalty_index(np.stack([one.samples[:, :, figure] for one in results]))
    return Interval.of(float(plain.mean()), average_cells(samples, config, SEEDS), config.confidence)


def _mean(
    results: Sequence[PairResult], figure: int, config: BootstrapConfig, stream: int
) -> tuple[float, Floats]:
    plain = np.mean([one.plain[:, :, figure] for one in results])
    samples: Floats = np.mean([one.samples[:, :, figure] for one in results], axis=0)
    return float(plain), average_cells(samples, config, stream)


def _of(result: PairResult, draws: set[int]) -> PairResult:
    """The same of some draws alone."""
    kept = [place for place, draw in enumerate(result.draws) if draw in draws]
    values = vars(result) | {
        "draws": tuple(result.draws[place] for place in kept),
        "plain": result.plain[kept],
        "samples": result.samples[kept],
    }
    return PairResult(**values)


def _whole_draws(cells: Sequence[Cell]) -> list[Cell]:
    """The finished cells of the draws that every seed has finished at every place."""
    open_draws = {cell.draw for cell in cells if not cell.is_finished}
    return [cell for cell in cells if cell.draw not in open_draws]


def _pair(
    config: StudyConfig,
    cells: Sequence[Cell],
    place: Place,
    source: LabelledSource,
    classes: tuple[str, ...],
) -> tuple[PairResult, SharedScores]:
    """The result of the cells of a place on one of its tested sources, with the studies it stands on."""
    draws = tuple(sorted({cell.draw for cell in cells}))
    seeds = tuple(sorted({cell.seed for cell in cells}))
    ordered = sorted(cells, key=lambda cell: (cell.draw, cell.seed))
    shared = shared_classes(classes, place.adapted, source)
    tables = [
        read_shared_scores(cell.config.out / predictions_name(source.name), config.column, shared)
        for cell in ordered
    ]
    for table in tables[1:]:
        _refuse_other(tables[0], table)
    once, stream = np.ones((1, tables[0].codes.size)), config.sources.index(source)
    plain = [shared_figures(one.codes, one.probabilities)(once)[:, 0] for one in tables]
    samples = [resampled_shared_figures(one, config.bootstrap, stream=stream) for one in tables]
    budget = json.loads((ordered[0].config.out / "result.json").read_text(encoding="utf-8"))
    result = PairResult(
        arm=cells[0].arm,
        fraction=cells[0].fraction,
        pretrained=place.pretrained_name,
        adapted="+".join(one.name for one in place.adapted),
        tested=source.name,
        is_own=source in place.adapted,
        classes=shared,
        draws=draws,
        seeds=seeds,
        plain=np.reshape(plain, (len(draws), len(seeds), -1)),
        samples=np.reshape(samples, (len(draws), len(seeds), *samples[0].shape)),
        num_patients=len(np.unique(tables[0].patients)),
        num_labelled_patients=int(budget["num_labelled_patients"]),
    )
    return result, tables[0]


def _refuse_other_studies(results: Sequence[tuple[PairResult, SharedScores]]) -> None:
    """Raise UserError if two arms were tested on different studies of the same pair of sources."""
    first: dict[Pair, SharedScores] = {}
    for result, scores in results:
        _refuse_other(first.setdefault(result.pair, scores), scores)


def _refuse_other(one: SharedScores, other: SharedScores) -> None:
    if not (np.array_equal(one.studies, other.studies) and np.array_equal(one.codes, other.codes)):
        raise UserError(
            f"{other.source}: other studies or labels than in {one.source}; predict both from one manifest"
        )
