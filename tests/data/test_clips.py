import numpy as np
import pytest
import torch

from echossl.config.video import ClipConfig
from echossl.data import ClipStore, read_manifest
from echossl.data.clips import (
    BalancedSampler,
    Batch,
    ClipRequest,
    PairSampler,
    TrainingClips,
    read_clip,
    step_loader,
    video_requests,
)
from echossl.errors import ShortVideoError, UserError
from echossl.video.sampling import clip_indices

CLIP = ClipConfig(clip_seconds=0.5, num_frames=6)


@pytest.fixture(scope="module")
def store(store_path) -> ClipStore:
    return ClipStore.open(store_path)


@pytest.fixture(scope="module")
def table(store, videos):
    return store.rows_for(read_manifest(videos / "manifest.csv"))


def dataset_of(store, table, **changes) -> TrainingClips:
    settings = {"positives": "two_videos", "num_clips": 2, "batch_size": 4, "clip": CLIP, "seed": 0}
    return TrainingClips(store, PairSampler(table, **settings), **({"steps": 6} | changes))


def assert_equal(first: Batch, second: Batch) -> None:
    assert first.step == second.step
    for one, other in zip(tensors_of(first), tensors_of(second), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def tensors_of(batch: Batch) -> list[torch.Tensor]:
    tensors = [batch.clips, batch.patients, batch.videos]
    return tensors if batch.labels is None else [*tensors, batch.labels]


@pytest.mark.parametrize("start_seconds", [0.0, 0.21, 0.5])
def test_a_clip_is_its_frames(store, start_seconds):
    for row in range(len(store)):
        frames = read_clip(store, ClipRequest(row, start_seconds), CLIP)
        assert frames.shape == (6, 32, 32)
        assert frames.dtype == np.uint8
        indices = clip_indices(store.frame_seconds(row), start_seconds=start_seconds, clip=CLIP)
        for frame, index in zip(frames, indices, strict=True):
            np.testing.assert_array_equal(frame, store.frames(row)[index])


def test_a_short_video_is_looped_or_refused(store):
    longer = float(store.durations[0]) + 1
    looped = read_clip(store, ClipRequest(0, 0.0), ClipConfig(clip_seconds=longer, num_frames=64))
    assert looped.min(axis=(1, 2)).min() > 0
    with pytest.raises(ShortVideoError, match=r"p0/0\.avi: lasts"):
        read_clip(
            store, ClipRequest(0, 0.0), ClipConfig(clip_seconds=longer, num_frames=64, too_short="error")
        )


def test_video_requests_reach_from_start_to_end(store):
    requests = video_requests(store, 2, CLIP, count=4)
    starts = [request.start_seconds for request in requests]
    assert {request.row for request in requests} == {2}
    np.testing.assert_allclose(starts, np.linspace(0, starts[-1], 4))
    last = clip_indices(store.frame_seconds(2), start_seconds=starts[-1], clip=CLIP)
    assert last[-1] >= len(store.frames(2)) - 1 - np.ceil(0.5 / 6 * 50)


def test_batch_holds_what_was_asked_for(store, table):
    dataset = dataset_of(store, table)
    batch, draw = dataset[3], dataset.sampler.draw(3)
    assert batch.clips.shape == (4, 2, 1, 6, 32, 32)
    assert batch.clips.dtype == torch.uint8
    assert batch.patients.tolist() == draw.patients.tolist()
    assert batch.videos.tolist() == [[request.row for request in item] for item in draw.items]
    assert (batch.patients.dtype, batch.videos.dtype) == (torch.int64, torch.int64)
    assert batch.step == 3
    assert batch.bad == ()
    for item, requests in enumerate(draw.items):
        for place, request in enumerate(requests):
            np.testing.assert_array_equal(batch.clips[item, place, 0], read_clip(store, request, CLIP))


def test_a_batch_goes_to_a_device_whole(store, table):
    batch = dataset_of(store, table)[0]
    moved = batch.to("meta")
    assert {tensor.device.type for tensor in tensors_of(moved)} == {"meta"}
    assert batch.clips.device.type == "cpu"


def test_patients_of_a_batch_are_those_of_its_videos(store, table):
    dataset = dataset_of(store, table)
    owner = dict(zip(table["row"], table["patient_id"], strict=True))
    for step in range(len(dataset)):
        batch = dataset[step]
        names = [dataset.sampler.patients[code] for code in batch.patients]
        assert [{owner[row] for row in rows} for rows in batch.videos.tolist()] == [{name} for name in names]
        assert len(set(names)) == 4
        assert batch.labels is None


def test_trap_25_any_number_of_readers_gives_the_same_batches(store, table):
    torch.set_num_threads(1)
    dataset = dataset_of(store, table)
    alone = list(step_loader(dataset))
    assert [batch.step for batch in alone] == list(range(6))
    shared = list(step_loader(dataset, workers=2))
    for one, other in zip(alone, shared, strict=True):
        assert_equal(one, other)


def test_reading_goes_on_at_any_step(store, table):
    dataset = dataset_of(store, table)
    rest = list(step_loader(dataset, first_step=4))
    assert [batch.step for batch in rest] == [4, 5]
    assert_equal(rest[0], dataset[4])
    with pytest.raises(IndexError):
        dataset[6]


def test_several_training_processes_share_a_batch(store, table):
    whole = dataset_of(store, table)[3]
    parts = [dataset_of(store, table, rank=rank, world_size=2)[3] for rank in range(2)]
    torch.testing.assert_close(torch.cat([part.clips for part in parts]), whole.clips)
    torch.testing.assert_close(torch.cat([part.patients for part in parts]), whole.patients)
    with pytest.raises(UserError, match="4 items cannot be shared evenly by 3 processes"):
        dataset_of(store, table, world_size=3)[0]


def test_labelled_batches(store, table):
    sampler = BalancedSampler(table.assign(label=table["severe_as"]), patients_per_class=3, clip=CLIP, seed=0)
    batch = TrainingClips(store, sampler, steps=1)[0]
    assert batch.clips.shape == (6, 2, 1, 6, 32, 32)
    assert batch.labels is not None
    truth = dict(zip(table["row"], table["severe_as"], strict=True))
    assert [truth[rows[0]] for rows in batch.videos.tolist()] == batch.labels.tolist()
