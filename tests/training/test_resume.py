"""Killed or stopped at any step, the same command ends with the same weights."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import echossl
from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig

STEPS = 45
KILLS = ["SIGKILL"] * 3
PROGRAM = Path(__file__).with_name("killed_runs.py")
Job = tuple[str, str, bool, int]  # settings, signal, to the readers too, after which step (0: to the end)


def write_config(store: DataConfig, out: Path, *, workers: int = 0) -> str:
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
            "hardware": {"device": "cpu", "precision": "fp32", "workers": workers},
        }
    )
    path = out.with_suffix(".json")
    path.write_text(config.model_dump_json())
    return str(path)


def run_all(jobs: Sequence[Job], folder: Path) -> tuple[list[int], str]:
    """Exit codes of the jobs, and all that they said."""
    # no pipes: the readers of a killed process hold them open for some seconds
    said, ended = folder / "said.txt", folder / "ended.txt"
    with said.open("w") as file, ended.open("w") as codes:
        answer = subprocess.run(
            [sys.executable, PROGRAM, json.dumps(jobs)],
            stdout=codes,
            stderr=file,
            check=False,
            timeout=100,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    text = said.read_text()
    assert answer.returncode == 0, text
    return [int(code) for code in ended.read_text().split()], text


def losses(out: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


def require_same_result(first: Path, second: Path) -> None:
    expected, found = echossl.load(first).state_dict(), echossl.load(second).state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert losses(first) == losses(second)
    assert [step for step, _ in losses(second)] == list(range(1, STEPS + 1))


@dataclass(frozen=True)
class Runs:
    """What became of all runs.

    Attributes:
        folder: where they are.
        steps: after which steps each was signalled, by its name.
        codes: the exit codes of its starts, by its name.
        text: what all of them said.
    """

    folder: Path
    steps: dict[str, list[int]]
    codes: dict[str, list[int]]
    text: str


@pytest.fixture(scope="module")
def runs(store: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One run that nobody disturbs, two that are killed three times each, one that is asked to stop twice."""
    folder = tmp_path_factory.mktemp("runs")
    signals = {"whole": [], "alone": KILLS, "readers": KILLS, "asked": ["SIGUSR1", "SIGTERM"]}
    steps: dict[str, list[int]] = {}
    jobs: list[Job] = []
    for name, numbers in signals.items():
        config = write_config(store, folder / name, workers=0 if name in {"whole", "alone"} else 2)
        # far from the end, so that the signal comes in time
        steps[name] = sorted(random.sample(range(2, STEPS - 20), len(numbers)))
        for number, step in zip(numbers, steps[name], strict=True):
            jobs.append((config, number, name == "asked", step))
        jobs.append((config, "", False, 0))
    codes, text = run_all(jobs, folder)
    rest = iter(codes)
    return Runs(folder, steps, {name: [next(rest) for _ in [*steps[name], 0]] for name in signals}, text)


@pytest.mark.parametrize("name", ["alone", "readers"])
def test_trap_23_killed_at_random_steps(runs: Runs, name: str) -> None:
    assert runs.codes["whole"] == [0]
    assert runs.codes[name] == [-9, -9, -9, 0], runs.steps
    require_same_result(runs.folder / "whole", runs.folder / name)


def test_a_scheduler_that_signals_all_processes_of_a_job(runs: Runs) -> None:
    assert runs.codes["asked"] == [0, 0, 0], runs.text
    found = re.findall(rf"(SIG\w+): saved at step (\d+) of {STEPS}; the same command continues", runs.text)
    assert [name for name, _ in found] == ["SIGUSR1", "SIGTERM"], runs.text
    for step, (_, saved) in zip(runs.steps["asked"], found, strict=True):
        assert step <= int(saved) < STEPS
    assert "is killed by signal" not in runs.text  # what torch says of a lost reader
    require_same_result(runs.folder / "whole", runs.folder / "asked")
