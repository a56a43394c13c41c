"""Run many independent jobs over processes that stop cleanly: on Ctrl-C, and when the main process dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from echossl.errors import EchosslError

Job = TypeVar("Job")
Result = TypeVar("Result")
THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class StoppedError(EchosslError):
    """The main process asked a worker to leave its job."""


class _Stop:
    """The event that the main process sets when it wants no more results; None outside of a worker."""

    event: Any = None


def leave_if_stopped() -> None:
    """To be called now and then by a long job.

    Raises:
        StoppedError: if the main process was interrupted.
    """
    if _Stop.event is not None and _Stop.event.is_set():
        raise StoppedError("interrupted")


def run_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int
) -> Iterator[tuple[int, Result]]:
    """Run ``function`` on every job and yield (number of the job, result) as they come.

    Args:
        function: a module-level function.
        jobs: its arguments.
        workers: number of processes; 0 takes one per core. One worker or one job needs no process at all.

    Raises:
        EchosslError: if a worker process was killed.
    """
    workers = min(workers or _cores(), len(jobs))
    if workers <= 1:
        for number, job in enumerate(jobs):
            yield number, function(job)
        return
    # spawn: a forked copy of a process with threads of its own (BLAS, decoders) can hang
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with (
        _one_thread_each(),
        ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(stop,)) as pool,
    ):
        numbers = {pool.submit(function, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        except BrokenProcessPool as error:
            raise EchosslError(
                "a worker process was killed, as a rule for want of memory; the same command with fewer "
                "workers continues"
            ) from error
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    # a scheduler may have given us a few cores of a large machine
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(stop: Any) -> None:
    """Set up a worker: the main process alone answers Ctrl-C, and its death ends the worker."""
    _Stop.event = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """To be called by a worker: it ends when the main process dies, even by SIGKILL, and leaves no orphan."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """One process per core leaves no core for threads; workers read these variables when they start."""
    before = {name: os.environ.get(name) for name in THREAD_COUNTS}
    os.environ.update(dict.fromkeys(THREAD_COUNTS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
