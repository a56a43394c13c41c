"""How much memory this process and its workers may have: that of their job, not that of the machine."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# where the groups of the second and of the first version are mounted, alone or side by side
UNIFIED_FOLDERS = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
MEMORY_FOLDERS = ("sys/fs/cgroup/memory",)


def usable_memory_bytes(root: Path = Path("/")) -> int:
    """Memory of the machine, or less where a scheduler or a container (Linux control groups) allows less.

    Args:
        root: folder that ``proc`` and ``sys`` are in.

    Returns:
        Bytes, shared by all processes of the job.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """The limits of this process's group and of all that it lies in."""
    for folders, group, name in _groups(root):
        # a container may see its own group as the root, under the name that it has outside
        for place in (group, *group.parents):
            for folder in folders:
                limit = _number(root / folder / place.relative_to("/") / name)
                if limit is not None:
                    yield limit


def _groups(root: Path) -> Iterator[tuple[tuple[str, ...], PurePosixPath, str]]:
    """Where limits are mounted, the group of this process, and the file of the limit, for both versions."""
    listed = root / "proc/self/cgroup"
    for line in listed.read_text().splitlines() if listed.is_file() else []:
        number, controllers, group = line.split(":", 2)
        if number == "0":
            yield UNIFIED_FOLDERS, PurePosixPath(group), "memory.max"
        elif "memory" in controllers.split(","):
            yield MEMORY_FOLDERS, PurePosixPath(group), "memory.limit_in_bytes"


def _number(path: Path) -> int | None:
    """The limit in a file; None if there is no such file, or it says ``max``."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
