"""The sector is kept whole and everything drawn around it is blanked; placing keeps the aspect."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage
from video_samples import SHARED

from echossl.video import find_sector, full_sector, open_video, place, placement, to_grey

NUM_FRAMES = 24


def fan_mask(height: int, width: int) -> np.ndarray:
    """A phased-array fan with its tip at the top, in the middle three quarters of the screen."""
    rows, columns = np.mgrid[:height, :width]
    down, across = rows - 0.08 * height, columns - 0.5 * width
    return (np.hypot(down, across) <= 0.78 * height) & (np.abs(across) <= 0.8 * down)


def speckle(shape: tuple[int, ...], *, grain: float, seed: int) -> np.ndarray:
    """Tissue of changing speckle with a dark, still chamber in it; uint8 (frames, height, width)."""
    noise = np.random.default_rng(seed).normal(size=shape)
    tissue = (
        80
        + 25
        * ndimage.gaussian_filter(noise, (0, grain, grain))
        / ndimage.gaussian_filter(noise[0], grain).std()
    )
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    chamber = np.hypot(rows - 0.5 * shape[1], columns - 0.5 * shape[2]) < 0.15 * shape[1]
    return np.where(chamber, 0, np.clip(tissue, 0, 255)).astype(np.uint8)


def overlays(frame: int, height: int, width: int, *, ecg: str) -> np.ndarray:
    """What a scanner draws around the fan: text, digits that change, ticks, a colour bar, an ECG."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    size = max(8, height // 24)
    draw.text((2, 2), "Adult Echo\nDOE^JOHN\n12/03/1961", fill=220, font_size=size)
    draw.text((0.88 * width, 0.9 * height), f"{60 + frame % 7} HR", fill=220, font_size=size)
    for row in np.linspace(0.08, 0.86, 9) * height:
        draw.line((0.95 * width, row, 0.97 * width, row), fill=200)
    bar = np.linspace(255, 0, int(0.3 * height)).astype(np.uint8)[:, None].repeat(max(2, width // 40), axis=1)
    image.paste(Image.fromarray(bar), (int(0.92 * width), int(0.1 * height)))
    columns = np.arange(int(0.05 * width), int(0.95 * width))
    shift = 3 * frame if ecg == "scrolls" else 0
    beat = np.exp(-0.5 * (((columns + shift) % (width // 4)) / (width / 120)) ** 2)
    trace = [
        (column, 0.97 * height - 0.07 * height * voltage)
        for column, voltage in zip(columns, beat, strict=True)
    ]
    shown = trace if ecg == "scrolls" else trace[: max(2, len(trace) * (frame + 1) // NUM_FRAMES)]
    draw.line(shown, fill=190, width=max(1, height // 240))
    return np.asarray(image)


def screen(
    height: int, width: int, *, ecg: str = "sweeps", background: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames (n, height, width), the true fan, and where anything else was ever drawn."""
    fan = fan_mask(height, width)
    drawn = np.stack([overlays(frame, height, width, ecg=ecg) for frame in range(NUM_FRAMES)])
    tissue = speckle(drawn.shape, grain=max(1, height / 200), seed=0)
    frames = np.where(fan, tissue, np.maximum(drawn, background))
    return frames, fan, (drawn.max(axis=0) > 40) & ~fan


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("ecg", ["sweeps", "scrolls"])
@pytest.mark.parametrize("background", [0, 30])
@pytest.mark.parametrize("size", [(480, 640), (600, 800), (160, 200), (708, 1016)])
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
    coded = []
    for frame in frames:
        image = Image.fromarray(frame)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=60)
        coded.append(np.asarray(Image.open(buffer)))
    sector = find_sector(np.stack(coded))
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


def test_grey_is_the_luma_of_bt_601() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    np.testing.assert_allclose(to_grey(frames), frames @ [0.299, 0.587, 0.114], atol=0.51)
    np.testing.assert_array_equal(to_grey(frames[..., :1]), frames[..., 0])


def slow_place(frame: np.ndarray, top: int, left: int, side: int, size: int) -> np.ndarray:
    """Every output pixel as a weighted mean over the square, weights falling linearly with distance."""
    square = np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            if 0 <= top + row < frame.shape[0] and 0 <= left + column < frame.shape[1]:
                square[row, column] = frame[top + row, left + column]
    scale = side / size
    weights = np.empty((size, side))
    for out in range(size):
        centre = (out + 0.5) * scale
        distance = np.abs(np.arange(side) + 0.5 - centre) / max(scale, 1)
        weights[out] = np.maximum(0, 1 - distance)
        weights[out] /= weights[out].sum()
    return weights @ square @ weights.T


@pytest.mark.parametrize(
    ("height", "width", "size"), [(50, 70, 16), (90, 40, 32), (30, 30, 30), (20, 24, 40)]
)
def test_placing_equals_the_slow_average(height: int, width: int, size: int) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, height, width), dtype=np.uint8)
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[3:-4, 5:-2] = True
    sector = find_sector(frames)
    for where in (placement(sector, size), placement(full_sector(height, width), size)):
        placed = place(frames, where)
        assert placed.shape == (3, size, size)
        for frame, found in zip(frames, placed, strict=True):
            np.testing.assert_allclose(
                found, slow_place(frame, where.top, where.left, where.height, size), atol=1.01
            )


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
