"""Killed at any step, or on several processes: the same figures, and the same best encoder."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from test_distributed import run
from test_monitoring import SMALL, config, lines_of, seen_by_monitors
from test_resume import run_all

import echossl
from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.training.monitors.best import FILE_NAME, read_best
from echossl.training.pretrain import pretrain

STEPS = 40
MONITOR = {"every": 4, "column": "severe_as", "keep_best": "effective_rank"}


def write_config(data: DataConfig, out: Path, *, steps: int) -> str:
    optimiser = {"steps": steps, "warmup_steps": 2}
    settings = config(data, out, MONITOR, optimiser=optimiser, checkpoint_every=7, log_every=1)
    path = out.with_suffix(".json")
    path.write_text(settings.model_dump_json())
    return str(path)


def figures_of(out: Path) -> list[tuple[int, dict[str, float]]]:
    """Step and figures of every look, but for the seconds it took."""
    found = [(line["step"], seen_by_monitors(line)) for line in lines_of(out)]
    return [
        (step, {name: value for name, value in seen.items() if name != "monitor/seconds"})
        for step, seen in found
        if seen
    ]


@pytest.fixture(scope="module")
def folder(labelled: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbs, and one that is killed three times."""
    folder = tmp_path_factory.mktemp("monitored")
    killed = write_config(labelled, folder / "killed", steps=STEPS)
    steps = sorted(random.sample(range(3, STEPS - 8), 3))
    jobs = [(killed, "SIGKILL", False, step) for step in steps]
    jobs += [(path, "", False, 0) for path in (killed, write_config(labelled, folder / "whole", steps=STEPS))]
    codes, text = run_all(jobs, folder)
    assert codes == [-9, -9, -9, 0, 0], (steps, text)
    return folder


def test_trap_23_the_best_of_a_killed_run_is_that_of_the_whole_one(folder: Path) -> None:
    whole, killed = folder / "whole", folder / "killed"
    assert figures_of(killed) == figures_of(whole)
    assert [step for step, _ in figures_of(whole)] == list(range(4, STEPS + 1, 4))
    assert read_best(killed) == read_best(whole)
    best = {step: seen["monitor/effective_rank"] for step, seen in figures_of(whole)}
    assert read_best(whole)["step"] == max(best, key=lambda step: (best[step], -step))
    for name in (FILE_NAME, "encoder.safetensors"):
        weights = [echossl.load(out / name).state_dict() for out in (whole, killed)]
        assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
    for out in (whole, killed):
        assert json.loads((out / "result.json").read_text())["best"] == read_best(out)
        assert not list(out.glob(".*"))


@pytest.mark.parametrize("num_ranks", [2])
def test_one_process_looks_while_the_others_wait(
    labelled: DataConfig, tmp_path: Path, num_ranks: int
) -> None:
    for ranks in (1, num_ranks):
        run(ranks, "pretrain", str(tmp_path), write_config(labelled, tmp_path / f"run{ranks}", steps=8))
    one, several = (figures_of(tmp_path / f"run{ranks}") for ranks in (1, num_ranks))
    assert [step for step, _ in several] == [4, 8]
    for (_, expected), (_, found) in zip(one, several, strict=True):
        assert found == pytest.approx(expected, rel=1e-2)  # the weights differ by rounding
    assert read_best(tmp_path / "run1")["step"] == read_best(tmp_path / f"run{num_ranks}")["step"]


def test_a_run_from_before_there_were_monitors_goes_on(labelled: DataConfig, tmp_path: Path) -> None:
    settings = PretrainConfig.model_validate({"data": labelled, "out": tmp_path / "run", **SMALL})
    path = pretrain(settings)
    record: dict[str, Any] = json.loads((tmp_path / "run" / "run.json").read_text())
    del record["config"]["monitor"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    assert pretrain(settings) == path
    assert "best" not in json.loads((tmp_path / "run" / "result.json").read_text())
