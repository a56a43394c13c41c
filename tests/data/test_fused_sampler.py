"""Batches of several sources: shares, different patients, and nothing but the seed and the step."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from echossl.config.data import FusionConfig, SourceConfig
from echossl.config.video import ClipConfig
from echossl.data.fused_sampler import FusedSampler, source_shares
from echossl.data.fused_store import matching_levels
from echossl.errors import UserError

CLIP = ClipConfig(clip_seconds=1.0, num_frames=8)
ELSEWHERE = SourceConfig(name="b", manifest="b.csv", store="b")


def tables_of(*patients: int) -> dict[str, pd.DataFrame]:
    """Two videos of each patient of each source, the rows of a source after those of the one before."""
    tables, first = {}, 0
    for name, count in zip("abcdef", patients, strict=False):
        ids = [f"{name}:{number:03d}" for number in range(count) for _ in range(2)]
        rows = np.arange(first, first + len(ids))
        tables[name] = pd.DataFrame({"row": rows, "patient_id": ids, "duration_seconds": 3.0})
        first += len(ids)
    return tables


def sampler_of(tables: dict[str, pd.DataFrame], shares: list[float], **changes: object) -> FusedSampler:
    settings = {"positives": "two_videos", "num_clips": 2, "batch_size": 8, "clip": CLIP, "seed": 0}
    return FusedSampler(tables, np.array(shares), **settings | changes)


def sources_of(sampler: FusedSampler, step: int) -> Counter[str]:
    return Counter(sampler.patients[patient][0] for patient in sampler.draw(step).patients)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.75, 0.25], [0.125, 0.875]])
def test_whole_shares_are_met_at_every_step(shares: list[float]) -> None:
    sampler = sampler_of(tables_of(20, 20), shares)
    for step in range(50):
        assert sources_of(sampler, step) == {"a": 8 * shares[0], "b": 8 * shares[1]}


@pytest.mark.parametrize("shares", [[0.7, 0.2, 0.1], [0.01, 0.59, 0.4], [1 / 3, 1 / 3, 1 / 3]])
def test_broken_shares_are_met_in_the_mean_and_never_far_off(shares: list[float]) -> None:
    sampler = sampler_of(tables_of(20, 20, 20), shares)
    counts = np.array([sampler.counts(step) for step in range(3000)])
    assert (counts.sum(1) == 8).all()
    wanted = 8 * np.array(shares)
    assert (np.abs(counts - wanted) < 1).all()
    np.testing.assert_allclose(counts.mean(0), wanted, atol=0.05)


def test_a_whole_share_beside_broken_ones_stays_whole() -> None:
    sampler = sampler_of(tables_of(20, 20, 4), [1.4, 2.6, 4.0])
    assert all(sampler.counts(step)[2] == 4 for step in range(500))


def test_no_patient_twice_and_each_keeps_its_own_videos() -> None:
    tables = tables_of(9, 5, 30)
    owner = {
        row: patient for table in tables.values() for row, patient in table[["row", "patient_id"]].to_numpy()
    }
    sampler = sampler_of(tables, [0.4, 0.35, 0.25])
    for step in range(80):
        draw = sampler.draw(step)
        assert len(set(draw.patients)) == len(draw.items) == 8
        for item, patient in zip(draw.items, draw.patients, strict=True):
            assert {owner[request.row] for request in item} == {sampler.patients[patient]}


def test_every_patient_of_every_source_is_seen_alike() -> None:
    sampler = sampler_of(tables_of(6, 12), [0.5, 0.5])
    seen = np.concatenate([sampler.draw(step).patients for step in range(60)])
    counts = np.bincount(seen, minlength=18)
    assert (counts[6:] == 60 * 4 / 12).all()
    # of 6 patients 4 at a time, the last batch of an order is filled up from its start
    np.testing.assert_allclose(counts[:6], 60 * 4 / 6, atol=16)


def test_batches_are_a_function_of_seed_and_step() -> None:
    tables = tables_of(12, 12)
    first, second = sampler_of(tables, [0.6, 0.4]), sampler_of(tables, [0.6, 0.4])
    for step in (7, 0, 3):
        assert first.draw(step).items == second.draw(step).items
    assert first.draw(1).items != sampler_of(tables, [0.6, 0.4], seed=1).draw(1).items


def test_sources_are_mixed_within_a_batch_and_draw_unlike() -> None:
    sampler = sampler_of(tables_of(16, 16), [0.5, 0.5])
    halves = Counter(
        sampler.patients[patient][0] for step in range(100) for patient in sampler.draw(step).patients[:4]
    )
    assert 150 < halves["a"] < 250
    draw = sampler.draw(0)
    starts = [request.start_seconds for item in draw.items for request in item]
    assert len(set(starts)) == len(starts)


def test_what_cannot_be_read_is_replaced_from_the_same_source() -> None:
    sampler = sampler_of(tables_of(9, 9), [0.6, 0.4])
    for step in range(20):
        draw = sampler.draw(step)
        patients = draw.patients.copy()
        for item in (0, 3, 7):
            own = sampler.patients[draw.patients[item]]
            _, same = sampler.replace(patients, step, item, 1)
            assert sampler.patients[same] == own
            requests, other = sampler.replace(patients, step, item, 5)
            assert sampler.patients[other][0] == own[0]
            assert other not in patients
            assert sampler.replace(patients, step, item, 5)[0] == requests


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, [0.8, 0.2]),
        ({"sampling": "uniform"}, [0.5, 0.5]),
        ({"sampling": "temperature", "temperature": 2.0}, [2 / 3, 1 / 3]),
        ({"sampling": "temperature", "temperature": 1.0}, [0.8, 0.2]),
    ],
)
def test_shares_are_those_of_the_settings(settings, wanted) -> None:
    config = FusionConfig(sources=(ELSEWHERE,), **settings)
    np.testing.assert_allclose(source_shares(np.array([80, 20]), config), wanted)


def test_a_source_that_is_too_small_is_named() -> None:
    with pytest.raises(UserError, match="source b has 3 patients, its share of a batch of 8 is 4"):
        sampler_of(tables_of(20, 3), [0.5, 0.5])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sampling": "uniform"}, "sampling is set, but there are no further sources"),
        ({"sources": (ELSEWHERE,), "sampling": "temperature"}, "belong together"),
        ({"sources": (ELSEWHERE,), "temperature": 2.0}, "belong together"),
        ({"sources": (ELSEWHERE, ELSEWHERE)}, "two sources are named b"),
        ({"sources": (ELSEWHERE,), "name": "b"}, "two sources are named b"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FusionConfig(**settings)


def test_matched_levels_give_the_wanted_mean_and_deviation_and_leave_black() -> None:
    generator = np.random.default_rng(0)
    dark = np.clip(generator.normal(60, 12, 50_000).round(), 1, 255).astype(int)
    bright = np.clip(generator.normal(120, 30, 50_000).round(), 1, 255).astype(int)
    counts = [
        np.bincount(np.concatenate([values, np.zeros(30_000, int)]), minlength=256)
        for values in (dark, bright)
    ]
    levels = matching_levels(*counts)
    assert levels[0] == 0
    assert levels[1:].min() == 1
    assert (np.diff(levels.astype(int)) >= 0).all()
    assert levels[dark].mean() == pytest.approx(bright.mean(), abs=0.5)
    assert levels[dark].std() == pytest.approx(bright.std(), abs=0.5)
    np.testing.assert_array_equal(matching_levels(counts[1], counts[1]), np.arange(256))
    blank = np.zeros(256, int)
    assert matching_levels(blank, counts[1])[0] == 0
