"""Colour Doppler is told from tints, lettering, bars and coding noise; blanking it leaves the tissue."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage
from sector_samples import jpeg
from video_samples import SHARED

from echossl.video import find_sector, open_video, to_grey
from echossl.video.doppler import BLEED_PIXELS, LEAST_CHROMA, blank_doppler, find_doppler, painted_pixels
from echossl.video.sector import search_indices

HEIGHT, WIDTH, NUM_FRAMES = 180, 240, 8


def tissue(*, count: int = NUM_FRAMES) -> np.ndarray:
    """Speckle in a fan, uint8 (count, height, width)."""
    noise = np.random.default_rng(0).normal(size=(count, HEIGHT, WIDTH))
    speckle = np.clip(90 + 160 * ndimage.gaussian_filter(noise, (0, 1, 1)), 0, 255)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    fan = (np.hypot(rows, columns - WIDTH / 2) < 170) & (np.abs(columns - WIDTH / 2) < 0.7 * rows)
    return (speckle * fan).astype(np.uint8)


def grey_to_colour(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def jet(frame: int) -> np.ndarray:
    """Where flow is in a frame, (height, width)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot(rows - 100, columns - 105 - 4 * frame) < 9 + 3 * np.sin(frame)


def flow(frames: np.ndarray, *, hues: str = "red and blue") -> tuple[np.ndarray, np.ndarray]:
    """Paint a moving jet, in shades of red to yellow and, on one side, of blue to cyan; where it is."""
    painted = frames.copy()
    where = np.stack([jet(number) for number in range(len(frames))])
    speed = np.random.default_rng(1).integers(0, 200, where.shape)
    warm = np.stack([np.full_like(speed, 220), speed, np.zeros_like(speed)], axis=-1)
    cold = warm[..., ::-1]
    is_warm = (np.arange(WIDTH) % 16 < 8)[None, None, :, None] | (hues == "red")
    painted[where] = np.where(is_warm, warm, cold).astype(np.uint8)[where]
    return painted, where


def tint(grey: np.ndarray, name: str) -> np.ndarray:
    """The colour maps that scanners offer for tissue."""
    share = np.linspace(0, 1, 256)
    curves = {
        "sepia": (share**0.8, share**1.1, share**1.6),
        "blue": (share**1.5, share**1.2, share**0.8),
        "candle": (share**0.6, share**1.2, share**2.5),
    }
    return (np.stack(curves[name], axis=-1) * 255).round().astype(np.uint8)[grey]


@pytest.mark.parametrize("hues", ["red and blue", "red"])
@pytest.mark.parametrize("is_lossy", [False, True])
def test_flow_is_found(hues: str, *, is_lossy: bool) -> None:
    frames, where = flow(grey_to_colour(tissue()), hues=hues)
    found = find_doppler(jpeg(frames, 70) if is_lossy else frames)
    assert found.is_doppler
    assert found.frames_share == 1
    lit = (frames.max(axis=-1) > 22).sum()
    assert found.share == pytest.approx(where.sum() / lit, rel=0.3)


@pytest.mark.parametrize("name", ["sepia", "blue", "candle"])
@pytest.mark.parametrize("is_lossy", [False, True])
def test_a_tint_is_no_flow_but_flow_over_it_is(name: str, *, is_lossy: bool) -> None:
    tinted = tint(tissue(), name)
    assert (tinted.max(axis=-1) - tinted.min(axis=-1)).max() > LEAST_CHROMA
    painted, _ = flow(tinted)
    if is_lossy:
        tinted, painted = jpeg(tinted, 70), jpeg(painted, 70)
    assert not find_doppler(tinted).is_doppler
    assert find_doppler(painted).is_doppler


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_coding_noise_is_no_flow(quality: int) -> None:
    noise = np.random.default_rng(2).integers(-6, 7, (NUM_FRAMES, HEIGHT, WIDTH, 3))
    frames = np.clip(grey_to_colour(tissue()).astype(int) + noise, 0, 255).astype(np.uint8)
    found = find_doppler(jpeg(frames, quality))
    assert (found.is_doppler, found.share) == (False, 0.0)


def test_trap_07_coloured_marks_inside_the_sector_are_no_flow() -> None:
    """A green trace that sweeps over the fan, yellow depths, a red caliper: thin; and a bar that rests."""
    frames = grey_to_colour(tissue())
    for number, frame in enumerate(frames):
        image = Image.fromarray(frame)
        draw = ImageDraw.Draw(image)
        columns = np.arange(40, 60 + 20 * number)
        heights = 140 - 25 * np.exp(-0.5 * ((columns % 60 - 30) / 3) ** 2)
        draw.line(list(zip(columns.tolist(), heights.tolist(), strict=True)), fill=(0, 230, 60))
        draw.text((100, 120), "5-  10-", fill=(230, 230, 0), font_size=10)
        draw.line((110, 80, 140 + number, 100), fill=(255, 30, 30))
        draw.rectangle((118, 30, 124, 50), fill=(255, 90, 0))
        frame[...] = np.asarray(image)
    assert not find_doppler(frames).is_doppler
    assert find_doppler(flow(frames)[0]).is_doppler


def test_a_still_and_a_frozen_video_show_flow() -> None:
    frames, _ = flow(grey_to_colour(tissue(count=1)))
    assert find_doppler(frames).is_doppler
    assert find_doppler(frames.repeat(6, axis=0)).is_doppler


def test_one_flash_in_many_frames_is_not_enough() -> None:
    grey = grey_to_colour(tissue(count=12))
    flash = grey.copy()
    flash[:1] = flow(grey)[0][:1]
    assert not find_doppler(flash).is_doppler
    several = grey.copy()
    several[3:6] = flow(grey)[0][3:6]
    found = find_doppler(several)
    assert found.is_doppler
    assert found.frames_share == pytest.approx(3 / 12)


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (3, 1, 5, 3), (5, 40, 40, 3)])
def test_black_is_no_flow(shape: tuple[int, ...]) -> None:
    found = find_doppler(np.zeros(shape, np.uint8))
    assert (found.is_doppler, found.share, found.frames_share) == (False, 0.0, 0.0)


def test_blanking_takes_the_flow_and_leaves_the_tissue() -> None:
    frames, where = flow(grey_to_colour(tissue()))
    before = frames.copy()
    blanked = blank_doppler(frames)
    np.testing.assert_array_equal(frames, before)
    assert blanked[where].max() == 0
    # a plain reference of the reach: pixels within so many steps up, down, left or right
    near = np.stack([ndimage.distance_transform_cdt(~there, "taxicab") <= BLEED_PIXELS for there in where])
    np.testing.assert_array_equal(blanked, np.where(near[..., None], 0, before))


def test_blanking_treats_each_frame_by_itself() -> None:
    frames, _ = flow(tint(tissue(), "blue"))
    whole = blank_doppler(frames)
    np.testing.assert_array_equal(whole[5:6], blank_doppler(frames[5:6]))
    np.testing.assert_array_equal(whole[[6, 2, 2]], blank_doppler(frames[[6, 2, 2]]))


def test_grey_pictures_are_left_as_they_are() -> None:
    frames = grey_to_colour(tissue())
    np.testing.assert_array_equal(blank_doppler(frames), frames)
    assert not painted_pixels(frames[0]).any()


def test_bright_flow_over_dark_tissue_does_not_pass_for_its_tint() -> None:
    """Hardly any tissue is as bright as the flow is."""
    frames, where = flow(grey_to_colour(tissue() // 3))
    assert (painted_pixels(frames[0]) == where[0]).mean() > 0.999


def colours_inside_the_sector(name: str) -> np.ndarray:
    """Frames of a real file, black outside the sector."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"the real file is not at {path}")
    with open_video(path) as reader:
        frames = reader.read(search_indices(reader.num_frames)[::3])
    return frames * find_sector(to_grey(frames)).mask[..., None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dicom/derived_vividE95_jpegbaseline.dcm", True),
        ("dicom/dcm4che_US-PAL-8-10x-echo.dcm", True),
        ("dicom/dcm4che_US-RGB-8-esopecho.dcm", True),
        ("dicom/examples_rgb_color.dcm", True),
        ("dicom/color3d_jpeg_baseline.dcm", False),
        ("dicom/examples_ybr_color.dcm", False),
        ("dicom/dcm4che_YBR_FULL-RLE.dcm", False),
        ("pocus_lung/convex/Pneu_basalpneumonia_liftle_case1.mp4", False),
        ("pocus_lung/convex/Reg_northumbria_1009_vid1.avi", False),
        ("pocus_lung/linear/Cov-Atlas-pleural.mp4", False),
    ],
)
def test_real_files(name: str, *, expected: bool) -> None:
    assert find_doppler(colours_inside_the_sector(name)).is_doppler is expected


def test_real_flow_is_blanked_and_most_tissue_stays() -> None:
    frames = colours_inside_the_sector("dicom/derived_vividE95_jpegbaseline.dcm")
    blanked = blank_doppler(frames)
    chroma = np.ptp(frames.astype(int), axis=-1)
    assert np.ptp(blanked.astype(int), axis=-1).max() < 130
    is_grey = (chroma < 20) & (frames.max(axis=-1) > 40)
    kept = (blanked[is_grey] == frames[is_grey]).all(axis=-1)
    assert kept.mean() > 0.97
    assert (blanked[chroma > 100].max(axis=-1) == 0).mean() > 0.99
