"""How far a study is, while it runs: a table on a terminal, plain lines now and then elsewhere."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echossl.progress import QUIET, progress
from echossl.study.tasks import Task
from echossl.training.logging import FILE_NAME as METRICS_NAME

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Standing:
    """What is known beside the run folders.

    Attributes:
        running: names of the runs under way.
        failed: names of those that were given up.
    """

    running: set[str]
    failed: set[str]


@contextmanager
def watching(tasks: Sequence[Task]) -> Iterator[Callable[[Standing], None]]:
    """Show how far the runs are; what is yielded is to be called with the standing now and then.

    What is done is read from the run folders, as a restart would.
    """
    if sys.stderr.isatty() and not os.environ.get(QUIET):
        from rich.console import Console
        from rich.live import Live

        nothing = Standing(set(), set())
        with Live(study_table(tasks, nothing), console=Console(stderr=True), auto_refresh=False) as live:
            yield lambda standing: live.update(study_table(tasks, standing), refresh=True)
        return
    done = _num_finished(tasks)
    with progress("study", total=len(tasks), unit="runs", done=done) as bar:

        def advance(standing: Standing) -> None:
            nonlocal done
            now = _num_finished(tasks)
            failed = f"{len(standing.failed)} failed" if standing.failed else ""
            bar.advance(now - done, failed)
            done = now

        yield advance


def study_table(tasks: Sequence[Task], standing: Standing) -> "Table":
    """A row per pre-training that is not finished and per arm, a column per label fraction."""
    from rich.table import Table

    cells = [task for task in tasks if task.cell]
    fractions = sorted({task.cell.fraction for task in cells if task.cell})
    table = Table("run", *[f"{fraction:.3g}" for fraction in fractions] or ["updates"])
    for task in tasks:
        if task.cell is None and not task.is_finished:
            table.add_row(task.name, _training_text(task, standing))
    for arm in dict.fromkeys(task.cell.arm.name for task in cells if task.cell):
        columns = [
            _cells_text(
                [
                    task
                    for task in cells
                    if task.cell and (task.cell.arm.name, task.cell.fraction) == (arm, fraction)
                ],
                standing,
            )
            for fraction in fractions
        ]
        table.add_row(arm, *columns)
    return table


def updates_done(task: Task) -> int:
    """Updates of a pre-training so far, up to its last logged line."""
    lines = read_metrics(task.config.out)
    return int(lines[-1]["step"]) if lines else 0


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The whole lines of a run's ``metrics.jsonl``; none if it has not begun."""
    path = run / METRICS_NAME
    if not path.is_file():
        return []
    # the last line may be half-written while the run goes on
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _training_text(task: Task, standing: Standing) -> str:
    word = _word(task, standing)
    return f"{updates_done(task)} updates{f', {word}' if word else ''}"


def _cells_text(tasks: Sequence[Task], standing: Standing) -> str:
    words = [word for task in tasks if (word := _word(task, standing))]
    counts = [f"{words.count(word)} {word}" for word in ("running", "failed") if word in words]
    return ", ".join([f"{_num_finished(tasks)}/{len(tasks)}", *counts])


def _word(task: Task, standing: Standing) -> str:
    if task.name in standing.failed:
        return "failed"
    return "running" if task.name in standing.running else ""


def _num_finished(tasks: Sequence[Task]) -> int:
    return sum(task.is_finished for task in tasks)
