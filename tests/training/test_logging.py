import json
import time
from pathlib import Path

import pytest

from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig, WandbConfig
from echossl.errors import ConfigError
from echossl.training.logging import MetricsLog, NoLog, open_wandb, require_wandb


def steps_in(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_line_per_step_that_can_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.write(10, {"loss": 0.5, "learning_rate": 1e-3})
        assert json.loads(path.read_text()) == {"step": 10, "loss": 0.5, "learning_rate": 1e-3}
        log.write(20, {"loss": 0.25})
    assert steps_in(path) == [10, 20]


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.write(1, {"loss": float("nan"), "gradient_norm": float("inf"), "rate": 0.5})
    assert path.read_text() == '{"step": 1, "loss": null, "gradient_norm": null, "rate": 0.5}\n'


def test_no_step_is_doubled_after_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        for step in (10, 20, 30):
            log.write(step, {"loss": 1.0})
    with MetricsLog(path, resumed_step=20) as log:
        log.write(30, {"loss": 2.0})
    assert steps_in(path) == [10, 20, 30]
    assert json.loads(path.read_text().splitlines()[-1])["loss"] == 2.0
    with MetricsLog(path, resumed_step=0):
        pass
    assert path.read_text() == ""


def test_a_half_written_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "loss": 1.0}\n{"step": 20, "lo')
    with MetricsLog(path, resumed_step=20) as log:
        log.write(20, {"loss": 0.5})
    assert steps_in(path) == [10, 20]


def config(folder: Path, mode: str) -> PretrainConfig:
    return PretrainConfig(
        data=DataConfig(manifest=folder / "m.csv", store=folder / "s"),
        out=folder,
        wandb=WandbConfig.model_validate({"mode": mode, "project": "test"}),
    )


def test_disabled_is_an_object_that_does_nothing(tmp_path: Path) -> None:
    settings = config(tmp_path, "disabled")
    require_wandb(settings.wandb)
    with open_wandb(settings.wandb, folder=tmp_path, settings=settings) as log:
        assert isinstance(log, NoLog)
        log.write(1, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_offline_needs_no_login_and_goes_on_in_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    settings = config(folder, "offline")
    require_wandb(settings.wandb)
    for step in (1, 2):
        with open_wandb(settings.wandb, folder=folder, settings=settings) as log:
            log.write(step, {"loss": 0.5})
    name = (folder / "wandb_id.txt").read_text()
    files = list(folder.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 2
    assert {path.name for path in files} == {f"run-{name}.wandb"}
    # W&B's own process may still be writing when the run is finished
    deadline = time.monotonic() + 20
    while not all(b"loss" in path.read_bytes() for path in files):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_online_without_a_key_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"wandb\.mode: online needs a key"):
        require_wandb(WandbConfig(mode="online"))
