"""Places for runs that go side by side, a process each; one that dies costs the run it was at, no more."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from tempfile import gettempdir
from types import FrameType, TracebackType
from typing import Any, Generic, Self, TypeVar

from echossl.data.worker_handle import LONGEST_TEMPORARY_FOLDER
from echossl.data.workers import end_with_parent
from echossl.errors import EchosslError
from echossl.progress import QUIET

Job = TypeVar("Job")
# loaded once, by the process that all others are forked from
PRELOADED = "echossl.study.tasks"
KILLED = "its process was killed, as a rule for want of memory; with fewer jobs there is more for each"


@dataclass
class Attempt:
    """How a run ended. As a context manager it keeps the error, as text: not every error can be sent on.

    Attributes:
        message: what went wrong, in one line; empty if nothing did.
        trace: where, for whoever mends it.
    """

    message: str = ""
    trace: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        text = " ".join(str(error).split())
        self.message = text if isinstance(error, EchosslError) else f"{type(error).__name__}: {text}"
        self.trace = "".join(traceback.format_exception(error))
        return True


class Slots(Generic[Job]):
    """Processes with one thread each: side by side that is faster than threads that fight for the cores.

    Each has a pool of its own, so that it is known whose process has died. As a context manager it waits at
    the end until what is under way has ended.

    Args:
        function: a module-level function that does a job.
        count: most jobs at a time.
    """

    def __init__(self, function: Callable[[Job], object], count: int) -> None:
        self._function = function
        self._idle: list[ProcessPoolExecutor] = []
        self._busy: dict[Future[Attempt], tuple[Job, ProcessPoolExecutor]] = {}
        self._count = count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # after Ctrl-C nothing new is started; a pre-training ends its step and saves
        for pool in [*self._idle, *(pool for _, pool in self._busy.values())]:
            pool.shutdown(wait=True, cancel_futures=True)

    @property
    def free(self) -> int:
        """How many jobs could be started now."""
        return self._count - len(self._busy)

    @property
    def running(self) -> list[Job]:
        """The jobs under way."""
        return [job for job, _ in self._busy.values()]

    def start(self, job: Job) -> None:
        """Begin a job in a free process."""
        pool = self._idle.pop() if self._idle else _new_pool()
        self._busy[pool.submit(_attempt, self._function, job)] = (job, pool)

    def ended(self, seconds: float) -> list[tuple[Job, Attempt]]:
        """Wait for the next job to end, at most so long, and tell how those that have ended did."""
        finished, _ = wait(self._busy, timeout=seconds, return_when=FIRST_COMPLETED)
        return [self._end(future) for future in finished]

    def _end(self, future: Future[Attempt]) -> tuple[Job, Attempt]:
        job, pool = self._busy.pop(future)
        if isinstance(future.exception(), BrokenProcessPool):
            pool.shutdown(wait=True)
            return job, Attempt(KILLED)
        self._idle.append(pool)
        return job, future.result()


def _new_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=_context(), initializer=_start_worker)


def _context() -> Any:
    """How processes start: never as a copy of this one, which may hold locks or a GPU."""
    has_fork_server = "forkserver" in multiprocessing.get_all_start_methods()
    if not has_fork_server or len(gettempdir()) > LONGEST_TEMPORARY_FOLDER:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    return context


def _attempt(function: Callable[[Any], object], job: Any) -> Attempt:
    attempt = Attempt()
    with attempt:
        function(job)
    return attempt


def _start_worker() -> None:
    import torch

    os.environ[QUIET] = "1"
    torch.set_num_threads(1)
    # a pre-training catches Ctrl-C to save first; anything else has nothing to save
    signal.signal(signal.SIGINT, _leave)
    end_with_parent()


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    os._exit(128 + number)
