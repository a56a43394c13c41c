"""Killed at any step, the same command ends with the same weights."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import echossl
from echossl.config.base import load_config
from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.training.pretrain import pretrain

STEPS = 120
PROGRAM = """
import sys
import torch
from echossl.config.base import load_config
from echossl.config.training import PretrainConfig
from echossl.training.pretrain import pretrain
from pathlib import Path
torch.set_num_threads(1)
pretrain(load_config(PretrainConfig, Path(sys.argv[1])))
"""


def write_config(store: DataConfig, out: Path) -> Path:
    config = PretrainConfig.model_validate(
        {
            "data": store,
            "out": out,
            "clip": {"num_frames": 4},
            "encoder": {"name": "compact3d", "width": 4},
            "optimiser": {"steps": STEPS, "warmup_steps": 5},
            "batch_size": 4,
            "checkpoint_every": 7,
            "log_every": 1,
            "hardware": {"device": "cpu", "precision": "fp32"},
        }
    )
    path = out.with_suffix(".json")
    path.write_text(config.model_dump_json())
    return path


def start(config: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, config], stderr=subprocess.PIPE, text=True, env=environment
    )


def steps_logged(out: Path) -> list[int]:
    path = out / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]


def kill_at(process: subprocess.Popen[str], out: Path, step: int) -> None:
    """Wait until a step is done, then kill -9."""
    deadline = time.monotonic() + 60
    while not (steps := steps_logged(out)) or steps[-1] < step:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.communicate(timeout=60)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As many threads as in the processes that are killed: their number decides the order of sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def require_same_result(first: Path, second: Path) -> None:
    expected, found = echossl.load(first).state_dict(), echossl.load(second).state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert steps_logged(second) == list(range(1, STEPS + 1))
    losses = [
        [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
        for out in (first, second)
    ]
    assert losses[0] == losses[1]


def test_trap_23_killed_at_a_random_step(store: DataConfig, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    pretrain(load_config(PretrainConfig, write_config(store, whole)))
    config = write_config(store, out)
    step = random.randint(2, STEPS // 3)  # far from the end, so that the kill comes in time
    kill_at(start(config), out, step)
    assert not (out / "encoder.safetensors").exists()
    pretrain(load_config(PretrainConfig, config))
    require_same_result(whole, out)
