"""EchoCLR as published, from its file: a few updates on a small store, with every setting but the sizes."""

import json
from pathlib import Path

import pytest
import torch

import echossl
from echossl.config.base import load_config
from echossl.config.data import DataConfig
from echossl.config.training import PretrainConfig
from echossl.data.samplers import PairSampler
from echossl.data.study_pairs import StudyPairSampler
from echossl.objectives import SharedPass
from echossl.training.parts import build_parts
from echossl.training.pretrain import pretrain

FILE = Path(__file__).parents[2] / "experiments" / "pretrain" / "echoclr_published.yaml"


def published(store: DataConfig, out: Path, *changes: str) -> PretrainConfig:
    words = [
        f"data.manifest={store.manifest}",
        f"data.store={store.store}",
        f"out={out}",
        "encoder.width=4",
        "batch_size=6",
        "optimiser.steps=3",
        "log_every=1",
        "hardware.workers=0",
        "hardware.device=cpu",
        "wandb.mode=disabled",
    ]
    return load_config(PretrainConfig, FILE, [*words, *changes])


def test_it_trains_and_says_how_it_sees_grey_values(store: DataConfig, tmp_path: Path) -> None:
    first = echossl.load(pretrain(published(store, tmp_path / "first")))
    assert (first.metadata.grey, first.metadata.mean, first.metadata.std) == ("clip_min_max", 0, 1)
    lines = [json.loads(line) for line in (tmp_path / "first" / "metrics.jsonl").read_text().splitlines()]
    assert [line["learning_rate"] for line in lines] == [0.1] * 3
    for line in lines:
        assert line["loss"] == pytest.approx(line["contrastive/loss"] + line["frame_order/loss"], rel=1e-5)
    again = echossl.load(pretrain(published(store, tmp_path / "second"))).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.state_dict().items())


def test_its_parts_are_those_of_the_paper(store: DataConfig, tmp_path: Path) -> None:
    parts = build_parts(published(store, tmp_path))
    assert isinstance(parts.clips.sampler, StudyPairSampler)
    assert isinstance(parts.learner.objective, SharedPass)
    batch = parts.clips[0]
    assert batch.clips.shape == (6, 2, 1, 4, 16, 16)
    other = published(store, tmp_path, "pairs=patients", "objectives.0.same_patient=excluded")
    assert isinstance(build_parts(other).clips.sampler, PairSampler)
