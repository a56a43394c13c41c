import numpy as np
import pandas as pd
import pytest

from echossl.config.video import ClipConfig
from echossl.data.samplers import BalancedSampler, PairSampler
from echossl.errors import UserError

CLIP = ClipConfig(clip_seconds=1.0, num_frames=8)


def videos_table(videos_per_patient: list[int], duration_seconds: float = 3.0) -> pd.DataFrame:
    rows = [
        {"patient_id": f"p{patient:03d}", "duration_seconds": duration_seconds}
        for patient, count in enumerate(videos_per_patient)
        for _ in range(count)
    ]
    return pd.DataFrame(rows).assign(row=lambda table: np.arange(len(table)))


def pair_sampler(table: pd.DataFrame, **changes) -> PairSampler:
    settings = {"positives": "two_videos", "num_clips": 2, "batch_size": 8, "clip": CLIP, "seed": 0}
    return PairSampler(table, **(settings | changes))


def patients_in(table: pd.DataFrame, requests) -> list[set[str]]:
    owner = dict(zip(table["row"], table["patient_id"], strict=True))
    return [{owner[request.row] for request in item} for item in requests]


@pytest.mark.parametrize("num_patients", [8, 9, 15, 16, 17, 100])
def test_trap_13_no_patient_twice_in_a_batch(num_patients):
    table = videos_table([1 + patient % 4 for patient in range(num_patients)])
    sampler = pair_sampler(table)
    for step in range(60):
        owners = patients_in(table, sampler.draw(step).items)
        assert all(len(owner) == 1 for owner in owners)
        assert len(set.union(*owners)) == 8


@pytest.mark.parametrize("num_patients", [8, 9, 15, 16, 100])
def test_every_patient_is_seen_in_every_epoch(num_patients):
    sampler = pair_sampler(videos_table([2] * num_patients))
    steps = -(-num_patients // 8)
    orders = []
    for epoch in range(5):
        drawn = np.concatenate([sampler.draw(epoch * steps + step).patients for step in range(steps)])
        # the last batch is filled up from the start of the same order, which makes its patients seen twice
        np.testing.assert_array_equal(np.unique(drawn[:num_patients]), np.arange(num_patients))
        np.testing.assert_array_equal(drawn[num_patients:], drawn[: len(drawn) - num_patients])
        orders.append(tuple(drawn[:num_patients]))
    assert len(set(orders)) == 5


def test_trap_12_a_study_with_many_videos_weighs_no_more():
    table = videos_table([50, *[2] * 19])
    sampler = pair_sampler(table, batch_size=4)
    drawn = np.concatenate([sampler.draw(step).patients for step in range(5 * 20)])
    np.testing.assert_array_equal(np.bincount(drawn), np.full(20, 20))


def test_two_videos_are_different_ones_and_all_are_used():
    table = videos_table([5] * 8)
    sampler = pair_sampler(table)
    pairs = [
        tuple(request.row for request in item) for step in range(80) for item in sampler.draw(step).items
    ]
    assert all(first != second for first, second in pairs)
    # 8 patients with 20 ordered pairs each; 80 draws per patient
    assert len(set(pairs)) > 150


def test_a_patient_with_one_video_gives_two_clips_apart_in_time():
    sampler = pair_sampler(videos_table([1] * 8))
    for step in range(20):
        for first, second in sampler.draw(step).items:
            assert first.row == second.row
            assert abs(first.start_seconds - second.start_seconds) >= CLIP.clip_seconds - 1e-9


def test_two_clips_are_of_one_video_and_all_videos_are_used():
    table = videos_table([3] * 8)
    sampler = pair_sampler(table, positives="two_clips")
    seen = set()
    for step in range(30):
        for first, second in sampler.draw(step).items:
            assert first.row == second.row
            assert abs(first.start_seconds - second.start_seconds) >= CLIP.clip_seconds - 1e-9
            seen.add(first.row)
    assert seen == set(table["row"])


@pytest.mark.parametrize("positives", ["two_videos", "two_clips"])
def test_one_clip_per_patient(positives):
    table = videos_table([3] * 8)
    sampler = pair_sampler(table, positives=positives, num_clips=1)
    items = [item for step in range(60) for item in sampler.draw(step).items]
    assert {len(item) for item in items} == {1}
    assert {item[0].row for item in items} == set(table["row"])
    starts = np.array([item[0].start_seconds for item in items])
    assert starts.min() < 0.1
    assert 1.9 < starts.max() <= 2.0


@pytest.mark.parametrize("num_clips", [2, 3, 5])
def test_clips_of_all_videos_of_a_patient_in_turn(num_clips):
    table = videos_table([1, 2, 3, 7] * 3)
    sampler = pair_sampler(table, positives="patient", num_clips=num_clips)
    owned = table.groupby("patient_id").size().to_dict()
    seen = set()
    for step in range(60):
        draw = sampler.draw(step)
        for item, owners in zip(draw.items, patients_in(table, draw.items), strict=True):
            (owner,) = owners
            counts = pd.Series([request.row for request in item]).value_counts()
            assert len(item) == num_clips
            assert len(counts) == min(num_clips, owned[owner])
            assert counts.max() - counts.min() <= 1
            seen |= set(counts.index)
    assert seen == set(table["row"])


def test_batches_depend_on_seed_and_step_alone():
    table = videos_table([3] * 20)
    sampler = pair_sampler(table)
    forward = [sampler.draw(step).items for step in range(10)]
    assert [pair_sampler(table).draw(step).items for step in reversed(range(10))] == forward[::-1]
    assert pair_sampler(table.sample(frac=1, random_state=1)).draw(7).items == forward[7]
    assert pair_sampler(table, seed=1).draw(7).items != forward[7]


def test_trap_25_every_item_of_every_step_has_a_draw_of_its_own():
    # one long video each: the same seed anywhere would give the same start
    sampler = pair_sampler(videos_table([1] * 40, duration_seconds=1e9), num_clips=1)
    starts = [item[0].start_seconds for step in range(50) for item in sampler.draw(step).items]
    assert len(set(starts)) == len(starts)


def test_too_few_patients_for_a_batch():
    with pytest.raises(UserError, match="a batch of 8 patients cannot be drawn from 7; set it to 7 or less"):
        pair_sampler(videos_table([9] * 7))
    with pytest.raises(ValueError, match="num_clips is 3"):
        pair_sampler(videos_table([9] * 9), num_clips=3)


def labelled_table(positives: int, negatives: int, videos: int = 3) -> pd.DataFrame:
    table = videos_table([videos] * (positives + negatives))
    return table.assign(label=(table["patient_id"] < f"p{positives:03d}").astype(float))


def balanced(table: pd.DataFrame, **changes) -> BalancedSampler:
    return BalancedSampler(table, **({"patients_per_class": 4, "clip": CLIP, "seed": 0} | changes))


def test_classes_are_balanced_and_labels_are_right():
    table = labelled_table(6, 20)
    sampler = balanced(table)
    label_of = dict(zip(table["row"], table["label"], strict=True))
    for step in range(30):
        draw = sampler.draw(step)
        items, labels = draw.items, draw.labels
        assert labels.dtype == np.float32
        assert labels.tolist() == [0.0] * 4 + [1.0] * 4
        assert [label_of[item[0].row] for item in items] == labels.tolist()
        owners = patients_in(table, items)
        assert all(len(owner) == 1 for owner in owners)
        # no class is short of patients, so none is drawn twice
        assert len(set.union(*owners)) == 8
        names = [next(iter(owner)) for owner in owners]
        assert [sampler.patients[code] for code in sampler.draw(step).patients] == names


def test_two_different_videos_of_a_patient_or_the_only_one_twice():
    several = balanced(labelled_table(4, 4)).draw(0).items
    assert all(first.row != second.row for first, second in several)
    single = balanced(labelled_table(4, 4, videos=1)).draw(0).items
    assert all(first.row == second.row for first, second in single)
    assert all(first.start_seconds != second.start_seconds for first, second in single)


def test_a_class_short_of_patients_is_drawn_with_replacement():
    table = labelled_table(2, 30)
    sampler = balanced(table)
    drawn = np.concatenate([sampler.draw(step).patients for step in range(50)])
    positives = drawn[drawn < 2]
    assert len(positives) == 200
    assert 60 < (positives == 0).sum() < 140
    counts = np.bincount(drawn[drawn >= 2], minlength=32)[2:]
    # the others go round: 200 places for 30 patients, eight steps an epoch with two filled up
    assert counts.min() >= 6


def test_a_patient_with_studies_of_both_classes_stands_in_both():
    table = videos_table([2, 2, 2]).assign(label=[0, 1, 0, 0, 1, 1])
    sampler = balanced(table, patients_per_class=2)
    label_of = dict(zip(table["row"], table["label"], strict=True))
    for step in range(10):
        draw = sampler.draw(step)
        items, labels = draw.items, draw.labels
        for item, label in zip(items, labels, strict=True):
            assert {label_of[request.row] for request in item} == {label}


def test_balanced_batches_depend_on_seed_and_step_alone():
    table = labelled_table(2, 20)
    items = balanced(table).draw(9).items
    assert balanced(table.sample(frac=1, random_state=2)).draw(9).items == items
    assert balanced(table, seed=1).draw(9).items != items
    assert balanced(table).draw(8).items != items


def test_labels_that_cannot_be_learned_from():
    table = labelled_table(4, 4)
    with pytest.raises(UserError, match="not assessed"):
        balanced(table.assign(label=table["label"].where(table["row"] != 3)))
    with pytest.raises(UserError, match=r"found the classes \[1.0\], expected two"):
        balanced(table[table["label"] == 1])
