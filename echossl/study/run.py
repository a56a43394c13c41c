"""Run the cells of a study side by side. Finished cells are skipped, interrupted ones continue."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import FrameType
from typing import TypeVar

from echossl.adapt import finetune
from echossl.config.adapt import FinetuneConfig
from echossl.config.study import StudyConfig
from echossl.config.training import PretrainConfig
from echossl.data.workers import end_with_parent
from echossl.errors import EchosslError
from echossl.progress import QUIET, progress
from echossl.study.cells import plan_cells, plan_pretrainings
from echossl.training.logging import FILE_NAME as METRICS_NAME
from echossl.training.pretrain import pretrain

Task = TypeVar("Task")
SECONDS_BETWEEN_LOOKS = 1.0


def run_study(config: StudyConfig) -> None:
    """Run every pre-training, then every cell, ``config.jobs`` at a time with one thread each."""
    jobs = config.jobs or os.cpu_count() or 1
    pretrainings = list(plan_pretrainings(config))
    total = sum(task.optimiser.steps for task in pretrainings)
    if pretrainings:
        _run(pretrain, pretrainings, jobs, ("pre-training", total, "updates"), _updates_done)
    cells = [cell.config for cell in plan_cells(config)]
    _run(finetune, cells, jobs, ("adapting", len(cells), "cells"), _cells_done)


def _run(
    work: Callable[[Task], Path],
    tasks: Sequence[Task],
    jobs: int,
    bar_text: tuple[str, int, str],
    count_done: Callable[[Sequence[Task]], int],
) -> None:
    """Run the tasks in worker processes; what is done is read from the run folders, as a restart would."""
    label, total, unit = bar_text
    done = count_done(tasks)
    spawn = multiprocessing.get_context("spawn")
    with (
        progress(label, total=total, unit=unit, done=done) as bar,
        ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_start_worker) as pool,
    ):
        waiting: set[Future[Path]] = {pool.submit(work, task) for task in tasks}
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                now = count_done(tasks)
                bar.advance(now - done)
                done = now
        except BrokenProcessPool as error:
            raise EchosslError(
                f"{label}: a worker process was killed, as a rule for want of memory; the same command with "
                "fewer jobs continues"
            ) from error
        finally:
            # after Ctrl-C or a cell that failed: start nothing more; a pre-training ends its step and saves
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Side by side, one thread per run is faster than many threads that fight for the cores."""
    import torch

    os.environ[QUIET] = "1"
    torch.set_num_threads(1)
    # a pre-training catches Ctrl-C to save first; anything else has nothing to save
    signal.signal(signal.SIGINT, _leave)
    end_with_parent()


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    os._exit(128 + number)


def _updates_done(pretrainings: Sequence[PretrainConfig]) -> int:
    """Updates done so far; a finished run counts whole, whatever its last logged line was."""
    total = 0
    for pretraining in pretrainings:
        if (pretraining.out / "result.json").is_file():
            total += pretraining.optimiser.steps
        elif lines := read_metrics(pretraining.out):
            total += int(lines[-1]["step"])
    return total


def _cells_done(cells: Sequence[FinetuneConfig]) -> int:
    return sum((cell.out / "result.json").is_file() for cell in cells)


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The whole lines of a run's ``metrics.jsonl``; none if it has not begun."""
    path = run / METRICS_NAME
    if not path.is_file():
        return []
    # the last line may be half-written while the run goes on
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]
