"""Placing keeps the aspect of what is shown; an outline makes its sector again."""

import numpy as np
import pytest
from sector_samples import screen

from echossl.video import find_sector, full_sector, place, placement, to_grey
from echossl.video.sector import MOST_FRAMES, Placement, Sector, search_indices, sector_from_outline


def test_grey_is_the_luma_of_bt_601() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    np.testing.assert_allclose(to_grey(frames), frames @ [0.299, 0.587, 0.114], atol=0.51)
    np.testing.assert_array_equal(to_grey(frames[..., :1]), frames[..., 0])


def weights(length: int, size: int) -> np.ndarray:
    """(size, length): share of each source pixel in each output pixel, falling linearly with distance."""
    scale = length / size
    shares = np.empty((size, length))
    for out in range(size):
        distance = np.abs(np.arange(length) + 0.5 - (out + 0.5) * scale) / max(scale, 1)
        shares[out] = np.maximum(0, 1 - distance)
        shares[out] /= shares[out].sum()
    return shares


def slow_place(frame: np.ndarray, where: Placement) -> np.ndarray:
    """Every output pixel as a weighted mean over the window."""
    window = np.zeros((where.height, where.width))
    for row in range(where.height):
        for column in range(where.width):
            y, x = where.top + row, where.left + column
            if 0 <= y < frame.shape[0] and 0 <= x < frame.shape[1]:
                window[row, column] = frame[y, x]
    return weights(where.height, where.size) @ window @ weights(where.width, where.size).T


@pytest.mark.parametrize("pixel_aspect", [1.0, 0.5, 1.7])
@pytest.mark.parametrize(
    ("height", "width", "size"), [(50, 70, 16), (90, 40, 32), (30, 30, 30), (20, 24, 40)]
)
def test_placing_equals_the_slow_average(height: int, width: int, size: int, pixel_aspect: float) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, height, width), dtype=np.uint8)
    inside = sector_from_outline(((2, 3), (width - 3, 5), (width - 8, height - 4)), height, width)
    for sector in (inside, full_sector(height, width)):
        where = placement(sector, size, pixel_aspect=pixel_aspect)
        placed = place(frames, where)
        assert placed.shape == (2, size, size)
        for frame, found in zip(frames, placed, strict=True):
            np.testing.assert_allclose(found, slow_place(frame, where), atol=1.01)


@pytest.mark.parametrize("pixel_aspect", [0.3, 0.5, 1.0, 1.31, 3.0])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (630, 519), (64, 64), (30, 200)])
def test_the_window_is_square_in_cm_and_holds_the_sector(
    height: int, width: int, pixel_aspect: float
) -> None:
    corners = ((10, 4), (width - 12, 9), (width - 20, height - 3))
    sector = sector_from_outline(corners, height, width)
    where = placement(sector, 112, pixel_aspect=pixel_aspect)
    # in widths of a pixel, up to the rounding of both sides
    assert abs(where.height * pixel_aspect - where.width) <= 0.5 + 0.5 * pixel_aspect
    assert (where.height == sector.height) or (where.width == sector.width)
    assert where.top <= sector.top
    assert where.left <= sector.left
    assert where.top + where.height >= sector.top + sector.height
    assert where.left + where.width >= sector.left + sector.width
    above, left = sector.top - where.top, sector.left - where.left
    assert abs(2 * above - (where.height - sector.height)) <= 1
    assert abs(2 * left - (where.width - sector.width)) <= 1


def test_trap_06_a_circle_in_cm_stays_a_circle() -> None:
    """Pixels of 0.154 mm height and 0.308 mm width, as in files of CAMUS."""
    rows, columns = np.mgrid[:200, :160]
    frames = ((np.hypot((rows - 100) * 0.154, (columns - 80) * 0.308) < 9) * 255).astype(np.uint8)[None]
    lit = place(frames, placement(full_sector(200, 160), 128, pixel_aspect=0.5))[0] > 127
    assert abs(lit.any(axis=1).sum() - lit.any(axis=0).sum()) <= 2
    diameter = 128 * 18 / (160 * 0.308)
    assert lit.any(axis=1).sum() == pytest.approx(diameter, abs=2)


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan"), float("inf")])
def test_an_aspect_that_is_none_is_refused(aspect: float) -> None:
    with pytest.raises(ValueError, match="pixel_aspect"):
        placement(full_sector(20, 20), 16, pixel_aspect=aspect)


@pytest.mark.parametrize("size", [(480, 640), (160, 200), (301, 407)])
def test_an_outline_makes_the_identical_sector(size: tuple[int, int]) -> None:
    frames, _, _ = screen(*size)
    sector = find_sector(frames)
    assert len(sector.outline) >= 3
    again = sector_from_outline(sector.outline, *size)
    np.testing.assert_array_equal(again.mask, sector.mask)
    assert box(again) == box(sector)
    # a corner is the middle of a pixel, and all corners are inside
    assert all(sector.mask[y, x] for x, y in sector.outline)


def test_no_outline_is_the_whole_frame() -> None:
    sector = full_sector(30, 40)
    assert sector.outline == ()
    again = sector_from_outline((), 30, 40)
    assert again.mask.all()
    assert box(again) == box(sector) == (0, 0, 30, 40)


def test_outlines_that_enclose_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="2 corners"):
        sector_from_outline(((1, 1), (5, 5)), 30, 40)
    with pytest.raises(ValueError, match="outside the frame of 30 x 40"):
        sector_from_outline(((60, 60), (70, 60), (65, 80)), 30, 40)


def test_the_frames_that_are_looked_at_are_spread_over_the_video() -> None:
    assert search_indices(1) == [0]
    assert search_indices(5) == [0, 1, 2, 3, 4]
    many = search_indices(1000)
    assert len(many) == MOST_FRAMES
    assert (many[0], many[-1]) == (0, 999)
    assert np.ptp(np.diff(many)) <= 1
    frames, _, _ = screen(160, 200)
    frames = np.concatenate([frames] * 4)
    spread = find_sector(frames[search_indices(len(frames))])
    assert spread.outline == find_sector(frames).outline


def box(sector: Sector) -> tuple[int, int, int, int]:
    return sector.top, sector.left, sector.height, sector.width


def test_trap_06_placing_keeps_the_aspect() -> None:
    """A circle stays a circle, and what the square lacks is black."""
    rows, columns = np.mgrid[:60, :200]
    frames = ((np.hypot(rows - 30, columns - 100) < 25) * 255).astype(np.uint8)[None]
    where = placement(full_sector(60, 200), 100)
    assert (where.top, where.left, where.height, where.width) == (-70, 0, 200, 200)
    lit = place(frames, where)[0] > 127
    assert abs(lit.any(axis=1).sum() - lit.any(axis=0).sum()) <= 1
    assert abs(lit.sum() - np.pi * 12.5**2) < 25
    assert not lit[:35].any()
    assert not lit[-35:].any()


def test_placing_at_the_same_size_changes_nothing() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (4, 112, 112), dtype=np.uint8)
    np.testing.assert_array_equal(place(frames, placement(full_sector(112, 112), 112)), frames)
    with pytest.raises(ValueError, match="the placement is for"):
        place(frames[:, :100], placement(full_sector(112, 112), 112))
