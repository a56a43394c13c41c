"""The main process's side of the workers: who does what, who has gone, and what is tried again."""

import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Generic, TypeVar

from echossl.data.memory import usable_memory_bytes
from echossl.data.worker_handle import SECONDS_TO_LEAVE, WorkerHandle
from echossl.data.worker_process import Ended
from echossl.errors import EchosslError

Job = TypeVar("Job")
Result = TypeVar("Result")
LEAST_BYTES_OF_A_WORKER = 4 * 2**30
ADVICE = "export it again or leave it out"


class Crew(Generic[Job, Result]):
    """Worker processes and the jobs that are not done yet; see :func:`echossl.data.workers.run_jobs`."""

    def __init__(
        self,
        function: Callable[[Job], Result],
        jobs: Sequence[Job],
        *,
        workers: int,
        without: Callable[[Job, str, str], Job] | None,
        item_seconds: float | None,
    ) -> None:
        self._function, self._without, self._item_seconds = function, without, item_seconds
        self._jobs = dict(enumerate(jobs))
        self._pending = deque(self._jobs)
        # the kernel may have killed a process for what the others took: tried again with none beside it
        self._alone: deque[int] = deque()
        self._tried_alone: set[int] = set()
        self._refused: set[tuple[int, str]] = set()
        self._most_workers = workers
        self._more_bytes = None if without is None else bytes_of_a_worker(workers, usable_memory_bytes())
        self._workers: list[WorkerHandle] = []

    def results(self) -> Iterator[tuple[int, Result]]:
        """Yield (number of the job, result) until all jobs are done."""
        while self._jobs:
            self._start_workers()
            self._hand_out()
            for worker in self._heard():
                message = worker.hear()
                if message is None:
                    self._lost(worker)
                elif isinstance(message, Ended):
                    number, item = worker.number, worker.item
                    worker.rest()
                    if number is not None and self._is_done(number, item.name, message):
                        yield number, pickle.loads(message.result)  # noqa: S301 - from our own worker
            self._end_the_slow()

    def leave(self) -> None:
        """Ask all workers to stop, and wait until they have; all together have a few seconds."""
        for worker in self._workers:
            worker.ask_to_stop()
        deadline = time.monotonic() + SECONDS_TO_LEAVE
        for worker in self._workers:
            worker.end(max(deadline - time.monotonic(), 0.0))

    def _start_workers(self) -> None:
        free = sum(worker.number is None for worker in self._workers)
        wanted = len(self._pending) + len(self._alone) - free
        for _ in range(min(self._most_workers - len(self._workers), wanted)):
            self._workers.append(WorkerHandle(self._function, self._more_bytes))

    def _hand_out(self) -> None:
        for worker in self._workers:
            if not worker.is_ready or worker.number is not None:
                continue
            if self._pending:
                number = self._pending.popleft()
            elif self._alone and all(other.number is None for other in self._workers):
                number = self._alone.popleft()
            else:
                break
            worker.begin(number, self._jobs[number])

    def _heard(self) -> list[WorkerHandle]:
        """The workers that have something to say, within the time that the slowest item has left."""
        left = None
        if self._item_seconds is not None:
            ages = [worker.item_age_seconds for worker in self._workers]
            left = max(self._item_seconds - max(ages), 0.0)
        heard = set(wait([worker.pipe for worker in self._workers], left))
        return [worker for worker in self._workers if worker.pipe in heard]

    def _end_the_slow(self) -> None:
        limit = self._item_seconds
        for worker in self._workers:
            # one that waits until it is listened to is not slow
            if limit is not None and worker.item_age_seconds > limit and not worker.pipe.poll():
                worker.kill(f"took longer than {limit:g} s; {ADVICE}")

    def _is_done(self, number: int, name: str | None, ended: Ended) -> bool:
        """Whether a job has a result; otherwise it runs again without an item, or its error is raised."""
        if ended.error is None:
            del self._jobs[number]
            return True
        reason = f"takes more memory than a worker process may have; {ADVICE}"
        if isinstance(ended.error, MemoryError) and self._refuse(number, name, reason):
            return False
        ended.error.add_note(f"in a worker process:\n{ended.trace}")
        raise ended.error

    def _lost(self, worker: WorkerHandle) -> None:
        """Decide what becomes of the job of a worker that has died."""
        self._workers.remove(worker)
        code, number, item = worker.end(), worker.number, worker.slow_item or worker.item
        if not worker.is_ready:
            raise EchosslError(
                f"a worker process did not start ({_word(code)}); a script that calls echossl needs the line "
                "if __name__ == '__main__': before its calls"
            )
        if number is None:
            return
        was_killed = code == -signal.SIGKILL and worker.slow_item is None
        if was_killed and self._without is not None and number not in self._tried_alone:
            self._tried_alone.add(number)
            self._alone.append(number)
            return
        how = "was killed, as a rule for want of memory" if was_killed else f"crashed ({_word(code)})"
        if not self._refuse(number, item.name, worker.why_killed or f"its decoder {how}; {ADVICE}"):
            raise EchosslError(f"a worker process {how}; the same command with fewer workers continues")

    def _refuse(self, number: int, name: str | None, reason: str) -> bool:
        """Have a job run again without an item; False if nobody can say which item or how."""
        if self._without is None or name is None:
            return False
        if (number, name) in self._refused:
            raise EchosslError(f"{name}: {reason}; it was to be left out, but was not")
        self._refused.add((number, name))
        self._jobs[number] = self._without(self._jobs[number], name, reason)
        (self._alone if number in self._tried_alone else self._pending).append(number)
        return True


def _word(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def bytes_of_a_worker(workers: int, usable_bytes: int) -> int:
    """A fair share of the memory, and enough for a long video where there is little."""
    return max(min(LEAST_BYTES_OF_A_WORKER, usable_bytes), usable_bytes // workers)
