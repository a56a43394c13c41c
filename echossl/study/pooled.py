"""From the finished cells of a study to pooled figures and paired differences."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from echossl.adapt.finetune import PREDICTIONS_NAME
from echossl.config.study import ArmConfig, StudyConfig
from echossl.errors import EchosslError
from echossl.evaluation import Cell, Difference, Interval, pool, pool_difference, read_predictions
from echossl.study.cells import Cell as PlannedCell
from echossl.study.cells import plan_cells


@dataclass(frozen=True)
class ArmResult:
    """One arm at one label fraction, over its draws and seeds.

    Attributes:
        arm: the arm.
        fraction: share of the labelled training patients.
        cells: the predictions of every draw and seed.
        budgets: what each cell's ``result.json`` says of its labels.
        intervals: pooled figure of each metric.
        against: paired difference of the default arm minus this one; empty for the default itself.
    """

    arm: ArmConfig
    fraction: float
    cells: list[Cell]
    budgets: list[dict[str, Any]]
    intervals: dict[str, Interval]
    against: dict[str, Difference]

    @property
    def num_labelled_patients(self) -> int:
        """Labelled patients of a cell, validation included; the same in every draw."""
        return int(self.budgets[0]["num_labelled_patients"])


def collect(config: StudyConfig) -> list[ArmResult]:
    """Read the predictions of every finished cell and pool them, fraction by fraction, default arm first.

    Where cells are missing, an arm stands on the draws that all of its seeds have finished, and a difference
    on the draws of both arms. An arm without any such draw is left out.

    Raises:
        EchosslError: if there is nothing to pool yet.
    """
    results = []
    for fraction in config.fractions:
        default: list[Cell] = []
        for arm in config.arms:
            cells, budgets = _read_cells(config, arm, fraction)
            if not cells:
                continue
            is_default = arm.name == config.arms[0].name
            default = cells if is_default else default
            against = {} if is_default else _against(default, cells, config)
            intervals = pool(cells, config.bootstrap)
            results.append(ArmResult(arm, fraction, cells, budgets, intervals, against))
    if not results:
        raise EchosslError(f"{config.out}: no cell is finished; there is nothing to sum up yet")
    return results


def _against(default: list[Cell], cells: list[Cell], config: StudyConfig) -> dict[str, Difference]:
    """Default arm minus another on the draws of both; empty if they share none."""
    draws = {cell.draw for cell in default} & {cell.draw for cell in cells}
    if not draws:
        return {}
    first, second = ([cell for cell in some if cell.draw in draws] for some in (default, cells))
    return pool_difference(first, second, config.bootstrap)


def _read_cells(
    config: StudyConfig, arm: ArmConfig, fraction: float
) -> tuple[list[Cell], list[dict[str, Any]]]:
    cells, budgets = [], []
    for cell in whole_draws(
        [one for one in plan_cells(config) if (one.arm.name, one.fraction) == (arm.name, fraction)]
    ):
        predictions = read_predictions(cell.config.out / PREDICTIONS_NAME, config.evaluated)
        cells.append(Cell(cell.draw, cell.seed, predictions))
        budgets.append(json.loads((cell.config.out / "result.json").read_text(encoding="utf-8")))
    return cells, budgets


def whole_draws(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """The finished cells of the draws that every seed has finished; seeds without any are left out."""
    finished = [cell for cell in cells if cell.is_finished]
    seeds = {cell.seed for cell in finished}
    of_draw = Counter(cell.draw for cell in finished)
    return [cell for cell in finished if of_draw[cell.draw] == len(seeds)]
