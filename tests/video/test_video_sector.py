"""The sector is kept whole and everything drawn around it is blanked."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage
from sector_samples import NUM_FRAMES, jpeg, overlap, screen, speckle
from video_samples import SHARED

from echossl.video import find_sector, open_video, to_grey


@pytest.mark.parametrize(
    ("size", "ecg", "background"),
    [
        *product([(300, 400), (160, 200)], ["sweeps", "scrolls"], [0, 30]),
        ((480, 640), "scrolls", 30),
        ((708, 1016), "sweeps", 0),
    ],
)
def test_trap_07_everything_around_the_sector_is_blanked(
    size: tuple[int, int], ecg: str, background: int
) -> None:
    frames, fan, drawn = screen(*size, ecg=ecg, background=background)
    sector = find_sector(frames)
    assert overlap(sector.mask, fan) > 0.96
    assert not (sector.mask & drawn).any()
    assert (sector.mask & fan).sum() > 0.985 * fan.sum()


def test_trap_07_lossy_coding_does_not_widen_the_sector() -> None:
    frames, fan, drawn = screen(240, 320)
    sector = find_sector(jpeg(frames))
    assert overlap(sector.mask, fan) > 0.96
    assert not (sector.mask & drawn).any()


def test_trap_06_the_sector_comes_from_the_whole_video() -> None:
    """A first frame that is black but for a menu; the sector lights up later."""
    frames, fan, drawn = screen(240, 320)
    frames[:2] = 0
    frames[:2, 200:230, 20:300] = 250
    sector = find_sector(frames)
    assert overlap(sector.mask, fan) > 0.96
    assert not (sector.mask & drawn).any()


def test_the_box_is_that_of_the_mask() -> None:
    frames, _, _ = screen(240, 320)
    sector = find_sector(frames)
    rows, columns = np.nonzero(sector.mask)
    assert (sector.top, sector.left) == (rows.min(), columns.min())
    assert (sector.height, sector.width) == (np.ptp(rows) + 1, np.ptp(columns) + 1)


@pytest.mark.parametrize("side", [112, 300])
def test_a_picture_that_fills_the_frame_is_kept_whole(side: int) -> None:
    tissue = speckle((NUM_FRAMES, side, side), grain=2, seed=1)
    assert find_sector(tissue).mask.all()
    # darker below, as behind lung
    faded = (tissue * np.linspace(1, 0, side)[:, None] ** 2).astype(np.uint8)
    assert find_sector(faded).mask.all()


def test_a_fan_that_was_cut_out_before_is_kept_whole() -> None:
    """112 x 112 with the fan from edge to edge and black corners, as EchoNet-Dynamic has."""
    rows, columns = np.mgrid[:112, :112]
    fan = (np.hypot(rows, columns - 56) <= 111) & (np.abs(columns - 56) <= 0.7 * rows + 6)
    frames = speckle((NUM_FRAMES, 112, 112), grain=1, seed=2) * fan
    assert find_sector(frames).mask.all()


def test_ticks_beside_a_cut_out_fan_are_blanked() -> None:
    rows, columns = np.mgrid[:200, :200]
    fan = np.abs(columns - 100) <= 0.5 * rows + 6
    frames = speckle((NUM_FRAMES, 200, 200), grain=1, seed=2) * fan
    for row in range(20, 140, 20):
        frames[:, row : row + 3, 3:6] = 240
    sector = find_sector(frames)
    assert overlap(sector.mask, fan) > 0.96
    assert (frames * sector.mask)[:, :150, :10].max() < 200


@pytest.mark.parametrize("frames", [np.zeros((8, 60, 80), np.uint8), np.full((3, 40, 40), 7, np.uint8)])
def test_nothing_found_keeps_the_frame(frames: np.ndarray) -> None:
    sector = find_sector(frames)
    assert sector.mask.all()
    assert (sector.top, sector.left, sector.height, sector.width) == (0, 0, *frames.shape[1:])


@pytest.mark.parametrize("count", [1, 6])
def test_a_still_shows_its_sector_by_brightness(count: int) -> None:
    frames, fan, _ = screen(480, 640)
    sector = find_sector(np.repeat(frames[-1:], count, axis=0))
    assert overlap(sector.mask, fan) > 0.9


def test_phantom_videos_keep_the_fan_and_nothing_else() -> None:
    """The phantom's screen has black between the fan and its marks: the largest lit part is the fan."""
    pytest.importorskip("echossl.phantom.render")
    from echossl.config.phantom import PhantomSettings
    from echossl.phantom.anatomy import sample_patient
    from echossl.phantom.render import render_video

    for number in (1, 2):
        config = PhantomSettings(beats=(1.0, 1.2), view="sector" if number == 2 else "valve")
        frames = render_video(sample_patient(0, number, 1.0), 1, config).frames
        labels, _ = ndimage.label(frames.max(axis=0) > 0)
        fan = ndimage.binary_fill_holes(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
        sector = find_sector(frames)
        assert overlap(sector.mask, fan) > 0.96
        assert frames.max(axis=0)[sector.mask & ~fan].max(initial=0) == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real files is not here")
@pytest.mark.parametrize(
    ("name", "box", "lettering"),
    [
        # top, left, bottom, right of the sector by eye; places of text, scales and ECG that must go
        (
            "color3d_jpeg_baseline.dcm",
            (44, 84, 404, 600),
            [(0, 0, 80, 70), (440, 120, 480, 570), (20, 612, 420, 640)],
        ),
        (
            "derived_vividE95_jpegbaseline.dcm",
            (70, 190, 662, 868),
            [(0, 0, 100, 200), (620, 0, 708, 190), (0, 960, 250, 1016)],
        ),
        (
            "dcm4che_US-PAL-8-10x-echo.dcm",
            (2, 114, 356, 470),
            [(0, 0, 100, 60), (368, 50, 430, 345), (0, 540, 200, 600)],
        ),
    ],
)
def test_trap_07_real_echo(name: str, box: tuple[int, ...], lettering: list[tuple[int, ...]]) -> None:
    with open_video(SHARED / "dicom" / name) as reader:
        spread = np.unique(np.linspace(0, reader.num_frames - 1, 16).astype(int))
        grey = to_grey(reader.read(spread))
    sector = find_sector(grey)
    found = (sector.top, sector.left, sector.top + sector.height, sector.left + sector.width)
    np.testing.assert_allclose(found, box, atol=20)
    for top, left, bottom, right in lettering:
        assert grey[:, top:bottom, left:right].max() > 80
        assert not sector.mask[top:bottom, left:right].any()
