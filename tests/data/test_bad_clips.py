"""Videos that turn bad after they were prepared: replaced in the batch, always in the same way."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from echossl.config.video import ClipConfig
from echossl.data import ClipStore, read_manifest
from echossl.data.clips import BalancedSampler, PairSampler, TrainingClips, step_loader
from echossl.data.requests import ClipRequest, read_clips
from echossl.errors import DecodeError, ShortVideoError

CLIP = ClipConfig(clip_seconds=0.5, num_frames=6)


@pytest.fixture
def broken(store_path: Path, tmp_path: Path) -> ClipStore:
    """The store without the frames of its second shard."""
    shutil.copytree(store_path, tmp_path / "store")
    (tmp_path / "store" / "frames-00001.bin").unlink()
    return ClipStore.open(tmp_path / "store")


def bad_paths(store: ClipStore) -> set[str]:
    return set(store.table.loc[store.table["shard"] == 1, "path"])


def rows_of(store: ClipStore, videos: Path):
    return store.rows_for(read_manifest(videos / "manifest.csv"))


def pairs(store: ClipStore, videos: Path) -> TrainingClips:
    settings = {"positives": "two_videos", "num_clips": 2, "batch_size": 4, "clip": CLIP, "seed": 0}
    return TrainingClips(store, PairSampler(rows_of(store, videos), **settings), steps=12)


def balanced(store: ClipStore, videos: Path) -> TrainingClips:
    table = rows_of(store, videos).rename(columns={"severe_as": "label"})
    return TrainingClips(store, BalancedSampler(table, patients_per_class=3, clip=CLIP, seed=0), steps=12)


@pytest.mark.parametrize("make", [pairs, balanced])
def test_bad_videos_are_replaced_and_named(broken: ClipStore, videos: Path, make) -> None:
    dataset = make(broken, videos)
    owner = dict(zip(broken.table.index, broken.table["patient_id"], strict=True))
    named: set[str] = set()
    for step in range(len(dataset)):
        batch, untroubled = dataset[step], dataset.sampler.draw(step)
        named |= {path for path, _ in batch.bad}
        assert not {broken.paths[row] for row in batch.videos.flatten().tolist()} & bad_paths(broken)
        names = [dataset.sampler.patients[code] for code in batch.patients.tolist()]
        assert [{owner[row] for row in rows} for rows in batch.videos.tolist()] == [{name} for name in names]
        assert batch.clips.flatten(0, 1).amax(dim=(1, 2, 3, 4)).min() > 200  # the block is in every clip
        if not batch.bad:
            assert batch.patients.tolist() == untroubled.patients.tolist()
    assert named
    assert named <= bad_paths(broken)


def test_no_patient_twice_after_replacement(broken: ClipStore, videos: Path) -> None:
    dataset = pairs(broken, videos)
    for step in range(len(dataset)):
        assert len(set(dataset[step].patients.tolist())) == 4


@pytest.mark.parametrize("make", [pairs, balanced])
def test_several_training_processes_replace_alike(broken: ClipStore, videos: Path, make) -> None:
    whole = make(broken, videos)
    sampler = whole.sampler
    parts = [TrainingClips(broken, sampler, steps=12, rank=rank, world_size=2) for rank in range(2)]
    for step in range(len(whole)):
        batch, halves = whole[step], [part[step] for part in parts]
        np.testing.assert_array_equal(batch.clips, np.concatenate([half.clips for half in halves]))
        assert batch.patients.tolist() == [code for half in halves for code in half.patients.tolist()]
        assert {*batch.bad} == {bad for half in halves for bad in half.bad}


def test_a_class_without_spare_patients_takes_another_of_its_own(broken: ClipStore, videos: Path) -> None:
    """As many patients of a class in the batch as there are, one of them with unreadable videos only."""
    table = rows_of(broken, videos).rename(columns={"severe_as": "label"})
    lost = table.loc[table["path"].isin(bad_paths(broken)), "patient_id"].iloc[0]
    label = table.loc[table["patient_id"] == lost, "label"].iloc[0]
    of_lost = (table["patient_id"] == lost) & ~table["path"].isin(bad_paths(broken))
    table = table[~of_lost]
    count = table.loc[table["label"] == label, "patient_id"].nunique()
    sampler = BalancedSampler(table, patients_per_class=count, clip=CLIP, seed=0)
    batch = TrainingClips(broken, sampler, steps=1)[0]
    assert batch.bad
    assert lost not in {sampler.patients[code] for code in batch.patients.tolist()}


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_leave_a_reader_process_as_they_are(broken: ClipStore, videos: Path, workers: int) -> None:
    clip = ClipConfig(clip_seconds=60.0, num_frames=6, too_short="error")
    settings = {"positives": "two_videos", "num_clips": 2, "batch_size": 4, "clip": clip, "seed": 0}
    dataset = TrainingClips(broken, PairSampler(rows_of(broken, videos), **settings), steps=2)
    with pytest.raises(ShortVideoError, match="a clip needs 60") as caught:
        list(step_loader(dataset, workers=workers))
    assert "\n" not in str(caught.value)


def test_labels_stay_those_of_the_class(broken: ClipStore, videos: Path) -> None:
    dataset = balanced(broken, videos)
    label_of = rows_of(broken, videos).set_index("row")["severe_as"]
    for step in range(len(dataset)):
        batch = dataset[step]
        for rows, label in zip(batch.videos.tolist(), batch.labels.tolist(), strict=True):
            assert {label_of[row] for row in rows} == {label}


@pytest.mark.parametrize("workers", [0, 2])
def test_replacements_are_a_function_of_seed_and_step(broken: ClipStore, videos: Path, workers: int) -> None:
    dataset = pairs(broken, videos)
    for batch in step_loader(dataset, first_step=3, workers=workers):
        again = dataset[batch.step]
        np.testing.assert_array_equal(batch.clips, again.clips)
        assert batch.bad == again.bad


def test_when_nothing_can_be_read_it_stops(broken: ClipStore, videos: Path) -> None:
    for shard in broken.path.glob("frames-*.bin"):
        if ".seconds" not in shard.name:
            shard.unlink()
    with pytest.raises(DecodeError, match="run echossl prepare again"):
        pairs(broken, videos)[0]


def test_a_bad_clip_that_nobody_may_replace_is_an_error(broken: ClipStore) -> None:
    row = int(broken.table.index[broken.table["shard"] == 1][0])
    with pytest.raises(DecodeError) as caught:
        read_clips(broken, [[ClipRequest(row, 0.0)]], CLIP)
    assert str(caught.value.path) == broken.paths[row]


def test_short_videos_are_no_bad_videos(broken: ClipStore, videos: Path) -> None:
    clip = ClipConfig(clip_seconds=60.0, num_frames=6, too_short="error")
    settings = {"positives": "two_videos", "num_clips": 2, "batch_size": 4, "clip": clip, "seed": 0}
    dataset = TrainingClips(broken, PairSampler(rows_of(broken, videos), **settings), steps=1)
    with pytest.raises(ShortVideoError):
        dataset[0]
