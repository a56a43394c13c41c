"""A dry run makes real steps, says what the run would take, and leaves nothing behind."""

from pathlib import Path

import pytest
import torch

from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.errors import UserError
from echossl.training.dry_run import DryRun, dry_run
from echossl.training.pretrain import pretrain


def config(store: DataConfig, out: Path, **changes: object) -> PretrainConfig:
    values = {
        "data": store,
        "out": out,
        "clip": {"num_frames": 4},
        "encoder": {"name": "compact3d", "width": 8},
        "optimiser": {"steps": 3, "warmup_steps": 1},
        "batch_size": 4,
        "keep_checkpoints": 3,
        "hardware": {"device": "cpu", "precision": "fp32"},
    }
    return PretrainConfig.model_validate(values | changes)


def test_two_steps_are_made_and_nothing_is_written(store: DataConfig, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    found = dry_run(config(store, tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (found.device, found.precision, found.num_processes) == ("cpu", "fp32", 1)
    assert found.step_seconds > 0
    assert found.step_clips_per_second == pytest.approx(4 * 2 / found.step_seconds)
    assert found.run_seconds == pytest.approx(3 * (found.step_seconds + found.read_seconds))
    assert found.memory_bytes > 2**20
    assert found.disk_bytes > 4 * found.checkpoint_bytes


def test_the_size_of_a_checkpoint_is_that_of_the_run(store: DataConfig, tmp_path: Path) -> None:
    settings = config(store, tmp_path / "run")
    promised = dry_run(settings).checkpoint_bytes
    pretrain(settings)
    (path,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert path.stat().st_size == pytest.approx(promised, rel=0.1)


def test_a_run_of_one_step_can_be_tried(store: DataConfig, tmp_path: Path) -> None:
    one = config(store, tmp_path / "run", optimiser={"steps": 1, "warmup_steps": 0})
    assert dry_run(one).run_seconds < 60


def test_faults_are_those_of_the_run(store: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="batch of 9 patients cannot be drawn from 8"):
        dry_run(config(store, tmp_path / "run", batch_size=9))


def test_what_a_person_reads() -> None:
    found = DryRun("cuda:0", "bf16", 2, 33_200_000, 0.25, 0.5, 512.0, 7384.0, 2**30, 2**27, 2**29)
    assert str(found).splitlines() == [
        "cuda:0, bf16, 2 process(es), 33.20 M parameters",
        "step:   0.250 s, 512.0 clips/s; reading its batch 0.500 s",
        "run:    about 2 h 3 min",
        "memory: 1,024 MiB",
        "disk:   512.0 MiB, 128.0 a checkpoint",
    ]
