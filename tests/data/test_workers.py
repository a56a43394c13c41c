import os
import signal
import time
from pathlib import Path

import pytest

from echossl.data.workers import StoppedError, leave_if_stopped, run_jobs
from echossl.errors import EchosslError


def square(value: int) -> int:
    return value * value


def work_for_a_while(job: int) -> tuple[int, str | None, int]:
    # long enough for the other worker to start too
    time.sleep(0.2)
    return job, os.environ.get("OMP_NUM_THREADS"), os.getpid()


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
    assert [pid for _, (_, _, pid) in run_jobs(work_for_a_while, [1], workers=8)] == [os.getpid()]
    assert list(run_jobs(square, [], workers=0)) == []


def test_every_job_is_done_once_by_workers_of_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = dict(run_jobs(work_for_a_while, range(10, 16), workers=2))
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


def test_outside_of_a_worker_nobody_is_stopped():
    leave_if_stopped()
