"""What runs inside a worker process: one job after the other, until the main process says stop or is gone."""

import multiprocessing
import os
import pickle
import resource
import signal
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from echossl.errors import EchosslError


class StoppedError(EchosslError):
    """The main process asked a worker to leave its job."""


@dataclass(frozen=True)
class At:
    """Message of a worker: the item that it begins to work on, or None."""

    name: str | None


@dataclass
class Ended:
    """Message of a worker that is free: how its job ended. As a context manager it keeps the error.

    Attributes:
        result: what the job gave, pickled.
        error: what it raised instead, or None.
        trace: where it was raised, in words.
    """

    result: bytes = b""
    error: Exception | None = field(default=None)
    trace: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error, self.trace = _portable(error), "".join(traceback.format_exception(error))
        return True


class _Line:
    """The pipe to the main process; None outside of a worker."""

    pipe: Any = None


def leave_if_stopped() -> None:
    """To be called now and then by a long job.

    Raises:
        StoppedError: if the main process was interrupted.
    """
    # during a job nothing else is sent
    if _Line.pipe is not None and _Line.pipe.poll():
        raise StoppedError("interrupted")


def working_on(name: str | None) -> None:
    """To be called by a job before each of its items, so that an item that ends the process is known.

    Args:
        name: the item; None while the job works on none, for example when it writes what it has.
    """
    if _Line.pipe is not None:
        _Line.pipe.send(At(name))


def serve(pipe: "Connection[Any, Any]", function: Callable[[Any], Any], more_bytes: int | None) -> None:
    """The main function of a worker process.

    Args:
        pipe: gives jobs as tuples of one, and None for the end; takes ``At`` and ``Ended``.
        function: does a job.
        more_bytes: memory that the worker may take beyond what it has now; None leaves it free.
    """
    _Line.pipe = pipe
    # the main process alone answers Ctrl-C
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    if more_bytes is not None:
        _be_expendable(more_bytes)
    # no main process, no work
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(Ended())
        while (job := pipe.recv()) is not None:
            ended = Ended()
            with ended:
                ended.result = pickle.dumps(function(*job))
            pipe.send(ended)


def end_with_parent() -> None:
    """To be called by a worker: it ends when the main process dies, even by SIGKILL, and leaves no orphan."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _be_expendable(more_bytes: int) -> None:
    """Meet want of memory here, as a MemoryError if possible, and not in the main process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    memory = Path("/proc/self/statm")
    if memory.is_file():
        has_bytes = int(memory.read_text().split()[5]) * resource.getpagesize()
        hardest = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = has_bytes + more_bytes
        most = most if hardest == resource.RLIM_INFINITY else min(most, hardest)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hardest))
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")


def _portable(error: Exception) -> Exception:
    """The error itself if it survives the way to the main process, otherwise its words."""
    kept = Ended()
    with suppress(Exception):
        kept.error = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    return error if kept.error is not None else EchosslError(f"{type(error).__name__}: {error}")
