import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import echossl
from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.data.store import ClipStore
from echossl.errors import ConfigError, RunFolderError, UserError
from echossl.training.pretrain import pretrain
from echossl.training.statistics import grey_statistics

SMALL: dict[str, Any] = {
    "clip": {"num_frames": 4},
    "encoder": {"name": "compact3d", "width": 4},
    "objectives": [{"name": "contrastive", "hidden_dim": 8, "projection_dim": 4}, {"name": "frame_order"}],
    "optimiser": {"steps": 6, "warmup_steps": 2},
    "batch_size": 4,
    "checkpoint_every": 3,
    "log_every": 2,
    "hardware": {"device": "cpu", "precision": "fp32"},
}


def config(store: DataConfig, out: Path, **changes: object) -> PretrainConfig:
    return PretrainConfig.model_validate({"data": store, "out": out, **SMALL, **changes})


def weights(path: Path) -> dict[str, Tensor]:
    return echossl.load(path).state_dict()


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_from_store_to_encoder(store: DataConfig, tmp_path: Path) -> None:
    out = tmp_path / "run"
    path = pretrain(config(store, out))
    assert path == out / "encoder.safetensors"
    encoder = echossl.load(out)
    assert encoder(torch.rand(2, 1, 4, 16, 16)).shape == (2, 32)
    assert encoder.metadata.size == 16
    assert encoder.metadata.clip.num_frames == 4
    assert encoder.metadata.provenance["patients"] == "8"  # the test split plays no part
    assert encoder.metadata.provenance["objectives"] == "contrastive + frame_order"
    assert str(tmp_path) not in encoder.metadata.model_dump_json()
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    result = json.loads((out / "result.json").read_text())
    assert result["precision"] == "fp32"
    assert result["device"] == "cpu"
    assert (result["num_patients"], result["num_videos"]) == (8, 16)
    assert result["last"] == lines[-1]
    assert (out / "run.json").is_file()


def test_the_stored_statistics_are_those_of_the_training_frames(store: DataConfig, tmp_path: Path) -> None:
    encoder = echossl.load(pretrain(config(store, tmp_path / "run")))
    clips = ClipStore.open(store.store)
    train = [row for row, patient in enumerate(clips.table["patient_id"]) if patient not in {"p8", "p9"}]
    picked = np.linspace(0, 13, 8).round().astype(int)
    grey = np.concatenate([clips.frames(row)[picked].ravel() for row in train]) / 255
    assert encoder.metadata.mean == pytest.approx(grey.mean(), abs=1e-4)
    assert encoder.metadata.std == pytest.approx(grey.std(), abs=1e-4)
    assert grey_statistics(clips, np.array(train * 2)) == (encoder.metadata.mean, encoder.metadata.std)


def test_the_same_run_twice_gives_the_same_weights(store: DataConfig, tmp_path: Path) -> None:
    first = weights(pretrain(config(store, tmp_path / "a")))
    torch.manual_seed(123)  # the global generator plays no part
    assert same(first, weights(pretrain(config(store, tmp_path / "b"))))
    assert not same(first, weights(pretrain(config(store, tmp_path / "c", seed=1))))


def test_reader_processes_do_not_change_the_weights(store: DataConfig, tmp_path: Path) -> None:
    alone = pretrain(config(store, tmp_path / "a"))
    hardware = {**SMALL["hardware"], "workers": 2}
    read_ahead = pretrain(config(store, tmp_path / "b", hardware=hardware))
    assert same(weights(alone), weights(read_ahead))


def test_one_objective_alone(store: DataConfig, tmp_path: Path) -> None:
    for name in ("contrastive", "frame_order"):
        path = pretrain(config(store, tmp_path / name, objectives=[{"name": name}]))
        assert echossl.load(path).metadata.provenance["objectives"] == name


def test_a_finished_run_returns_at_once(store: DataConfig, tmp_path: Path) -> None:
    path = pretrain(config(store, tmp_path / "run"))
    before = path.stat().st_mtime_ns
    gone = DataConfig(manifest=store.manifest, store=store.store)
    assert pretrain(config(gone, tmp_path / "run")) == path
    assert path.stat().st_mtime_ns == before
    assert pretrain(config(store, tmp_path / "run", hardware={"device": "cpu"})) == path


def test_trap_23_a_run_folder_of_other_settings_is_refused(store: DataConfig, tmp_path: Path) -> None:
    pretrain(config(store, tmp_path / "run"))
    with pytest.raises(RunFolderError, match="seed: 0 there, 5 asked for"):
        pretrain(config(store, tmp_path / "run", seed=5))


FAULTS: list[tuple[dict[str, Any], type[UserError], str]] = [
    ({"split": "trian"}, UserError, r"no video of split 'trian', found 'test', 'train'; set split"),
    ({"clip": {"num_frames": 6}}, UserError, "clips of 6 frames cannot be split into 4"),
    ({"clip": {"num_frames": 5}}, UserError, "compact3d: found clips of 5 frames"),
    ({"batch_size": 9}, UserError, "batch of 9 patients cannot be drawn from 8"),
    ({"objectives": [{"name": "contrastive"}] * 2}, ConfigError, "contrastive is named twice"),
    ({"hardware": {"device": "cuda:9"}}, ConfigError, "GPUs"),
    # what only network and objective together cannot take
    ({"objectives": [{"name": "contrastive", "dense_grid": 4}]}, UserError, "dense_grid is 4.* 1 x 1 places"),
    ({"objectives": [{"name": "segment_order", "num_segments": 4}]}, UserError, "found clips of 1 frames"),
]


@pytest.mark.parametrize(("changes", "kind", "message"), FAULTS)
def test_faults_are_found_before_the_run_folder_is_made(
    store: DataConfig, tmp_path: Path, changes: dict[str, Any], kind: type[UserError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        pretrain(config(store, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_without_a_split_column_all_videos_are_used(store: DataConfig, tmp_path: Path) -> None:
    table = pd.read_csv(store.manifest).drop(columns="split")
    table["path"] = [str(store.manifest.parent / name) for name in table["path"]]
    table.to_csv(tmp_path / "all.csv", index=False)
    everything = DataConfig(manifest=tmp_path / "all.csv", store=store.store)
    path = pretrain(config(everything, tmp_path / "run"))
    assert echossl.load(path).metadata.provenance["videos"] == "20"


def test_an_encoder_of_relative_speed_says_how_many_frames_it_saw(store: DataConfig, tmp_path: Path) -> None:
    motion = {"encoder": {"name": "compact3d", "width": 4, "motion": "beside"}, "clip": {"num_frames": 8}}
    changes = motion | {
        "objectives": [{"name": "relative_speed"}],
        "optimiser": {"steps": 2, "warmup_steps": 1},
    }
    pretrain(config(store, tmp_path / "run", **changes, augment={"flip": 0.0}))
    assert echossl.load(tmp_path / "run").metadata.clip.num_frames == 4
