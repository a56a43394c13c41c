"""Processes of one run end together: where one fails none waits for it, and one of them says why."""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from torch.distributed.distributed_c10d import Store

from echossl.distributed import rank, world_size
from echossl.errors import EchosslError, OneProcessError
from echossl.training.interrupt import StoppedError

FAILED, HEARD = "echossl/failed", "echossl/heard"
LOOK_SECONDS = 0.25
# the first process speaks for all that fail alike; so long the others leave it the word
FIRST_SECONDS = 5.0
# the process that writes may have a file to finish before it meets the same failure
WRITER_SECONDS = 10.0


class Together:
    """While the block runs, the failure of any process ends all of them.

    Who fails writes so into the store that the processes share. A thread of every other process looks there
    and ends its process, which may be waiting for an answer that never comes. Of several that fail, one
    raises its error; all others leave without a word, as they do when a run is asked to stop.

    Args:
        store: shared by the processes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()
        if error is None:
            return
        speaks = rank() == 0 if isinstance(error, StoppedError) else self._fail()
        if not speaks:
            raise SystemExit(getattr(error, "exit_code", 1)) from error
        if rank() > 0 and isinstance(error, EchosslError | OSError):
            raise OneProcessError(rank(), error) from error

    def _fail(self) -> bool:
        """Tell the others; whether this process is the one to say what happened."""
        try:
            return self._told()
        except RuntimeError:
            return True  # the store's keeper has gone, so that nobody else may have spoken

    def _told(self) -> bool:
        if rank() > 0:
            _wait_until(lambda: self._store.check([FAILED]), seconds=FIRST_SECONDS)
        own = str(rank()).encode()
        if self._store.compare_set(FAILED, "", own.decode()) != own:
            self._store.add(HEARD, 1)
            return False
        # the store may be kept by this process
        _wait_until(lambda: self._store.add(HEARD, 0) >= world_size() - 1, seconds=WRITER_SECONDS)
        return True

    def _watch(self) -> None:
        while not self._left.wait(LOOK_SECONDS):
            try:
                has_failed = self._store.check([FAILED])
            except RuntimeError:
                return  # its keeper has left, as at the end of a run
            if has_failed and not self._left.wait(WRITER_SECONDS if rank() == 0 else FIRST_SECONDS):
                self._store.add(HEARD, 1)
                os._exit(1)  # the main thread may wait outside of Python, where no exception reaches it


def _wait_until(is_done: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_done() and time.monotonic() < end:
        time.sleep(LOOK_SECONDS / 5)
