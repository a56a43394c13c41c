"""Pre-training on several sources: batches, patients, grey values, and runs from the settings on."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import echossl
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.training import PretrainConfig
from echossl.data.clips import TrainingClips
from echossl.data.fused_store import FusedStore
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import prepare
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.training.parts import build_parts, select_videos
from echossl.training.pretrain import pretrain


def fused(store: DataConfig, out: Path, **changes: object) -> PretrainConfig:
    """The store beside itself, under another name: all patient ids and paths stand in both."""
    other = {"name": "elsewhere", "manifest": store.manifest, "store": store.store}
    settings = {
        "data": store,
        "out": out,
        "fusion": {"sources": [other], **changes.pop("fusion", {})},  # type: ignore[dict-item]
        "clip": {"num_frames": 4},
        "encoder": {"name": "compact3d", "width": 4},
        "objectives": [{"name": "masked", "patch": 4}],
        "optimiser": {"steps": 4, "warmup_steps": 1},
        "batch_size": 6,
        "checkpoint_every": 2,
        "log_every": 2,
        "hardware": {"device": "cpu", "precision": "fp32"},
    }
    return PretrainConfig.model_validate(settings | changes)


def test_equal_ids_of_two_sources_are_two_patients(store: DataConfig, tmp_path: Path) -> None:
    _, table = select_videos(fused(store, tmp_path))
    assert table["patient_id"].nunique() == 16
    assert set(table["patient_id"].str.partition(":")[0]) == {"data", "elsewhere"}
    assert table["row"].is_unique
    assert set(table["split"]) == {"train"}


def test_frames_are_those_of_their_own_store(store: DataConfig, tmp_path: Path) -> None:
    both, table = select_videos(fused(store, tmp_path))
    plain = ClipStore.open(store.store)
    assert isinstance(both, FusedStore)
    assert len(both) == len(both.table) == len(both.paths) == len(both.durations) == 2 * len(plain)
    for row in table["row"]:
        assert np.array_equal(both.frames(row), plain.frames(row % len(plain)))
        assert np.array_equal(both.frame_seconds(row), plain.frame_seconds(row % len(plain)))
        assert both.paths[row] == plain.paths[row % len(plain)]
    again = copy.deepcopy(both)  # as it goes to a reader process
    assert np.array_equal(again.frames(len(plain) + 3), plain.frames(3))


def test_grey_values_of_one_source_are_moved_and_only_those(store: DataConfig) -> None:
    plain = ClipStore.open(store.store)
    levels = (np.arange(256) // 2).astype(np.uint8)
    both = FusedStore([plain, plain], [None, levels])
    place = np.empty((3, 16, 16), dtype=np.uint8)
    for row, wanted in ((2, plain.frames(2)[:3]), (len(plain) + 2, levels[plain.frames(2)[:3]])):
        both.read_into(place, row, [0, 1, 2])
        assert np.array_equal(place, wanted)
        assert np.array_equal(both.frames(row)[:3], wanted)


def test_processes_share_the_batch_of_one(store: DataConfig, tmp_path: Path) -> None:
    parts = build_parts(fused(store, tmp_path / "run", fusion={"sampling": "uniform"}))
    alone = parts.clips
    for step in (0, 3):
        whole = alone[step]
        shares = [
            TrainingClips(alone.store, alone.sampler, steps=4, rank=rank, world_size=3)[step]
            for rank in range(3)
        ]
        assert torch.equal(torch.cat([share.clips for share in shares]), whole.clips)
        assert torch.equal(torch.cat([share.patients for share in shares]), whole.patients)
        of_first = (whole.videos[:, 0] < len(alone.store) // 2).sum()
        assert of_first == 3


def test_a_run_with_readers_is_the_run_without_and_says_what_it_was_made_of(
    store: DataConfig, tmp_path: Path
) -> None:
    plain = echossl.load(pretrain(fused(store, tmp_path / "a")))
    hardware = {"device": "cpu", "precision": "fp32", "workers": 2}
    read_ahead = echossl.load(pretrain(fused(store, tmp_path / "b", hardware=hardware)))
    for name, weight in plain.state_dict().items():
        assert torch.equal(read_ahead.state_dict()[name], weight)
    assert plain.metadata.provenance["sources"] == "data 8 patients 50.0%, elsewhere 8 patients 50.0%"
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert (result["num_patients"], result["num_videos"]) == (16, 32)


def test_a_source_that_is_matched_to_itself_stays_as_it_is(store: DataConfig, tmp_path: Path) -> None:
    both, _ = select_videos(fused(store, tmp_path, fusion={"grey": "matched"}))
    assert isinstance(both, FusedStore)
    assert both.levels[0] is None
    assert np.array_equal(both.levels[1], np.arange(256))


def test_no_video_of_another_split_is_opened(store: DataConfig, tmp_path: Path) -> None:
    parts = build_parts(fused(store, tmp_path / "run"))
    owners = parts.store.table["patient_id"].to_numpy()
    seen = {owners[row] for step in range(4) for row in parts.clips[step].videos.flatten().tolist()}
    assert seen <= {f"p{number}" for number in range(8)}


def test_stores_of_other_sizes_and_splits_without_videos_are_refused(
    store: DataConfig, tmp_path: Path
) -> None:
    table = read_manifest(store.manifest).head(2)
    write_manifest(table, tmp_path / "few.csv")
    prepare(
        PrepareConfig(
            manifest=tmp_path / "few.csv", out=tmp_path / "large", size=24, sector="keep", workers=1
        )
    )
    other = {"name": "large", "manifest": tmp_path / "few.csv", "store": tmp_path / "large"}
    with pytest.raises(UserError, match=r"large: a clip store of 24 x 24 pixels, but .* has 16 x 16"):
        select_videos(fused(store, tmp_path, fusion={"sources": [other]}))
    write_manifest(table.assign(split="val"), tmp_path / "val.csv")
    other = {"name": "val", "manifest": tmp_path / "val.csv", "store": store.store}
    with pytest.raises(UserError, match=r"val\.csv: column split: no video of split 'train'"):
        select_videos(fused(store, tmp_path, fusion={"sources": [other]}))
    other = {"name": "few", "manifest": tmp_path / "few.csv", "store": store.store}
    with pytest.raises(UserError, match="source few has 1 patients, its share of a batch of 6 is 3"):
        build_parts(fused(store, tmp_path, fusion={"sources": [other], "sampling": "uniform"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"pairs": "all_pairs", "objectives": [{"name": "contrastive"}]},
            "all_pairs, which is for one source",
        ),
        (
            {"fusion": {"grey": "matched"}, "grey": "clip_min_max"},
            "clip_min_max stretches each clip by itself",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, words: str, store: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=words):
        fused(store, tmp_path, **changes)
