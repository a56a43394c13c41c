"""Labels saved: the share of labels at which another arm reaches what the first does with the fewest.

The curve of an arm is its pooled AUROC at each label fraction, straight between them over the logarithm of
the fraction. Its crossing is found anew in every resample of test patients, label draws and seeds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.auc import METRICS, Floats
from echossl.evaluation.bootstrap import OTHER_SEEDS, SEEDS
from echossl.evaluation.grid import Grid
from echossl.study.pooled import ArmResult

METRIC = "auroc"


@dataclass(frozen=True)
class LabelsSaved:
    """Where an arm's curve reaches the first arm's figure at the smallest fraction.

    Attributes:
        arm: title of the arm.
        default: title of the first arm.
        target: the first arm's AUROC at the smallest fraction.
        fractions: smallest and largest fraction of the curve.
        value: share of the training patients; the smallest fraction if it is reached there already, and
            infinity if it is not reached at all.
        low: lower end of its interval, with the same two limits.
        high: upper end of its interval.
    """

    arm: str
    default: str
    target: float
    fractions: tuple[float, float]
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """One sentence for a person."""
        smallest = percent(self.fractions[0])
        text = (
            f"{self.arm} reaches the AUROC {self.target:.3f} that {self.default} has at {smallest} of the "
            f"labels: {self._word(self.value)} (interval: {self._word(self.low)} to {self._word(self.high)})"
        )
        times = self.value / self.fractions[0]
        return f"{text}, {times:.3g} times as many." if 1 < times < math.inf else f"{text}."

    def _word(self, fraction: float) -> str:
        if math.isinf(fraction):
            return f"not reached at {percent(self.fractions[1])}"
        if fraction <= self.fractions[0]:
            return f"at {percent(fraction)} or fewer"
        return f"at {percent(fraction)}"


def labels_saved(results: Sequence[ArmResult], config: BootstrapConfig) -> list[LabelsSaved]:
    """One entry for every arm but the first that has a figure at two fractions or more.

    Args:
        results: what was pooled, by arm and fraction; the first arm is that of the first result.
        config: resamples, confidence, seed.
    """
    if not results:
        return []
    names = list(dict.fromkeys(result.arm.name for result in results))
    first = min((one for one in results if one.arm.name == names[0]), key=lambda one: one.fraction)
    targets = _resampled(first, config, SEEDS)
    found = []
    for name in names[1:]:
        line = sorted((one for one in results if one.arm.name == name), key=lambda one: one.fraction)
        if len(line) > 1 and line[0].fraction == first.fraction:
            found.append(_saved(first, line, targets, config))
    return found


def crossings(fractions: npt.ArrayLike, curves: Floats, targets: Floats) -> Floats:
    """The smallest fraction at which each curve reaches its target.

    Args:
        fractions: rising, above 0, (fractions,).
        curves: one per row, (curves, fractions).
        targets: one per curve, (curves,).

    Returns:
        (curves,); the first fraction where the curve is there already, infinity where it never is, NaN where
        the curve or its target is.
    """
    places, rows = np.log(np.asarray(fractions, dtype=np.float64)), np.arange(len(curves))
    reached = curves >= targets[:, None]
    after = reached.argmax(axis=1)
    before = np.maximum(after - 1, 0)
    rise = curves[rows, after] - curves[rows, before]
    share = np.divide(targets - curves[rows, before], rise, out=np.zeros_like(targets), where=after > 0)
    found = np.exp(places[before] + share * (places[after] - places[before]))
    found = np.where(reached.any(axis=1), found, np.inf)
    return np.where(np.isnan(curves).any(axis=1) | np.isnan(targets), np.nan, found)


def percent(fraction: float) -> str:
    """A share as a person reads it."""
    return f"{100 * fraction:.3g} %"


def _saved(
    first: ArmResult, line: Sequence[ArmResult], targets: Floats, config: BootstrapConfig
) -> LabelsSaved:
    fractions = [one.fraction for one in line]
    plain = np.array([[one.intervals[METRIC].value for one in line]])
    target = first.intervals[METRIC].value
    curves = np.stack([_resampled(one, config, OTHER_SEEDS) for one in line], axis=1)
    samples = crossings(fractions, curves, targets)
    ends = [(1 - config.confidence) / 2, (1 + config.confidence) / 2]
    # a crossing may be infinite, and nothing lies between a number and infinity
    low, high = np.quantile(samples[~np.isnan(samples)], ends, method="inverted_cdf")
    return LabelsSaved(
        arm=line[0].arm.title,
        default=first.arm.title,
        target=target,
        fractions=(fractions[0], fractions[-1]),
        value=float(crossings(fractions, plain, np.array([target]))[0]),
        low=float(low),
        high=float(high),
    )


def _resampled(result: ArmResult, config: BootstrapConfig, seed_stream: int) -> Floats:
    """The pooled figure in every resample, as the intervals and differences meet it, (resamples,)."""
    grid = Grid.of(result.cells)
    return grid.average(grid.resampled(METRICS[METRIC], config), config, seed_stream)
