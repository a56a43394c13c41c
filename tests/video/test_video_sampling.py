"""Clips by time: compared with a slow search, at every rate, for long and short videos."""

import numpy as np
import pytest

from echossl.config.video import ClipConfig
from echossl.errors import ShortVideoError, UserError
from echossl.video import (
    clip_indices,
    clip_starts,
    clip_starts_uniform,
    duration_seconds,
    random_clip_start,
    two_clip_starts,
    uniform_seconds,
)
from echossl.video.sampling import spread_indices, unknown_seconds


def slow_indices(times: np.ndarray, start: float, clip: ClipConfig) -> list[int]:
    """Try every frame of the video, repeated many times over or resting on its end, for every moment."""
    duration = duration_seconds(times)
    chosen = []
    for step in range(clip.num_frames):
        moment = start + step * clip.clip_seconds / clip.num_frames
        if clip.too_short == "loop" and duration < clip.clip_seconds:
            copies = [(lap * duration + time, i) for lap in range(100) for i, time in enumerate(times)]
        else:
            copies = [(time, i) for i, time in enumerate(times)]
        chosen.append(min(copies, key=lambda copy: (round(abs(copy[0] - moment), 9), copy[0]))[1])
    return chosen


def uneven(count: int, seed: int) -> np.ndarray:
    return np.cumsum(np.r_[0, np.random.default_rng(seed).uniform(0.01, 0.06, count - 1)])


@pytest.mark.parametrize(
    "times", [uniform_seconds(90, 30), uniform_seconds(200, 53.7), uneven(120, 0), uneven(150, 1)]
)
@pytest.mark.parametrize(
    "clip",
    [ClipConfig(), ClipConfig(clip_seconds=1.5, num_frames=16), ClipConfig(clip_seconds=0.2, num_frames=32)],
)
def test_indices_equal_the_slow_search(times: np.ndarray, clip: ClipConfig) -> None:
    for start in clip_starts_uniform(duration_seconds(times), clip=clip, count=7):
        found = clip_indices(times, start_seconds=float(start), clip=clip)
        assert found.dtype == np.int64
        assert found.shape == (clip.num_frames,)
        assert found.tolist() == slow_indices(times, float(start), clip)


def test_two_frame_rates_show_the_same_motion() -> None:
    clip = ClipConfig(clip_seconds=1.0, num_frames=10)
    slow, fast = uniform_seconds(60, 20), uniform_seconds(180, 60)
    found_slow = slow[clip_indices(slow, start_seconds=0.5, clip=clip)]
    found_fast = fast[clip_indices(fast, start_seconds=0.5, clip=clip)]
    np.testing.assert_allclose(found_slow, found_fast, atol=1e-9)
    np.testing.assert_allclose(np.diff(found_slow), 0.1)


def test_trap_05_last_start_is_reached_and_ends_with_the_last_frame() -> None:
    times, clip = uniform_seconds(40, 10), ClipConfig(clip_seconds=1.0, num_frames=10)
    starts = clip_starts_uniform(duration_seconds(times), clip=clip, count=4)
    np.testing.assert_allclose(starts, [0, 1, 2, 3])
    assert clip_indices(times, start_seconds=starts[-1], clip=clip).tolist() == list(range(30, 40))
    generator = np.random.default_rng(0)
    drawn = [random_clip_start(1.01, clip=clip, generator=generator) for _ in range(400)]
    assert min(drawn) == 0
    assert max(drawn) == pytest.approx(0.01)
    assert all(0 <= start <= 0.01 + 1e-12 for start in drawn)
    assert random_clip_start(1.0, clip=clip, generator=generator) == 0


@pytest.mark.parametrize("times", [uniform_seconds(7, 10), uniform_seconds(13, 30), uneven(11, 2)])
@pytest.mark.parametrize("too_short", ["loop", "hold"])
def test_trap_05_short_videos_are_repeated_or_held_never_padded(times: np.ndarray, too_short: str) -> None:
    clip = ClipConfig(clip_seconds=2.0, num_frames=25, too_short=too_short)
    found = clip_indices(times, start_seconds=0.0, clip=clip)
    assert found.tolist() == slow_indices(times, 0.0, clip)
    assert found.min() == 0
    assert found.max() == len(times) - 1
    if too_short == "hold":
        assert (np.diff(found) >= 0).all()
        assert (found == len(times) - 1).sum() > 5
    else:
        assert (np.diff(found) < 0).sum() >= 2


def test_trap_05_short_videos_can_be_refused_by_name() -> None:
    clip = ClipConfig(clip_seconds=2.0, num_frames=8, too_short="error")
    with pytest.raises(ShortVideoError, match=r"a\.avi: lasts 0\.70 s, a clip needs 2\.00 s"):
        clip_indices(uniform_seconds(7, 10), start_seconds=0.0, clip=clip, path="a.avi")
    assert len(clip_indices(uniform_seconds(20, 10), start_seconds=0.0, clip=clip)) == 8


@pytest.mark.parametrize("too_short", ["loop", "hold"])
def test_a_single_frame_is_repeated(too_short: str) -> None:
    clip = ClipConfig(too_short=too_short)
    assert duration_seconds(np.zeros(1)) == 0
    assert clip_indices(np.zeros(1), start_seconds=0.0, clip=clip).tolist() == [0] * clip.num_frames


def test_duration_ends_one_interval_after_the_last_frame() -> None:
    assert duration_seconds(uniform_seconds(30, 30)) == pytest.approx(1.0)
    assert duration_seconds(np.array([0, 0.1, 0.3])) == pytest.approx(0.45)


def test_trap_03_unknown_times_are_never_filled_in() -> None:
    unknown = np.array([0, np.nan, np.nan])
    with pytest.raises(UserError, match="states no frame rate"):
        duration_seconds(unknown)
    with pytest.raises(UserError, match="states no frame rate"):
        clip_indices(unknown, start_seconds=0.0, clip=ClipConfig())
    with pytest.raises(ValueError, match="expected a number above 0"):
        uniform_seconds(3, 0)


@pytest.mark.parametrize("start", [-0.1, 2.1])
def test_clips_outside_the_video_are_refused(start: float) -> None:
    with pytest.raises(ValueError, match="cannot start"):
        clip_indices(uniform_seconds(90, 30), start_seconds=start, clip=ClipConfig())


@pytest.mark.parametrize("duration", [2.0, 2.5, 7.0])
def test_two_clips_of_a_long_video_do_not_overlap(duration: float) -> None:
    clip, generator = ClipConfig(clip_seconds=1.0), np.random.default_rng(0)
    pairs = np.array([two_clip_starts(duration, clip=clip, generator=generator) for _ in range(500)])
    assert (np.abs(pairs[:, 0] - pairs[:, 1]) >= 1.0 - 1e-12).all()
    assert pairs.min() >= 0
    assert pairs.max() <= duration - 1.0 + 1e-12
    assert 0.4 < (pairs[:, 0] < pairs[:, 1]).mean() < 0.6


def test_two_clips_of_a_shorter_video_are_as_far_apart_as_possible() -> None:
    clip, generator = ClipConfig(clip_seconds=1.0), np.random.default_rng(0)
    for duration, last in ((1.6, 0.6), (1.0, 0.0), (0.4, 0.0)):
        first, second = two_clip_starts(duration, clip=clip, generator=generator)
        assert sorted((first, second)) == pytest.approx([0.0, last])


def test_starts_are_a_function_of_the_generator() -> None:
    clip = ClipConfig()
    draws = [
        [
            random_clip_start(5.0, clip=clip, generator=generator),
            *two_clip_starts(5.0, clip=clip, generator=generator),
        ]
        for generator in (np.random.default_rng(7), np.random.default_rng(7))
    ]
    assert draws[0] == draws[1]
    assert clip_starts_uniform(0.5, clip=clip, count=3).tolist() == [0, 0, 0]
    assert clip_starts_uniform(5.0, clip=clip, count=1).tolist() == [0]


@pytest.mark.parametrize("duration", [0.4, 1.0, 1.6, 2.0, 4.3])
def test_policies_of_where_clips_start(duration: float) -> None:
    clip, last = ClipConfig(clip_seconds=1.0), max(0.0, duration - 1.0)
    (centre,) = clip_starts("centre", duration, clip=clip, count=5)
    assert centre == pytest.approx(last / 2)
    uniform = clip_starts("uniform", duration, clip=clip, count=3)
    np.testing.assert_allclose(uniform, [0, last / 2, last])
    drawn = clip_starts("random", duration, clip=clip, count=200, generator=np.random.default_rng(0))
    assert len(drawn) == 200
    assert drawn.min() >= 0
    assert drawn.max() <= last + 1e-12
    again = clip_starts("random", duration, clip=clip, count=200, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, again)
    with pytest.raises(ValueError, match="needs a generator"):
        clip_starts("random", duration, clip=clip, count=1)


@pytest.mark.parametrize("duration", [0.4, 1.0, 1.6, 2.0, 4.3, 7.0])
def test_all_clips_leave_no_moment_out(duration: float) -> None:
    clip = ClipConfig(clip_seconds=1.0)
    starts = clip_starts("all", duration, clip=clip, count=1)
    moments = np.linspace(0, max(duration, 1.0), 999, endpoint=False)
    covered = (starts[:, None] <= moments + 1e-9) & (moments < starts[:, None] + 1.0)
    assert covered.any(axis=0).all()
    assert starts[-1] == pytest.approx(max(0.0, duration - 1.0))
    assert len(starts) == max(1, int(np.ceil(duration - 1e-9)))


@pytest.mark.parametrize("num_frames", [1, 2, 7])
def test_unknown_times_begin_at_zero_and_are_refused(num_frames: int) -> None:
    times = unknown_seconds(num_frames)
    assert times.dtype == np.float64
    assert times[0] == 0
    assert np.isnan(times[1:]).all()
    assert len(times) == num_frames
    if num_frames > 1:
        with pytest.raises(UserError):
            duration_seconds(times)


@pytest.mark.parametrize(("num_frames", "most"), [(1, 5), (4, 5), (5, 5), (6, 5), (100, 7), (1000, 1)])
def test_spread_frames_hold_the_first_and_the_last_and_are_even(num_frames: int, most: int) -> None:
    found = spread_indices(num_frames, most).tolist()
    count = min(num_frames, most)
    step = (num_frames - 1) / (count - 1) if count > 1 else 0
    assert found == [int(number * step + 1e-9) for number in range(count)]
    assert len(set(found)) == count
