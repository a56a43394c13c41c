"""One worker process as the main process sees it, and how such processes are started."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from tempfile import gettempdir
from typing import Any

from echossl.data.worker_process import At, Ended, serve

THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# loaded once, by the process that workers are forked from: then a worker starts in milliseconds
PRELOADED = ("numpy", "pandas", "av", "scipy.ndimage", "pydicom", "echossl.data.decode")
# letters of the folder that the fork server's socket lies in; a socket's name has 104 at most
LONGEST_TEMPORARY_FOLDER = 70
SECONDS_TO_LEAVE = 10.0
NO_ITEM = At(None)


class WorkerHandle:
    """A started process and what it does.

    Attributes:
        pipe: where its messages come from.
        is_ready: whether it has started to serve.
        number: the job it does, or None.
        item: what it says it works on.
        slow_item: the item that it was killed for, and
        why_killed: the reason in words; None and empty otherwise.
    """

    def __init__(self, function: Callable[[Any], Any], more_bytes: int | None) -> None:
        context = _context()
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, function, more_bytes), daemon=True)
        with _one_thread_each():
            self._process.start()
        # the worker alone holds its end now, so that its death is the end of what can be read
        theirs.close()
        self.is_ready = False
        self.number: int | None = None
        self.item, self._heard_at = NO_ITEM, 0.0
        self.slow_item: At | None = None
        self.why_killed = ""

    @property
    def item_age_seconds(self) -> float:
        """How long it has been at its item, as far as we have listened; 0 without one."""
        return 0.0 if self.item.name is None else time.monotonic() - self._heard_at

    def begin(self, number: int, job: Any) -> None:
        """Give it a job."""
        self.number, self.item = number, NO_ITEM
        # one that has died meanwhile is found out when it is heard
        with suppress(BrokenPipeError):
            self.pipe.send((job,))

    def hear(self) -> At | Ended | None:
        """Its next message; None if it has died."""
        try:
            message: At | Ended = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, At):
            # not when it was said: it may have waited since for us to listen
            self.item, self._heard_at = message, time.monotonic()
        return message

    def rest(self) -> None:
        """Note that it has no job."""
        self.is_ready, self.number, self.item = True, None, NO_ITEM

    def kill(self, reason: str) -> None:
        """End it for the sake of its item."""
        self.slow_item, self.why_killed = self.item, reason
        self.item = NO_ITEM
        self._process.kill()

    def ask_to_stop(self) -> None:
        """Have it leave its job at the next chance."""
        with suppress(OSError):
            self.pipe.send(None)
        # one that is still telling us something finds nobody
        self.pipe.close()

    def end(self, seconds: float = SECONDS_TO_LEAVE) -> int | None:
        """Wait until it has left, by force if it takes longer than this; gives its exit code."""
        self.pipe.close()
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code: int | None = self._process.exitcode
        self._process.close()
        return code


def usable_cores() -> int:
    """Cores that this process may use: a scheduler may have given a few of a large machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _context() -> Any:
    """How processes start: never as a copy of this one, whose threads (BLAS, decoders) may hold locks."""
    has_fork_server = "forkserver" in multiprocessing.get_all_start_methods()
    if not has_fork_server or len(gettempdir()) > LONGEST_TEMPORARY_FOLDER:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


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
