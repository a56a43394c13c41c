"""Imports the package once, then runs commands as two processes of one run each, which are copies of itself.

A line of JSON on standard input says which command, one on standard output how both processes ended.
"""

import json
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import echossl.training.pretrain  # noqa: F401 - so that no copy imports torch for itself
from echossl.cli import main
from echossl.training import together

LONGEST_SECONDS = 300.0


def serve() -> None:
    """Until standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        codes = run_two(order["words"], Path(order["folder"]), order["share_of_waits"])
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


def run_two(words: Sequence[str], folder: Path, share_of_waits: float) -> list[int]:
    """Exit codes of both; what each says on standard error is in ``said-by-N.txt`` of the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    children = []
    for number in range(2):
        own = place | {"RANK": str(number), "LOCAL_RANK": str(number)}
        child = os.fork()
        if child == 0:
            _run(words, own, folder / f"said-by-{number}.txt", share_of_waits)
        children.append(child)
    end = time.monotonic() + LONGEST_SECONDS
    return [_ended(child, end) for child in children]


def _run(words: Sequence[str], place: dict[str, str], output: Path, share_of_waits: float) -> None:
    """Run a command line of echossl, or a Python script, and leave with its exit code."""
    os.environ.update(place)
    together.FIRST_SECONDS *= share_of_waits
    together.WRITER_SECONDS *= share_of_waits
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, sys.stderr.fileno())
    os.dup2(file, sys.stdout.fileno())
    code = 1
    try:
        if words[0].endswith(".py"):
            sys.argv = list(words)
            runpy.run_path(words[0], run_name="__main__")
        else:
            sys.argv = ["echossl", *words]
            main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    finally:
        if sys.exc_info()[0] is not None:
            sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        # never back into the loop of the process that this is a copy of
        os._exit(code)


def _ended(child: int, end: float) -> int:
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    serve()
