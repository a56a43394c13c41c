"""Run with a JSON list of [settings, signal, to all, step]: starts each run, and signals it after the step.

The runs are processes forked from this one, which saves the seconds that the imports take. A line
with the exit code is written for each. Step 0 lets a run come to its end; "to all" signals its readers too.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from echossl.config.base import load_config
from echossl.config.training import PretrainConfig
from echossl.errors import EchosslError
from echossl.training.pretrain import pretrain


def start(config: PretrainConfig) -> int:
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    status = 1
    try:
        pretrain(config)
        status = 0
    except EchosslError as error:
        sys.stderr.write(f"{error}\n")
        status = error.exit_code
    except BaseException:  # noqa: BLE001 - a forked process must not go on into the caller's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def last_step(path: Path) -> int:
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    whole = [line for line in lines if line.endswith(b"\n")]
    return json.loads(whole[-1])["step"] if whole else 0


def run(path: Path, name: str, to_all: bool, step: int) -> int:
    config = load_config(PretrainConfig, path)
    metrics = config.out / "metrics.jsonl"
    # the run before may have saved later than it was asked to: this one has to have begun
    until = max(step, last_step(metrics) + 1) if step else 0
    child = start(config)
    while last_step(metrics) < until:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            raise SystemExit(f"{path} ended before step {step}")
        time.sleep(0.002)
    if step:
        (os.killpg if to_all else os.kill)(child, signal.Signals[name])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)  # the number of threads decides the order of sums
    for path, name, to_all, step in json.loads(sys.argv[1]):
        code = run(Path(path), name, to_all, step)
        # not where readers of killed runs complain, at any time
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()
