"""Many echossl commands without a new start of Python for each: a line of a file is a command.

Commands of one line, joined by ``&&``, run one after another; lines run beside each other in NPROC processes,
but a line ``---`` waits for all before it. The first that fails ends the rest, with its exit code.

Usage: commands.py NPROC FILE
"""

import shlex
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

from echossl.cli import main

BARRIER = "---"


def run_line(line: str) -> int:
    """Run the commands of a line; the exit code of the first that fails, else 0."""
    for joins, words in groupby(shlex.split(line), key=lambda word: word == "&&"):
        if joins:
            continue
        sys.argv = ["echossl", *words]
        try:
            main()
        except SystemExit as end:
            if end.code:
                print(f"failed: {shlex.join(sys.argv)}", file=sys.stderr)
                return int(end.code) if isinstance(end.code, int) else 1
    return 0


def run_lines(lines: Iterable[str], processes: int) -> int:
    """Run all lines; the exit code of the first that fails, else 0."""
    stages = [list(stage) for waits, stage in groupby(lines, key=lambda line: line == BARRIER) if not waits]
    if processes < 2:
        return next((code for stage in stages for line in stage if (code := run_line(line))), 0)
    # a process that is forked from one with threads may hang
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for stage in stages:
            for code in pool.map(run_line, stage):
                if code:
                    pool.shutdown(cancel_futures=True)
                    return code
    return 0


if __name__ == "__main__":
    number, file = sys.argv[1:]
    given = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    sys.exit(run_lines([line for line in given if line], int(number)))
