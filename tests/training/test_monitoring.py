"""Monitors at work in a run: nothing is changed by them, and the best encoder is kept beside the last."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import echossl
from echossl.config.data import DataConfig
from echossl.config.monitors import MonitorConfig
from echossl.config.training import HardwareConfig, PretrainConfig
from echossl.data.clips import video_requests
from echossl.data.store import ClipStore
from echossl.errors import DecodeError, EchosslError
from echossl.training.encoding import encode
from echossl.training.hardware import Hardware
from echossl.training.monitors.best import FILE_NAME, BestEncoder, read_best
from echossl.training.monitors.look import Looks, Watched
from echossl.training.pretrain import pretrain

SMALL: dict[str, Any] = {
    "clip": {"num_frames": 4},
    "encoder": {"name": "compact3d", "width": 4},
    "objectives": [{"name": "contrastive", "hidden_dim": 8, "projection_dim": 4}],
    "optimiser": {"steps": 7, "warmup_steps": 2},
    "batch_size": 2,
    "checkpoint_every": 2,
    "log_every": 2,
    "hardware": {"device": "cpu", "precision": "fp32"},
}
WATCH = {"every": 3, "column": "severe_as", "leak_columns": ["source"], "keep_best": "knn_auroc"}


def config(data: DataConfig, out: Path, monitor: dict[str, Any], **changes: object) -> PretrainConfig:
    return PretrainConfig.model_validate({"data": data, "out": out, **SMALL, "monitor": monitor, **changes})


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def seen_by_monitors(line: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in line.items() if name.startswith("monitor/")}


def test_by_default_nothing_is_looked_at(labelled: DataConfig, tmp_path: Path) -> None:
    plain = PretrainConfig.model_validate({"data": labelled, "out": tmp_path, **SMALL})
    assert plain.monitor == MonitorConfig()
    assert Watched.build(plain, ClipStore.open(labelled.store)) is None


def test_a_run_with_monitors_ends_with_the_same_weights(labelled: DataConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain = echossl.load(pretrain(config(labelled, tmp_path / "plain", {}))).state_dict()
    after_plain = torch.rand(3)
    torch.manual_seed(0)
    watched = echossl.load(pretrain(config(labelled, tmp_path / "watched", WATCH))).state_dict()
    assert torch.equal(torch.rand(3), after_plain)
    assert all(torch.equal(value, watched[name]) for name, value in plain.items())
    lines = lines_of(tmp_path / "watched")
    assert [line["step"] for line in lines] == [2, 3, 4, 6, 7]  # no step twice, and the last one always
    assert [line["step"] for line in lines if seen_by_monitors(line)] == [3, 6, 7]
    assert all("loss" in line and "clips_per_second" in line for line in lines)
    without = [line for line in lines if line["step"] != 3]
    assert [line["loss"] for line in without] == [line["loss"] for line in lines_of(tmp_path / "plain")]
    found = seen_by_monitors(lines[-1])
    assert {"monitor/knn_auroc", "monitor/probe_auroc", "monitor/effective_rank", "monitor/seconds"} <= set(
        found
    )
    assert found["monitor/leak_source_chance"] == 0.5
    assert all(math.isfinite(value) for value in found.values())


def test_the_best_encoder_is_that_of_its_step(labelled: DataConfig, tmp_path: Path) -> None:
    """A run that is as long as the best step ends with the encoder that was kept."""
    out = tmp_path / "run"
    constant = {"optimiser": {**SMALL["optimiser"], "schedule": "constant"}}
    pretrain(config(labelled, out, {"every": 1, "keep_best": "effective_rank"}, **constant))
    figures = {line["step"]: line["monitor/effective_rank"] for line in lines_of(out)}
    best = json.loads((out / "result.json").read_text())["best"]
    step = max(figures, key=lambda number: (figures[number], -number))
    assert best == {
        "encoder": "encoder_best.safetensors",
        "step": step,
        "figure": "effective_rank",
        "value": figures[step],
    }
    short = {"optimiser": {**constant["optimiser"], "steps": step}}
    expected = echossl.load(pretrain(config(labelled, tmp_path / "short", {}, **short)))
    kept = echossl.load(out / "encoder_best.safetensors")
    assert all(torch.equal(value, kept.state_dict()[name]) for name, value in expected.state_dict().items())
    assert kept.metadata.provenance["best_step"] == str(step)
    assert kept.metadata.provenance["best_split"] == "val"
    assert kept.metadata.provenance["best_labels"] == "none"


@pytest.mark.parametrize(("figure", "labels"), [("knn_auroc", "severe_as"), ("embedding_std", "none")])
def test_the_best_encoder_says_whether_labels_chose_it(
    labelled: DataConfig, tmp_path: Path, figure: str, labels: str
) -> None:
    """Labels that are looked at beside a figure that does without them have not chosen."""
    pretrain(config(labelled, tmp_path / "run", WATCH | {"keep_best": figure}))
    kept = echossl.load(tmp_path / "run" / FILE_NAME)
    assert kept.metadata.provenance["best_labels"] == labels


def test_the_best_encoder_can_be_a_start(labelled: DataConfig, tmp_path: Path) -> None:
    pretrain(config(labelled, tmp_path / "first", WATCH))
    best = tmp_path / "first" / FILE_NAME
    pretrain(config(labelled, tmp_path / "second", {}, start=str(best)))
    assert (tmp_path / "second" / "encoder.safetensors").is_file()


def test_figures_are_those_of_the_encoder_alone(labelled: DataConfig, tmp_path: Path) -> None:
    settings = config(labelled, tmp_path / "run", {"every": 7, "clips_per_video": 2})
    encoder = echossl.load(pretrain(settings))
    store = ClipStore.open(labelled.store)
    hardware = Hardware.resolve(HardwareConfig(device="cpu", precision="fp32"))
    watched = Watched.build(settings, store)
    assert watched is not None
    videos, features = Looks(watched, encoder, hardware)._embed()
    for row, vector in zip(videos["row"], features, strict=True):
        requests = video_requests(store, row, settings.clip, count=2)
        own = encode(encoder, store, requests, hardware=hardware)
        np.testing.assert_allclose(vector, own.mean(axis=0), atol=1e-6)
    found = seen_by_monitors(lines_of(tmp_path / "run")[-1])
    again = Looks(watched, encoder, hardware).take(7)
    assert found.pop("monitor/seconds") > 0
    assert {name: again[name] for name in found} == pytest.approx(found, rel=1e-5)


def test_unreadable_videos_are_left_out_and_named(
    labelled: DataConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(labelled, tmp_path / "run", {"every": 1})
    store = ClipStore.open(labelled.store)
    watched = Watched.build(settings, store)
    assert watched is not None
    encoder = echossl.load(pretrain(config(labelled, tmp_path / "other", {})))
    looks = Looks(watched, encoder, Hardware.resolve(HardwareConfig(device="cpu", precision="fp32")))
    whole, bad = store.read_into, watched.videos["row"].iloc[[1, 4]].tolist()

    def read_into(place: np.ndarray, row: int, indices: np.ndarray) -> None:
        if row in bad:
            raise EchosslError("cut short")
        whole(place, row, indices)

    monkeypatch.setattr(store, "read_into", read_into)
    with caplog.at_level(logging.WARNING):
        found = looks.take(1)
    assert math.isfinite(found["monitor/embedding_std"])
    assert [store.paths[row] in text for row, text in zip(bad, caplog.messages, strict=True)] == [True, True]
    assert "go on without a video" in caplog.text
    caplog.clear()
    looks.take(2)
    assert not caplog.records  # said once
    bad = watched.videos["row"].tolist()
    with pytest.raises(DecodeError, match="cut short"):
        looks.take(3)


def test_broken_weights_are_told_and_never_the_best(
    labelled: DataConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = echossl.load(pretrain(config(labelled, tmp_path / "other", {})))
    settings = config(labelled, tmp_path / "run", WATCH)
    watched = Watched.build(settings, ClipStore.open(labelled.store))
    assert watched is not None
    with torch.no_grad():
        next(encoder.parameters()).fill_(math.nan)
    looks = Looks(watched, encoder, Hardware.resolve(HardwareConfig(device="cpu", precision="fp32")))
    assert looks.take(3)["monitor/not_finite"] == 1
    assert "not finite" in caplog.text
    assert read_best(settings.out) is None


def test_the_best_is_found_again_and_equal_ones_do_not_replace_it(
    labelled: DataConfig, tmp_path: Path
) -> None:
    encoder = echossl.load(pretrain(config(labelled, tmp_path / "run", {})))
    folder = tmp_path / "best"
    (folder / ".encoder_best.xyz.safetensors").parent.mkdir()
    (folder / ".encoder_best.xyz.safetensors").write_bytes(b"half")
    values = [math.nan, 0.5, 0.1 + 0.2, 0.3, -math.inf, math.inf, 0.1 + 0.2, 0.25]
    for step, value in enumerate(values):
        BestEncoder(folder, "f", {}).offer(encoder, step, {"f": value})  # as after a kill at every step
    assert read_best(folder) == {"encoder": FILE_NAME, "step": 1, "figure": "f", "value": 0.5}
    BestEncoder(folder, "f", {}).offer(encoder, 9, {"g": 7.0})
    assert read_best(folder)["step"] == 1
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_a_best_that_cannot_be_written_leaves_the_one_before(
    labelled: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = echossl.load(pretrain(config(labelled, tmp_path / "run", {})))
    best = BestEncoder(tmp_path / "best", "f", {})
    best.offer(encoder, 1, {"f": 0.5})

    def full(*words: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(best.offer.__globals__, "write_weights", full)
    with pytest.raises(EchosslError, match=r"No space left on device.*file before it is untouched"):
        best.offer(encoder, 2, {"f": 0.6})
    assert read_best(tmp_path / "best")["step"] == 1


def test_videos_table_is_not_changed_by_a_look(labelled: DataConfig, tmp_path: Path) -> None:
    settings = config(labelled, tmp_path / "run", WATCH)
    watched = Watched.build(settings, ClipStore.open(labelled.store))
    assert watched is not None
    before = watched.videos.copy()
    encoder = echossl.load(pretrain(config(labelled, tmp_path / "other", {})))
    Looks(watched, encoder, Hardware.resolve(HardwareConfig(device="cpu", precision="fp32"))).take(3)
    pd.testing.assert_frame_equal(before, watched.videos)
