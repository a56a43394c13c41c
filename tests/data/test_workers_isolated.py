"""Items that crash, hang or eat memory cost themselves, and nothing else."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from echossl.data.workers import run_jobs, working_on
from echossl.errors import DecodeError, EchosslError


@dataclass(frozen=True)
class Some:
    """A few items and those that are left out."""

    items: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()


def without(job: Some, name: str, reason: str) -> Some:
    return replace(job, refused=(*job.refused, (name, reason)))


def forget(job: Some, name: str, reason: str) -> Some:
    return job


def treat(job: Some) -> dict[str, str]:
    refused = dict(job.refused)
    answers = {}
    for item in job.items:
        if item in refused:
            answers[item] = refused[item]
            continue
        working_on(item)
        do(item.split("-")[0])
        answers[item] = "done"
    working_on(None)
    return answers


def do(what: str) -> None:
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "null":
        ctypes.string_at(0)
    elif what == "exit":
        os._exit(3)
    elif what == "sleep":
        time.sleep(3600)
    elif what == "spin":
        while True:
            pass
    elif what == "allocate":
        # 100 GB in steps, as a decoder would that keeps every picture
        [np.empty(2**27) for _ in range(100)]
    elif what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "slow":
        time.sleep(0.3)


# a busy machine may keep a quick item waiting for long, but not for as long as this
LIMIT_SECONDS = 3.0


def answers_of(jobs: list[Some], **options) -> list[dict[str, str]]:
    found = dict(run_jobs(treat, jobs, without=without, **options))
    return [found[number] for number in range(len(jobs))]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("segfault", "its decoder crashed (SIGSEGV)"),
        ("null", "its decoder crashed (SIGSEGV)"),
        ("exit", "its decoder crashed (exit code 3)"),
        ("allocate", "takes more memory than a worker process may have"),
        ("killed", "its decoder was killed, as a rule for want of memory"),
    ],
)
def test_a_bad_item_costs_itself_only(what, reason):
    jobs = [Some(("good-1", "good-2")), Some(("good-3", what, "good-4")), Some(("slow-1", "good-5"))]
    answers = answers_of(jobs, workers=2, item_seconds=60.0)
    assert answers[0] == {"good-1": "done", "good-2": "done"}
    assert answers[1] == {
        "good-3": "done",
        what: f"{reason}; export it again or leave it out",
        "good-4": "done",
    }
    assert answers[2] == {"slow-1": "done", "good-5": "done"}


def test_an_item_that_takes_too_long_costs_itself_only():
    jobs = [Some(("good-1", "sleep", "slow-1")), Some(("good-2", "spin", "good-3"))]
    reason = "took longer than 3 s; export it again or leave it out"
    assert answers_of(jobs, workers=2, item_seconds=LIMIT_SECONDS) == [
        {"good-1": "done", "sleep": reason, "slow-1": "done"},
        {"good-2": "done", "spin": reason, "good-3": "done"},
    ]


def test_all_of_them_at_once():
    kinds = ["segfault", "null", "exit", "sleep", "killed", "good"]
    jobs = [Some(tuple(f"{kind}-{number}" for kind in kinds)) for number in range(2)]
    for answers in answers_of(jobs, workers=2, item_seconds=LIMIT_SECONDS):
        assert [answer == "done" for answer in answers.values()] == [False] * 5 + [True]


def test_processes_may_be_spawned_where_there_is_no_fork_server(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert answers_of([Some(("good", "exit"))], workers=1)[0]["good"] == "done"


def test_a_long_name_of_the_temporary_folder_is_no_hindrance(monkeypatch, tmp_path):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    assert answers_of([Some(("good", "exit"))], workers=1)[0]["good"] == "done"


def test_one_worker_is_outside_of_this_process_too():
    assert answers_of([Some(("exit", "good"))], workers=1)[0]["good"] == "done"
    assert list(run_jobs(treat, [], workers=1, without=without)) == []


def test_a_job_that_does_not_leave_an_item_out_is_not_tried_for_ever():
    with pytest.raises(EchosslError, match=r"exit: its decoder crashed .* was to be left out, but was not"):
        list(run_jobs(treat, [Some(("exit",))], workers=1, without=forget))


def crash_between_items(job: Some) -> None:
    working_on("first")
    working_on(None)
    os._exit(4)


def test_a_crash_between_items_is_an_error():
    with pytest.raises(EchosslError, match=r"a worker process crashed \(exit code 4\)"):
        list(run_jobs(crash_between_items, [Some(())], workers=1, without=without))


def rest_after_an_item(job: Some) -> str:
    working_on("quick")
    working_on(None)
    time.sleep(LIMIT_SECONDS / 2 + 0.5)
    return f"written, {len(job.refused)} refused"


def test_time_counts_only_while_an_item_is_worked_on():
    jobs = [Some(())] * 2
    limit = LIMIT_SECONDS / 2
    assert dict(run_jobs(rest_after_an_item, jobs, workers=2, without=without, item_seconds=limit)) == {
        0: "written, 0 refused",
        1: "written, 0 refused",
    }


def report_often(job: Some) -> Some:
    for number in range(3000):
        working_on(f"a long name of an item, as paths are: {number:0100}")
    return job


def test_whoever_takes_the_results_may_be_slow():
    # the workers' messages fill the pipe meanwhile; none of them is taken for one that hangs
    jobs = [Some(("a",) * number) for number in range(4)]
    limit, found = LIMIT_SECONDS / 2, {}
    for number, result in run_jobs(report_often, jobs, workers=2, without=without, item_seconds=limit):
        if not found:
            time.sleep(limit + 0.5)
        found[number] = result
    assert [found[number] for number in range(4)] == jobs


class TwoArgumentsError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def fail(job: Some) -> None:
    if job.items[0] == "decode":
        raise DecodeError("a.avi", "is damaged")
    raise TwoArgumentsError("one", "two")


def test_errors_of_jobs_come_as_they_are():
    with pytest.raises(DecodeError) as caught:
        list(run_jobs(fail, [Some(("decode",))], workers=1, without=without))
    assert (caught.value.path, caught.value.reason) == (Path("a.avi"), "is damaged")
    assert "in fail" in caught.value.__notes__[0]
    with pytest.raises(EchosslError, match="TwoArgumentsError: one and two"):
        list(run_jobs(fail, [Some(("other",))], workers=1, without=without))


def large_result(job: Some) -> tuple[bytes, tuple[str, ...]]:
    return bytes(5_000_000), job.items


def test_jobs_and_results_may_be_large():
    jobs = [Some(tuple(f"{number}-{item}" for item in range(50_000))) for number in range(3)]
    found = dict(run_jobs(large_result, jobs, workers=2, without=without))
    assert all(found[number] == (bytes(5_000_000), job.items) for number, job in enumerate(jobs))


def test_no_process_is_left_when_the_results_are_not_wanted_any_more():
    before = children()
    jobs = [Some(("good",)), Some(("slow-1", "slow-2")), Some(("slow",))]
    results = run_jobs(treat, jobs, workers=3, without=without)
    next(results)
    assert len(children() - before) == 3
    results.close()
    assert children() == before


def children() -> set[int]:
    """Processes below this one that serve jobs; the fork server stays."""
    below = psutil.Process().children(recursive=True)
    return {process.pid for process in below if "forkserver" in " ".join(process.parent().cmdline())}


UNGUARDED = """
from echossl.data.workers import run_jobs
print(list(run_jobs(str, [1, 2], workers=2)))
"""


def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "needs the line if __name__ == '__main__'" in done.stderr


ORPHANS = """
import os, time
from echossl.data.workers import run_jobs
def say_and_wait(job):
    print(os.getpid(), flush=True)
    time.sleep(3600)
if __name__ == "__main__":
    list(run_jobs(say_and_wait, [1, 2], workers=2))
"""


def test_workers_end_with_a_main_process_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(ORPHANS)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as main:
        pids = [int(main.stdout.readline()) for _ in range(2)]
        main.kill()
    deadline = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
