"""Limits of control groups, in folders that are written as the kernel shows them."""

import os
from pathlib import Path

import pytest

from echossl.data.crew import bytes_of_a_worker
from echossl.data.memory import usable_memory_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MIB, GIB = 2**20, 2**30
V1, V2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"
NO_LIMIT_V1 = "9223372036854771712"


def kernel(root: Path, groups: str, files: dict[str, object]) -> Path:
    """A root folder with the groups of this process and the files of their limits."""
    for name, content in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n" if content else "")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        # second version: a service, a container that sees itself as the root, a job of SLURM
        ("0::/a.slice/b", {f"{V2}/a.slice/b/memory.max": 300 * MIB}, 300 * MIB),
        ("0::/", {f"{V2}/memory.max": 300 * MIB}, 300 * MIB),
        ("0::/docker/1f", {f"{V2}/memory.max": 300 * MIB}, 300 * MIB),
        (
            "0::/s.slice/job_7/step_0/user/task_0",
            {
                f"{V2}/s.slice/job_7/memory.max": 200 * MIB,
                f"{V2}/s.slice/job_7/step_0/user/memory.max": "max",
            },
            200 * MIB,
        ),
        # first version, alone and beside the second
        ("4:memory:/slurm/job_7", {f"{V1}/slurm/job_7/memory.limit_in_bytes": 100 * MIB}, 100 * MIB),
        ("4:cpu,memory:/docker/1f", {f"{V1}/memory.limit_in_bytes": 100 * MIB}, 100 * MIB),
        (
            "4:memory:/a\n0::/b:c",
            {
                f"{V1}/a/memory.limit_in_bytes": NO_LIMIT_V1,
                f"{V2}/unified/b:c/memory.max": 50 * MIB,
            },
            50 * MIB,
        ),
        # none
        ("4:memory:/a\n3:cpuset:/b", {f"{V1}/a/memory.limit_in_bytes": NO_LIMIT_V1}, MACHINE),
        ("0::/a", {f"{V2}/a/memory.max": "max"}, MACHINE),
        ("0::/a", {f"{V2}/other/memory.max": 1}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_the_smallest_limit_counts(tmp_path, groups, files, expected):
    assert usable_memory_bytes(kernel(tmp_path, groups, files)) == expected


def test_a_system_without_control_groups_has_its_memory(tmp_path):
    assert usable_memory_bytes(tmp_path) == MACHINE


def test_this_machine_has_some():
    assert 0 < usable_memory_bytes() <= MACHINE


def test_a_worker_has_its_share_enough_for_a_long_video_and_no_more_than_there_is():
    assert bytes_of_a_worker(8, 128 * GIB) == 16 * GIB
    assert bytes_of_a_worker(64, 128 * GIB) == 4 * GIB
    assert bytes_of_a_worker(4, 3 * GIB) == 3 * GIB
