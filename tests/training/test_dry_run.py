"""A dry run makes real steps, says what the run would take, and leaves nothing behind."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.errors import ConfigError, UserError
from echossl.training.compilation import why_not_compiled
from echossl.training.dry_run import DryRun, dry_run
from echossl.training.parts import build_parts
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
    assert found.peak is not None
    assert found.share_of_peak == pytest.approx(found.step_operations / found.step_seconds / found.peak)
    assert found.peak_source == "fp32 matrix product measured here"
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


def test_logs_that_cannot_be_written_are_refused(
    store: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"wandb\.mode: the package is missing"):
        dry_run(config(store, tmp_path / "run", wandb={"mode": "offline"}))
    with pytest.raises(ConfigError, match="tensorboard: the package is missing"):
        dry_run(config(store, tmp_path / "run", tensorboard=True, wandb={"mode": "disabled"}))


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ({"speckle_grain_pixels": 2}, r"augment\.speckle_grain_pixels: .*; set speckle too"),
        (
            {"rotation_about": "probe", "rotation_degrees": 0, "scale": 0},
            r"augment\.rotation_about: .*; set rotation_degrees or scale too",
        ),
    ],
)
def test_augmentation_without_effect_is_refused(
    store: DataConfig, tmp_path: Path, augment: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        dry_run(config(store, tmp_path / "run", augment=augment))


def test_a_pretext_on_motion_needs_an_encoder_that_sees_it(store: DataConfig, tmp_path: Path) -> None:
    wanted = {"objectives": [{"name": "relative_speed"}], "clip": {"num_frames": 8}}
    with pytest.raises(UserError, match=r"compact3d sees grey values alone.*; set encoder\.motion to"):
        build_parts(config(store, tmp_path / "run", **wanted))
    for motion in ("beside", "only"):
        seeing = {"name": "compact3d", "width": 4, "motion": motion}
        build_parts(config(store, tmp_path / "run", **wanted, encoder=seeing))


def test_operations_are_those_of_the_encoder_times_three(store: DataConfig, tmp_path: Path) -> None:
    settings = config(store, tmp_path / "run", objectives=[{"name": "contrastive"}])
    parts = build_parts(settings)
    clips = torch.rand(8, 1, 4, 16, 16)
    with torch.no_grad(), FlopCounterMode(display=False) as forward:
        parts.learner.encoder.eval()(clips)
    found = dry_run(settings).step_operations
    # backward: by the weights and by the input, but not in the first layer; heads add some
    assert 2.5 * forward.get_total_flops() < found < 3.3 * forward.get_total_flops()


@pytest.mark.skipif(why_not_compiled(torch.device("cpu")) is not None, reason="no C++ compiler")
def test_a_compiled_run_can_be_tried(store: DataConfig, tmp_path: Path) -> None:
    compiled = config(
        store, tmp_path / "run", hardware={"device": "cpu", "precision": "fp32", "compile": "on"}
    )
    with torch.compiler.set_stance("force_eager"):
        found = dry_run(compiled)
    assert "compile on" in str(found)
    assert found.step_operations == dry_run(config(store, tmp_path / "run")).step_operations


FOUND = DryRun(
    device="cuda:0",
    precision="bf16",
    hardware="cuda:0 (NVIDIA H200), bf16, channels-last, compile on, 4 readers",
    num_processes=2,
    num_parameters=33_200_000,
    step_seconds=0.25,
    read_seconds=0.5,
    step_clips_per_second=512.0,
    step_operations=10**14,
    peak=1e15,
    peak_source="bf16 peak of NVIDIA H200",
    run_seconds=7384.0,
    memory_bytes=2**30,
    checkpoint_bytes=2**27,
    disk_bytes=2**29,
)


def test_what_a_person_reads() -> None:
    assert str(FOUND).splitlines() == [
        "cuda:0 (NVIDIA H200), bf16, channels-last, compile on, 4 readers, 2 process(es), 33.20 M parameters",
        "step:   0.250 s, 512.0 clips/s; reading its batch 0.500 s",
        "peak:   400 TFLOP/s, 40.0% of the bf16 peak of NVIDIA H200",
        "run:    about 2 h 3 min",
        "memory: 1,024 MiB",
        "disk:   512.0 MiB, 128.0 a checkpoint",
    ]


def test_an_unknown_peak_is_said() -> None:
    unknown = replace(FOUND, peak=None, peak_source="peak of NVIDIA X1 unknown")
    assert "peak:   400 TFLOP/s, peak of NVIDIA X1 unknown" in str(unknown)
