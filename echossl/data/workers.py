"""Run many independent jobs over processes; one that crashes or hangs costs the item it was at, no more."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from echossl.data.crew import Crew
from echossl.data.worker_handle import usable_cores
from echossl.data.worker_process import StoppedError, end_with_parent, leave_if_stopped, working_on

__all__ = ["StoppedError", "end_with_parent", "leave_if_stopped", "run_jobs", "working_on"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    without: Callable[[Job, str, str], Job] | None = None,
    item_seconds: float | None = None,
) -> Iterator[tuple[int, Result]]:
    """Run ``function`` on every job and yield (number of the job, result) as they come.

    A job whose items may crash their decoder says ``working_on(name)`` before each of them. An item that ends
    its process, or takes longer than ``item_seconds`` or more memory than a process may have, is refused: its
    job runs again without it, all other jobs go on.

    Args:
        function: a module-level function.
        jobs: its arguments.
        workers: number of processes; 0 takes one per core. One worker or one job needs no process at all,
            unless ``without`` is given.
        without: ``without(job, name, reason)`` gives the same job with that item refused, for a reason in
            words that follow the name of a file and a colon.
        item_seconds: longest time for one item; None sets no limit.

    Raises:
        EchosslError: if a worker process is killed or crashes while it works on no item, or ``without`` is
            not given.
    """
    workers = min(workers or usable_cores(), len(jobs))
    if not jobs or (workers == 1 and without is None):
        for number, job in enumerate(jobs):
            yield number, function(job)
        return
    crew = Crew(function, jobs, workers=workers, without=without, item_seconds=item_seconds)
    try:
        yield from crew.results()
    finally:
        crew.leave()
