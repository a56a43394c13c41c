"""Every pair of a study's videos is an item; patients may stand in a batch several times."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from echossl.config.video import ClipConfig
from echossl.data.study_pairs import StudyPairSampler
from echossl.errors import UserError

CLIP = ClipConfig(clip_seconds=1.0, num_frames=8)
# patient, study, number of videos
STUDIES = [("b", "s1", 3), ("a", "s2", 1), ("b", "s3", 2), ("c", "s4", 4), ("a", "s5", 2)]


def table() -> pd.DataFrame:
    rows = [
        {"patient_id": patient, "study_id": study, "duration_seconds": 3.0}
        for patient, study, count in STUDIES
        for _ in range(count)
    ]
    shuffled = pd.DataFrame(rows).assign(row=range(len(rows))).sample(frac=1, random_state=0)
    return shuffled.reset_index(drop=True)


def slow_pairs() -> Counter[tuple[str, int, int]]:
    """Two loops over all videos, as in the words of the paper."""
    videos = list(table().itertuples())
    found: Counter[tuple[str, int, int]] = Counter()
    for one in videos:
        others = [other for other in videos if other.study_id == one.study_id and other.row != one.row]
        for other in others:
            if one.row < other.row:
                found[one.patient_id, one.row, other.row] += 1
        if not others:
            found[one.patient_id, one.row, one.row] += 1
    return found


def sampler(batch_size: int = 4, seed: int = 0) -> StudyPairSampler:
    return StudyPairSampler(table(), batch_size=batch_size, clip=CLIP, seed=seed)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12])
def test_an_epoch_is_every_pair_of_every_study_once(batch_size: int) -> None:
    pairs, expected = sampler(batch_size), slow_pairs()
    assert sum(expected.values()) == 3 + 1 + 1 + 6 + 1
    steps = -(-12 // batch_size)
    for epoch in range(3):
        draws = [pairs.draw(epoch * steps + step) for step in range(steps)]
        assert all(len(draw.items) == len(draw.patients) == batch_size for draw in draws)
        seen = [
            (pairs.patients[patient], *(request.row for request in item))
            for draw in draws
            for item, patient in zip(draw.items, draw.patients, strict=True)
        ]
        assert Counter(seen[:12]) == expected
        assert seen[12:] == seen[: len(seen) - 12]  # the last batch is filled up from the start


def test_a_study_weighs_with_the_square_of_its_videos() -> None:
    pairs = sampler(batch_size=6)
    drawn = Counter(int(patient) for step in range(20) for patient in pairs.draw(step).patients)
    assert drawn == {0: 2 * 10, 1: 4 * 10, 2: 6 * 10}


def test_a_draw_is_a_pure_function_of_seed_and_step() -> None:
    again, other = sampler(), sampler(seed=1)
    for step in (0, 3, 7):
        first = sampler().draw(step)
        assert again.draw(step).items == first.items
        np.testing.assert_array_equal(again.draw(step).patients, first.patients)
        assert other.draw(step).items != first.items
    orders = [tuple(map(str, sampler(12).draw(step).items)) for step in range(5)]
    assert all(one != two for one, two in pairwise(orders))


def test_clips_start_anywhere_and_fit_into_the_video() -> None:
    pairs = sampler(batch_size=12)
    starts = [clip.start_seconds for step in range(50) for item in pairs.draw(step).items for clip in item]
    assert min(starts) >= 0
    assert max(starts) <= 2
    assert np.ptp(starts) > 1.9


def test_another_pair_stands_in_for_one_that_cannot_be_read() -> None:
    pairs, expected = sampler(), slow_pairs()
    patients = pairs.draw(0).patients
    found = [pairs.replace(patients, 0, item, attempt) for item in range(4) for attempt in range(1, 17)]
    keys = [(pairs.patients[patient], *(request.row for request in item)) for item, patient in found]
    assert set(keys) <= set(expected)
    assert len(set(keys)) > 6
    assert found == [
        pairs.replace(patients, 0, item, attempt) for item in range(4) for attempt in range(1, 17)
    ]


def test_too_large_a_batch_is_refused() -> None:
    with pytest.raises(UserError, match=r"batch_size: a batch of 13 pairs .* from 12; set it to 12 or less"):
        sampler(batch_size=13)
