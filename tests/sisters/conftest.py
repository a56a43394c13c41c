"""Programs that the scripts of ``experiments/sisters`` call, warm, so that each takes seconds."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_program import write_client

LONGEST_START_SECONDS = 120


@pytest.fixture(scope="session")
def warm_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What to set in the environment of a script."""
    folder = tmp_path_factory.mktemp("warm")
    address = folder / "socket"
    command = [sys.executable, str(Path(__file__).with_name("warm_program.py")), str(address)]
    server = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        waited = time.monotonic() + LONGEST_START_SECONDS
        while not address.exists():
            assert server.poll() is None
            assert time.monotonic() < waited
            time.sleep(0.05)
        yield {
            "ECHOSSL": str(write_client(folder / "echossl", address, "echossl")),
            "PYTHON": str(write_client(folder / "python", address, "python")),
            "OMP_NUM_THREADS": "1",
            "NPROC": "1",
            "SMALL": "1",
        }
    finally:
        server.kill()
        server.wait()
