import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from wandb_file import config_of, finished_records, history

from echossl.augment import Augmentation
from echossl.config.data import DataConfig
from echossl.config.logging import WandbConfig
from echossl.config.training import PretrainConfig
from echossl.data.clips import PairSampler, TrainingClips
from echossl.errors import ConfigError
from echossl.runs import RunFolder
from echossl.training.examples import write_examples
from echossl.training.logging import NoLog
from echossl.training.parts import select_videos
from echossl.training.pretrain import pretrain
from echossl.training.wandb_log import open_wandb, require_wandb, wandb_mode

SMALL: dict[str, Any] = {
    "clip": {"num_frames": 4},
    "encoder": {"name": "compact3d", "width": 4},
    "objectives": [{"name": "contrastive", "hidden_dim": 8, "projection_dim": 4}],
    "optimiser": {"steps": 6, "warmup_steps": 2},
    "batch_size": 4,
    "log_every": 2,
    "hardware": {"device": "cpu", "precision": "fp32"},
}
# W&B's own, beside the figures
NOT_FIGURES = {"_step", "_runtime", "_timestamp", "example_clips"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who never logged in."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE")
    return tmp_path / "home"


def settings(store: DataConfig, out: Path, **wandb: object) -> PretrainConfig:
    return PretrainConfig.model_validate({"data": store, "out": out, "wandb": wandb, **SMALL})


def bare_settings(out: Path, **wandb: object) -> PretrainConfig:
    return settings(DataConfig(manifest=out / "m.csv", store=out / "s"), out, **wandb)


def offline_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime_ns)


def test_disabled_is_an_object_that_does_nothing(tmp_path: Path) -> None:
    config = bare_settings(tmp_path, mode="disabled")
    require_wandb(config.wandb)
    with open_wandb(config.wandb, run=RunFolder(tmp_path), settings=config) as log:
        assert isinstance(log, NoLog)
        log.write(1, {"loss": 1.0})
        log.media(1, "film", tmp_path / "film.mp4")
        log.artifact(tmp_path / "encoder.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_what_disabled_leaves_without_effect_is_said(caplog: pytest.LogCaptureFixture) -> None:
    require_wandb(WandbConfig(mode="disabled", project="echo"))
    assert not caplog.text
    require_wandb(WandbConfig(mode="disabled", group="arm", tags=("pilot",)))
    assert "wandb.mode is disabled: wandb.group and wandb.tags have no effect" in caplog.text


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(None, "offline"), ("disabled", "disabled"), ("online", "online"), ("dryrun", "offline")],
)
def test_auto_is_offline_unless_the_environment_says_otherwise(
    home: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, expected: str
) -> None:
    if asked:
        monkeypatch.setenv("WANDB_MODE", asked)
    assert wandb_mode(WandbConfig()) == expected
    assert wandb_mode(WandbConfig(mode="disabled")) == "disabled"
    assert wandb_mode(WandbConfig(mode="offline")) == "offline"


def test_auto_is_disabled_without_the_package_and_a_wish_for_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    assert wandb_mode(WandbConfig()) == "disabled"
    with pytest.raises(
        ConfigError, match=r"wandb\.mode: the package is missing; pip install 'echossl\[wandb\]'"
    ):
        require_wandb(WandbConfig(mode="offline"))


def test_online_without_a_key_is_refused_before_any_work(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"wandb\.mode: online needs a key"):
        require_wandb(WandbConfig(mode="online"))


def test_offline_run_holds_what_a_colleague_needs(home: Path, store: DataConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = settings(store, out, group="arm-a", tags=["first", "toy"], project="valve")
    pretrain(config)
    (file,) = offline_files(out)
    found = finished_records(file)

    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rows = {row["step"]: row for row in history(found)}
    assert [step for step in rows if "loss" in rows[step]] == [2, 4, 6]
    for line in lines:
        own = {name: value for name, value in rows[line["step"]].items() if name not in NOT_FIGURES}
        assert own == line

    run = next(record.run for record in found if record.HasField("run"))
    assert (run.project, run.run_group, run.job_type, list(run.tags)) == (
        "valve",
        "arm-a",
        "pretrain",
        ["first", "toy"],
    )
    assert run.run_id == (out / "wandb_id.txt").read_text()
    record = json.loads((out / "run.json").read_text())
    sent = config_of(found)
    assert {name: sent[name] for name in record["config"]} == record["config"]
    assert (sent["git"], sent["versions"]) == (record["git"], record["versions"])

    film = rows[0]["example_clips"]
    assert film["_type"] == "video-file"
    assert (file.parent / "files" / film["path"]).read_bytes() == (
        out / "media/example_clips.mp4"
    ).read_bytes()
    (artifact,) = [item.artifact for item in found if item.HasField("artifact")]
    assert (artifact.name, artifact.type) == ("run-encoder", "encoder")
    (entry,) = artifact.manifest.contents
    assert Path(entry.local_path) == out / "encoder.safetensors"
    assert entry.size == (out / "encoder.safetensors").stat().st_size
    written = [path for path in home.rglob("*") if path.is_file() and "logs" not in path.parts]
    assert written == []


def test_a_resumed_run_is_the_same_run(home: Path, tmp_path: Path) -> None:
    config = bare_settings(tmp_path / "run")
    run = RunFolder.open(config.out, config, command="pretrain")
    for step in (1, 2):
        with open_wandb(config.wandb, run=run, settings=config) as log:
            log.write(step, {"loss": 0.5})
    files = offline_files(config.out)
    name = (config.out / "wandb_id.txt").read_text()
    assert [path.name for path in files] == [f"run-{name}.wandb"] * 2
    assert [[row["step"] for row in history(finished_records(path))] for path in files] == [[1], [2]]


def test_a_failed_run_is_shown_as_failed(home: Path, tmp_path: Path) -> None:
    config = bare_settings(tmp_path / "run")
    run = RunFolder.open(config.out, config, command="pretrain")
    with pytest.raises(ValueError, match="diverged"), open_wandb(config.wandb, run=run, settings=config):
        raise ValueError("diverged")
    (exit_code,) = [
        record.exit.exit_code
        for record in finished_records(offline_files(config.out)[0])
        if record.HasField("exit")
    ]
    assert exit_code == 1


def test_training_goes_on_when_the_process_of_wandb_dies(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, as W&B keeps one connection for all runs of a process and its children."""
    monkeypatch.delenv("WANDB_SERVICE", raising=False)
    code = f"""
import psutil
from pathlib import Path
from echossl.config.training import PretrainConfig
from echossl.runs import RunFolder
from echossl.training.wandb_log import open_wandb
config = PretrainConfig(data={{"manifest": "m.csv", "store": "s"}}, out=Path({str(tmp_path / "run")!r}))
run = RunFolder.open(config.out, config, command="pretrain")
with open_wandb(config.wandb, run=run, settings=config) as log:
    log.write(1, {{"loss": 1.0}})
    for process in psutil.Process().children(recursive=True):
        process.kill()
        process.wait()
    for step in range(2, 60):
        log.write(step, {{"loss": 1.0}})
print("trained")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "trained\n"
    assert done.returncode == 0
    assert done.stderr.count("Weights & Biases failed (ConnectionResetError") == 1


def test_the_example_film_shows_what_training_sees(store: DataConfig, tmp_path: Path) -> None:
    config = settings(store, tmp_path / "run", mode="disabled")
    clip_store, table = select_videos(config)
    sampler = PairSampler(table, positives="two_videos", num_clips=2, batch_size=4, clip=config.clip, seed=0)
    clips = TrainingClips(clip_store, sampler, steps=1)
    augmentation = Augmentation(config.augment, seed=0)
    path = tmp_path / "film.mp4"
    write_examples(clips, augmentation, path, count=3)
    seen = augmentation(clips[0].clips, step=0).flatten(0, 1)[:3, 0]  # (3, frames, height, width)
    expected = torch.cat(list(seen), dim=-1).mul(255).numpy()
    with av.open(str(path)) as film:
        frames = np.stack([frame.to_ndarray(format="gray") for frame in film.decode(video=0)])
        rate = float(film.streams.video[0].average_rate)
    assert frames.shape == (4, 16, 48)
    assert np.abs(frames.astype(float) - expected).mean() < 12  # the film is compressed
    assert rate == pytest.approx(config.clip.num_frames / config.clip.clip_seconds, rel=1e-3)
    assert path.stat().st_size < 20_000
