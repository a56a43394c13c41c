"""Run a study: what is finished is skipped, what was interrupted continues, what fails is tried once more."""

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from echossl.config.study import StudyConfig
from echossl.errors import EchosslError, UserError
from echossl.files import write_text
from echossl.study.slots import Attempt, Slots
from echossl.study.tasks import Task, do_task, left_to_do, plan_tasks
from echossl.study.watch import Standing, watching

SECONDS_BETWEEN_LOOKS = 1.0
ATTEMPTS = 2
FAILED_NAME, TRACES_NAME = "failed.csv", "failed.log"


@dataclass(frozen=True)
class Failure:
    """A run that has failed twice, or could not be begun.

    Attributes:
        name: of the cell or the pre-training.
        message: why, in one line.
        trace: where in the code, or empty.
    """

    name: str
    message: str
    trace: str = ""


def run_study(config: StudyConfig, *, chosen: Callable[[Task], bool] | None = None) -> list[Failure]:
    """Run every pre-training and every cell, ``config.jobs`` at a time with one thread each.

    A cell begins as soon as its pre-training is finished. One that fails is tried again after the others, and
    if it fails again it is listed in ``failed.csv`` and all others go on.

    Args:
        config: the study.
        chosen: which of its runs, with the pre-trainings that its cells need; None runs all.

    Returns:
        What failed; empty if all is finished.

    Raises:
        UserError: if manifest or store are not there, or a run folder holds a run with other settings.
    """
    tasks = [task for task in plan_tasks(config) if chosen is None or chosen(task)]
    for data in dict.fromkeys(data for task in tasks for data in task.data):
        for path, maker in ((data.manifest, "index"), (data.store, "prepare")):
            if not path.exists():
                raise UserError(f"{path}: no such file or folder; make it with echossl {maker}")
    for task in tasks:
        task.refuse_other_settings()
    config.out.mkdir(parents=True, exist_ok=True)
    failures = _run(tasks, config.jobs or os.cpu_count() or 1)
    list_failures(failures, config.out)
    return failures


def require_all(failures: Sequence[Failure], folder: Path) -> None:
    """Raise EchosslError with the first failure, if there is one."""
    if failures:
        first = failures[0]
        raise EchosslError(
            f"{folder / FAILED_NAME}: {len(failures)} runs failed, the first is {first.name}: "
            f"{first.message}. All others are finished; the same command tries these again"
        )


def list_failures(failures: Sequence[Failure], folder: Path) -> None:
    """Write ``failed.csv`` and, for whoever mends it, ``failed.log``; remove both if nothing failed."""
    if not failures:
        for name in (FAILED_NAME, TRACES_NAME):
            (folder / name).unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["cell", "message"])
    writer.writerows([failure.name, failure.message] for failure in failures)
    write_text(folder / FAILED_NAME, text.getvalue())
    write_text(folder / TRACES_NAME, "\n".join(f"{one.name}\n{one.trace}" for one in failures))


def _run(tasks: Sequence[Task], jobs: int) -> list[Failure]:
    queue = _Queue(left_to_do(tasks))
    with watching(tasks) as watch, Slots(do_task, jobs) as slots:
        while queue.is_open or slots.running:
            while slots.free and (task := queue.take()):
                slots.start(task)
            for task, attempt in slots.ended(SECONDS_BETWEEN_LOOKS):
                queue.ended(task, attempt)
            watch(Standing({task.name for task in slots.running}, set(queue.failures)))
    return list(queue.failures.values())


class _Queue:
    """What is still to be done, in order; a cell comes out once its pre-training is finished."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._waiting = list(tasks)
        self._missing = {task.name for task in tasks}
        self._attempts: Counter[str] = Counter()
        self.failures: dict[str, Failure] = {}

    @property
    def is_open(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def take(self) -> Task | None:
        """The next task that can begin; None if all that are left wait for others, or none is left."""
        for task in tuple(self._waiting):
            if task.needs in self.failures:
                self._waiting.remove(task)
                message = f"its pre-training {task.needs} failed"
                self.failures[task.name] = Failure(task.name, message)
            elif task.needs not in self._missing:
                self._waiting.remove(task)
                return task
        return None

    def ended(self, task: Task, attempt: Attempt) -> None:
        """Note how a task ended; the first failure sends it back."""
        self._attempts[task.name] += 1
        if not attempt.message:
            self._missing.discard(task.name)
        elif self._attempts[task.name] < ATTEMPTS:
            self._waiting.append(task)
        else:
            self.failures[task.name] = Failure(task.name, attempt.message, attempt.trace)
