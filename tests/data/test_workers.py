import os
import signal
import time
from pathlib import Path

import pytest

from echossl.data import crew
from echossl.data.workers import StoppedError, leave_if_stopped, run_jobs
from echossl.errors import EchosslError

# far longer than a process takes to start, however busy the machine is
MOST_SECONDS = 60
BUSY = 6


def square(value: int) -> int:
    return value * value


def process_of(job: int) -> int:
    return os.getpid()


def work_beside_another(job: tuple[Path, int]) -> tuple[int, str | None, int]:
    folder, number = job
    (folder / str(os.getpid())).touch()
    # the other worker may take its time to start
    deadline = time.monotonic() + MOST_SECONDS
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return number, os.environ.get("OMP_NUM_THREADS"), os.getpid()


def kill_itself(value: int) -> int:
    if value == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def fail_or_wait(job: tuple[Path, int]) -> None:
    folder, number = job
    if number == 0:
        # the other one is at work by now
        while not (folder / "waiting").exists():
            time.sleep(0.01)
        raise ValueError("the first job failed")
    (folder / "waiting").touch()
    try:
        while True:
            leave_if_stopped()
            time.sleep(0.01)
    except StoppedError:
        (folder / "left").touch()
        raise


def test_one_worker_needs_no_process():
    assert list(run_jobs(square, range(5), workers=1)) == [(value, value**2) for value in range(5)]
    assert list(run_jobs(process_of, [1], workers=8)) == [(0, os.getpid())]
    assert list(run_jobs(square, [], workers=0)) == []


def test_every_job_is_done_once_by_workers_of_one_thread(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    jobs = [(tmp_path, number) for number in range(10, 16)]
    found = dict(run_jobs(work_beside_another, jobs, workers=2))
    assert {number: job for number, (job, _, _) in found.items()} == dict(enumerate(range(10, 16)))
    assert {threads for _, threads, _ in found.values()} == {"1"}
    assert len({pid for _, _, pid in found.values()} - {os.getpid()}) == 2
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_killed_worker_is_said_in_words():
    with pytest.raises(EchosslError, match="a worker process was killed"):
        list(run_jobs(kill_itself, range(4), workers=2))


def test_when_one_job_fails_the_others_leave(tmp_path):
    with pytest.raises(ValueError, match="the first job failed"):
        list(run_jobs(fail_or_wait, [(tmp_path, 0), (tmp_path, 1)], workers=2))
    assert (tmp_path / "left").exists()


def sleep_but_for_the_first(job: tuple[Path, int]) -> int:
    folder, number = job
    (folder / str(number)).touch()
    while number or len(list(folder.iterdir())) < BUSY:
        time.sleep(0.01)
    return number


def test_all_that_do_not_leave_are_waited_for_together(monkeypatch, tmp_path):
    # busy in a decoder, which nobody can ask to stop
    monkeypatch.setattr(crew, "SECONDS_TO_LEAVE", 2.0)
    results = run_jobs(sleep_but_for_the_first, [(tmp_path, n) for n in range(BUSY)], workers=BUSY)
    assert next(results) == (0, 0)
    start = time.monotonic()
    results.close()
    assert 2.0 <= time.monotonic() - start < 6.0


def test_outside_of_a_worker_nobody_is_stopped():
    leave_if_stopped()
