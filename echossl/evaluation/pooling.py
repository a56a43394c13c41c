"""One figure for an arm that was run with several label draws and seeds, tested on the same patients.

A run is a cell of a grid of draws and seeds; the arm's figure is the mean over the cells. Its uncertainty has
three sources that are crossed, not nested: which patients are tested, which labels were drawn, which seeds
were used. Every resample draws all three with replacement, independently, and averages the cells of the
resampled grid under the resampled patients (the pigeonhole bootstrap: Owen, 2007, doi 10.1214/07-AOAS122).

Two limits. With one draw or one seed that source adds nothing to the interval, which then speaks of this draw
or this seed only. With few it adds too little: the variance between 3 draws is understated by a third.
"""

from collections.abc import Mapping, Sequence

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import METRICS, RocCurve, mean_roc_curve, roc_curve
from echossl.evaluation.bootstrap import OTHER_SEEDS, SEEDS, Difference, Interval
from echossl.evaluation.grid import Cell, Grid, refuse_unpaired
from echossl.evaluation.results import ResultRow


def pool(cells: Sequence[Cell], config: BootstrapConfig) -> dict[str, Interval]:
    """AUROC and AUPRC of one arm at one label fraction, over its draws and seeds.

    Args:
        cells: every draw with every seed, on the same studies.
        config: resamples, confidence, seed; the same seed resamples the same patients for every arm.

    Returns:
        The interval of each metric, by its name.

    Raises:
        UserError: if the grid has a hole or a cell twice, if the cells differ in studies or labels, hold
            several splits, or lack a class.
    """
    grid = Grid.of(cells)
    intervals = {}
    for name, metric in METRICS.items():
        samples = grid.average(grid.resampled(metric, config), config, SEEDS)
        intervals[name] = Interval.of(grid.plain(metric), samples, config.confidence)
    return intervals


def pool_difference(
    cells_a: Sequence[Cell], cells_b: Sequence[Cell], config: BootstrapConfig
) -> dict[str, Difference]:
    """AUROC and AUPRC of arm A minus those of arm B, paired by patient and by label draw.

    Both arms meet the same resampled patients and the same resampled draws. Seeds are resampled for each arm
    on its own even where the numbers agree: seed 1 of one arm has nothing to do with seed 1 of the other.

    Args:
        cells_a: the first arm, every draw with every seed.
        cells_b: the second arm, with the same draws and the same studies.
        config: resamples, confidence, seed.

    Raises:
        UserError: as :func:`pool`; and if the arms differ in draws, studies or labels.
    """
    grid_a, grid_b = Grid.of(cells_a), Grid.of(cells_b)
    refuse_unpaired(grid_a, grid_b)
    differences = {}
    for name, metric in METRICS.items():
        samples_a = grid_a.average(grid_a.resampled(metric, config), config, SEEDS)
        samples_b = grid_b.average(grid_b.resampled(metric, config), config, OTHER_SEEDS)
        value = grid_a.plain(metric) - grid_b.plain(metric)
        differences[name] = Difference.of(value, samples_a - samples_b, config.confidence)
    return differences


def pooled_rows(
    arm: str,
    fraction: float,
    cells: Sequence[Cell],
    intervals: Mapping[str, Interval],
    *,
    num_labelled_patients: int | None = None,
) -> list[ResultRow]:
    """What :func:`pool` found for these cells, and the prevalence, as rows of ``results.csv``."""
    blank = _row(arm, fraction, cells, num_labelled_patients)
    rows = [blank.with_interval(name, interval) for name, interval in intervals.items()]
    return [*rows, blank]


def difference_rows(
    arms: tuple[str, str],
    fraction: float,
    cells: Sequence[Cell],
    differences: Mapping[str, Difference],
    *,
    num_labelled_patients: int | None = None,
) -> list[ResultRow]:
    """What :func:`pool_difference` found, as rows of ``results.csv``; their arm is ``A - B``."""
    blank = _row(" - ".join(arms), fraction, cells, num_labelled_patients)
    found = differences.items()
    return [row for name, difference in found for row in blank.with_difference(name, difference)]


def pooled_roc(cells: Sequence[Cell]) -> RocCurve:
    """Mean sensitivity over the cells at each specificity, for drawing."""
    return mean_roc_curve([roc_curve(cell.predictions.labels, cell.predictions.scores) for cell in cells])


def _row(arm: str, fraction: float, cells: Sequence[Cell], num_labelled_patients: int | None) -> ResultRow:
    predictions = cells[0].predictions
    return ResultRow(
        split=str(predictions.splits[0]),
        metric="prevalence",
        value=predictions.prevalence,
        num_patients=predictions.num_patients,
        num_positive=predictions.num_positive,
        arm=arm,
        fraction=fraction,
        draw="all",
        seed="all",
        num_labelled_patients=num_labelled_patients,
    )
