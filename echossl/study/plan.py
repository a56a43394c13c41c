"""``echossl sweep --plan``: every run of a study, which are finished, and what the others will take."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from echossl.config.study import StudyConfig
from echossl.config.training import PretrainConfig
from echossl.objectives import build_objectives
from echossl.study.tasks import Task, left_to_do, plan_tasks
from echossl.study.watch import read_metrics

SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60, 3600
SMALLEST_DIM = 8  # objectives are built only to ask how many clips they want


@dataclass(frozen=True)
class Estimate:
    """What is left of some runs.

    Attributes:
        total: of the runs that can be estimated.
        unknown: names of those that cannot: no run of their kind has been done.
    """

    total: float
    unknown: tuple[str, ...]


def plan_text(config: StudyConfig) -> str:
    """The plan for a person: a line per run, then how much is left."""
    jobs = config.jobs or os.cpu_count() or 1
    tasks = plan_tasks(config)
    left = left_to_do(tasks)
    names = {task.name for task in left}
    width = max(len(task.name) for task in tasks)
    lines = [f"{task.name:<{width}}  {_state(task, names)}" for task in tasks]
    trainings = [task for task in tasks if task.cell is None]
    cells = [task for task in tasks if task.cell]
    seconds, disk = time_left(tasks), disk_left(tasks)
    return "\n".join(
        [
            *lines,
            "",
            f"pre-trainings: {len(trainings)}, {_num_finished(trainings)} finished",
            f"cells:         {len(cells)}, {_num_finished(cells)} finished",
            f"time left:     {_left_text(seconds, lambda value: duration(value / jobs))}"
            + (f" with {jobs} at a time" if seconds.total else ""),
            f"disk left:     {_left_text(disk, lambda value: f'about {value / 2**20:,.1f} MiB')}",
        ]
    )


def time_left(tasks: Sequence[Task]) -> Estimate:
    """Seconds of work of what is not finished, one run after the other.

    A cell takes as long as the finished ones of its arm and fraction, or else of its arm; a pre-training as
    its own last rate says, or else that of another seed.
    """
    known: dict[tuple[str, ...], list[float]] = {}
    for task in tasks:
        value = cell_seconds(task) if task.cell else step_seconds(task)
        if value is not None:
            for kind in _kinds(task):
                known.setdefault(kind, []).append(value)
    return _estimate(left_to_do(tasks), known, lambda task, value: value * _amount(task))


def disk_left(tasks: Sequence[Task]) -> Estimate:
    """Bytes that what is not finished will write, by the size of the finished runs of the same kind."""
    known: dict[tuple[str, ...], list[float]] = {}
    for task in tasks:
        if task.is_finished:
            for kind in _kinds(task):
                known.setdefault(kind, []).append(folder_bytes(task.config.out))
    return _estimate(left_to_do(tasks), known, lambda _, value: value)


def cell_seconds(task: Task) -> float | None:
    """How long a finished cell took; None if it is not finished."""
    if not task.is_finished:
        return None
    result = json.loads((task.config.out / "result.json").read_text(encoding="utf-8"))
    return float(result["seconds"])


def step_seconds(task: Task) -> float | None:
    """Seconds of an update of a pre-training, by the rates it has logged; None if it has not begun."""
    config = task.config
    rates = [line["clips_per_second"] for line in read_metrics(config.out) if line.get("clips_per_second")]
    if not rates or not isinstance(config, PretrainConfig):
        return None
    clips = build_objectives(config.objectives, SMALLEST_DIM).num_clips * config.batch_size
    return clips / median(rates)


def folder_bytes(folder: Path) -> int:
    """Size of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds >= SECONDS_PER_HOUR:
        return f"about {seconds / SECONDS_PER_HOUR:.1f} h"
    if seconds >= SECONDS_PER_MINUTE:
        return f"about {seconds / SECONDS_PER_MINUTE:.0f} min"
    return f"about {seconds:.0f} s"


def _kinds(task: Task) -> list[tuple[str, ...]]:
    """What it is like, the closest first."""
    if task.cell is None:
        return [(task.name,), (task.name.rpartition("-seed")[0], "any seed")]
    arm = task.cell.arm.name
    return [(arm, f"{task.cell.fraction:g}"), (arm, "any fraction")]


def _amount(task: Task) -> float:
    """Updates that a pre-training has left; 1 for a cell."""
    if not isinstance(task.config, PretrainConfig):
        return 1.0
    lines = read_metrics(task.config.out)
    return max(task.config.optimiser.steps - (lines[-1]["step"] if lines else 0), 0)


def _estimate(
    left: Sequence[Task],
    known: dict[tuple[str, ...], list[float]],
    scale: Callable[[Task, float], float],
) -> Estimate:
    total, unknown = 0.0, []
    for task in left:
        values = next((known[kind] for kind in _kinds(task) if kind in known), None)
        if values is None:
            unknown.append(task.name)
        else:
            total += scale(task, fmean(values))
    return Estimate(total, tuple(unknown))


def _left_text(estimate: Estimate, words: Callable[[float], str]) -> str:
    if not estimate.unknown:
        return words(estimate.total) if estimate.total else "nothing"
    why = f"unknown for {len(estimate.unknown)} runs, none of their kind has been done"
    return f"{words(estimate.total)}, {why}" if estimate.total else why


def _state(task: Task, left: set[str]) -> str:
    if task.is_finished:
        return "finished"
    if task.name not in left:
        return "not needed"
    return "begun" if (task.config.out / "run.json").is_file() else "to do"


def _num_finished(tasks: Sequence[Task]) -> int:
    return sum(task.is_finished for task in tasks)
