"""What a probe or a sweep has left in its folder, read back as panels of scores."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from echossl.errors import UserError
from echossl.evaluation.auc import Metric, weighted_auroc
from echossl.evaluation.grid import Cell, Grid
from echossl.evaluation.panels import Panel
from echossl.evaluation.regression import weighted_r2
from echossl.evaluation.study import read_predictions

LABELLED_NAME = "labelled.csv"
AUROC, R2 = "auroc", "r2_"
RUN = re.compile(r"fraction(?P<fraction>[^-]+(?:e-\d+)?)-draw(?P<draw>\d+)(?:-seed(?P<seed>\d+))?")
SCORES_FILE = re.compile(r"(?P<arm>[a-z0-9_]+)-seed(?P<seed>\d+)\.csv")


@dataclass(frozen=True)
class Question:
    """What all arms are asked alike.

    Attributes:
        split: the split that is scored.
        metric: ``auroc`` (``auroc_COLUMN`` where there are several label columns) or ``r2_TARGET``.
        fraction: share of the labelled training patients.
    """

    split: str
    metric: str
    fraction: float

    @property
    def is_r2(self) -> bool:
        """Whether a number is predicted and not a label."""
        return self.metric.startswith(R2)

    @property
    def function(self) -> Metric:
        """How answers are scored."""
        return weighted_r2 if self.is_r2 else weighted_auroc


# for each question the panel of each arm, the first arm first
Panels = dict[Question, dict[str, Panel]]


def label_metric(column: str, columns: tuple[str, ...]) -> str:
    """The metric of a label column."""
    return AUROC if len(columns) == 1 else f"{AUROC}_{column}"


def number_metric(target: str) -> str:
    """The metric of a number."""
    return R2 + target


def scores_path(folder: Path, metric: str, arm: str, seed: int) -> Path:
    """Where a probe keeps what an arm with a seed says."""
    return folder / "predictions" / metric / f"{arm}-seed{seed}.csv"


def read_panels(folder: Path) -> Panels:
    """The scores in the folder of a finished probe or sweep.

    Raises:
        UserError: if it is neither, or what it holds does not fit together.
    """
    if (folder / "predictions").is_dir():
        return read_probe(folder, _arms(folder))
    if (folder / "cells").is_dir():
        return read_sweep(folder, _arms(folder))
    raise UserError(f"{folder}: no predictions or cells here; give the folder of echossl probe or sweep")


def read_probe(folder: Path, arms: list[str]) -> Panels:
    """The scores of a probe, arms in the order given."""
    labelled = pd.read_csv(folder / LABELLED_NAME, dtype={"patient_id": str})
    counts = labelled[labelled["draw"] == 0].groupby(["metric", "fraction"])["patient_id"].nunique()
    panels: Panels = {}
    for metric in labelled["metric"].drop_duplicates():
        for arm in arms:
            of_metric = folder / "predictions" / metric
            for question, panel in _probe_panels(of_metric, arm, counts):
                panels.setdefault(question, {})[arm] = panel
    return panels


def read_sweep(folder: Path, arms: list[str]) -> Panels:
    """The scores of a sweep, arms in the order given."""
    panels: Panels = {}
    for arm in arms:
        cells: dict[float, list[Cell]] = {}
        labelled: dict[float, int] = {}
        for path in sorted((folder / "cells" / arm).glob("*/predictions.csv")):
            found = RUN.fullmatch(path.parent.name)
            if found is None or found["seed"] is None:
                raise UserError(f"{path.parent}: not a cell of a sweep, expected fraction…-draw…-seed…")
            cell = Cell(int(found["draw"]), int(found["seed"]), read_predictions(path))
            fraction = float(found["fraction"])
            cells.setdefault(fraction, []).append(cell)
            result = json.loads((path.parent / "result.json").read_text(encoding="utf-8"))
            labelled[fraction] = int(result["num_labelled_patients"])
        for fraction, own in sorted(cells.items()):
            panel = _of_cells(own, labelled[fraction])
            panels.setdefault(Question(str(Grid.of(own).first.splits[0]), AUROC, fraction), {})[arm] = panel
    return panels


def _arms(folder: Path) -> list[str]:
    """The arms in the order of ``results.csv``, where the first is the one that others are compared with."""
    path = folder / "results.csv"
    if not path.is_file():
        raise UserError(f"{folder}: no results.csv here; give the folder of a finished probe or sweep")
    names = pd.read_csv(path, dtype=str)["arm"].drop_duplicates()
    return [name for name in names if " - " not in name]


def _probe_panels(folder: Path, arm: str, counts: pd.Series) -> Iterator[tuple[Question, Panel]]:
    tables = _tables(folder, arm)
    first = next(iter(tables.values()))
    runs: dict[float, list[int]] = {}
    for name in first.columns:
        if found := RUN.fullmatch(name):
            runs.setdefault(float(found["fraction"]), []).append(int(found["draw"]))
    for split in dict.fromkeys(first["split"]):
        rows = (first["split"] == split).to_numpy()
        for fraction, draws in runs.items():
            names = [f"fraction{fraction:g}-draw{draw}" for draw in draws]
            by_seed = [table.loc[rows, names].to_numpy(np.float64).T for table in tables.values()]
            yield (
                Question(split, folder.name, fraction),
                Panel(
                    source=str(folder / arm),
                    patients=first["patient_id"].to_numpy(dtype=np.str_)[rows],
                    units=first["unit"].to_numpy(dtype=np.str_)[rows],
                    truth=first["truth"].to_numpy(np.float64)[rows],
                    draws=tuple(draws),
                    seeds=tuple(tables),
                    scores=np.stack(by_seed, axis=1),
                    num_labelled_patients=int(counts.loc[(folder.name, fraction)]),
                ),
            )


def _tables(folder: Path, arm: str) -> dict[int, pd.DataFrame]:
    """The table of each seed, rising; all have the same rows and runs."""
    tables = {}
    for path in folder.glob(f"{arm}-seed*.csv"):
        found = SCORES_FILE.fullmatch(path.name)
        if found and found["arm"] == arm:
            tables[int(found["seed"])] = pd.read_csv(path, dtype={"patient_id": str, "unit": str})
    if not tables:
        raise UserError(f"{folder}: no scores of the arm {arm}; run the probe again in an empty folder")
    first = next(iter(tables.values()))
    for table in tables.values():
        keys = ["patient_id", "unit", "split", "truth"]
        if list(table.columns) != list(first.columns) or not table[keys].equals(first[keys]):
            raise UserError(f"{folder}: the seeds of the arm {arm} were not scored on the same rows")
    return dict(sorted(tables.items()))


def _of_cells(cells: list[Cell], num_labelled_patients: int) -> Panel:
    grid = Grid.of(cells)
    return Panel(
        source=grid.first.source,
        patients=grid.first.patients,
        units=grid.first.studies,
        truth=grid.first.labels.astype(np.float64),
        draws=grid.draws,
        seeds=grid.seeds,
        scores=grid.scores.reshape(len(grid.draws), len(grid.seeds), -1),
        num_labelled_patients=num_labelled_patients,
    )
