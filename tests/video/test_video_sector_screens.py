"""Sectors of all probes among what comes, goes and moves on a screen: menus, pointers, clocks, counters."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage
from sector_samples import NUM_FRAMES, jpeg, overlap, speckle
from video_samples import SHARED

from echossl.video import find_sector, open_video, to_grey

HEIGHT, WIDTH = 360, 480


def probe(kind: str) -> np.ndarray:
    """The true sector of a probe, (HEIGHT, WIDTH)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    if kind == "linear":
        return (rows > 0.13 * HEIGHT) & (rows < 0.85 * HEIGHT) & (abs(columns - 0.5 * WIDTH) < 0.26 * WIDTH)
    if kind == "curved":
        down, across = rows + 0.05 * HEIGHT, columns - 0.5 * WIDTH
        distance = np.hypot(down, across)
        is_deep = (distance > 0.22 * HEIGHT) & (distance < 0.9 * HEIGHT)
        return is_deep & (abs(np.arctan2(across, down)) < 0.55)
    down, across = rows - 0.08 * HEIGHT, columns - 0.5 * WIDTH
    fan = (np.hypot(down, across) < 0.78 * HEIGHT) & (abs(across) < 0.8 * down)
    if kind == "cut":
        # zoomed in: cut by a rectangle inside the screen
        return (abs(across) < 1.4 * down) & (down < 0.76 * HEIGHT) & (abs(across) < 0.27 * WIDTH)
    return fan


def menu(draw: ImageDraw.ImageDraw, number: int) -> None:
    """Shown in the middle half of the video."""
    if NUM_FRAMES // 4 < number <= 3 * NUM_FRAMES // 4:
        draw.rectangle((2, 90, 58, 330), fill=90)
        for line in range(6):
            draw.text((6, 96 + 38 * line), f"Preset {line}", fill=230, font_size=11)


def pointer(draw: ImageDraw.ImageDraw, number: int) -> None:
    """An arrow on its way over the left of the screen."""
    x, y = 12 + 13 * number % 60, 330 - 11 * number % 250
    draw.polygon([(x, y), (x, y + 16), (x + 11, y + 11)], fill=255)


def clock(draw: ImageDraw.ImageDraw, number: int) -> None:
    draw.text((WIDTH - 90, 4), f"10:42:{number * 7 % 60:02d}", fill=255, font_size=18)


def counter(draw: ImageDraw.ImageDraw, number: int) -> None:
    """Frame number and heart rate in large digits, changing with every frame."""
    draw.text((4, HEIGHT - 40), f"{3 * number:03d}/072", fill=230, font_size=17)
    draw.text((WIDTH - 62, HEIGHT - 60), f"{60 + number % 9}", fill=240, font_size=32)


def logo(draw: ImageDraw.ImageDraw, number: int) -> None:
    draw.ellipse((6, HEIGHT - 90, 44, HEIGHT - 52), fill=180)
    draw.text((4, 2), "ST MARY HOSPITAL\nSMITH^ANNA\n12/03/1961", fill=225, font_size=13)


PARTS = {"menu": menu, "pointer": pointer, "clock": clock, "counter": counter, "logo": logo}


def drawn(names: list[str]) -> np.ndarray:
    """What is on the screen beside the sector, uint8 (NUM_FRAMES, HEIGHT, WIDTH)."""
    pictures = []
    for number in range(NUM_FRAMES):
        image = Image.new("L", (WIDTH, HEIGHT))
        for name in names:
            PARTS[name](ImageDraw.Draw(image), number)
        pictures.append(np.asarray(image))
    return np.stack(pictures)


def check(frames: np.ndarray, truth: np.ndarray, marks: np.ndarray, *, gap: int = 4) -> None:
    sector = find_sector(frames)
    assert overlap(sector.mask, ndimage.binary_fill_holes(truth)) > 0.94
    beside = (marks.max(axis=0) > 40) & ~ndimage.binary_dilation(truth, iterations=gap)
    assert beside.any()
    assert not (sector.mask & beside).any()


@pytest.mark.parametrize("kind", ["fan", "curved", "linear", "cut"])
@pytest.mark.parametrize("names", [["menu", "logo"], ["pointer", "clock"], ["counter", "logo"], list(PARTS)])
def test_trap_07_what_comes_goes_or_moves_is_no_tissue(kind: str, names: list[str]) -> None:
    truth, marks = probe(kind), drawn(names)
    tissue = speckle(marks.shape, grain=1.8, seed=3)
    check(np.where(truth, tissue, marks), truth, marks)


@pytest.mark.parametrize("background", [0, 30])
def test_trap_07_the_same_after_lossy_coding(background: int) -> None:
    truth, marks = probe("fan"), drawn(list(PARTS))
    frames = np.where(truth, speckle(marks.shape, grain=1.8, seed=3), np.maximum(marks, background))
    check(jpeg(frames.astype(np.uint8)), truth, marks, gap=8)


@pytest.mark.parametrize("repeats", [2, 3])
def test_a_rate_that_was_raised_by_repeating_frames(repeats: int) -> None:
    truth, marks = probe("fan"), drawn(["menu", "counter"])
    frames = np.where(truth, speckle(marks.shape, grain=1.8, seed=3), marks)
    check(frames[: NUM_FRAMES // repeats * repeats : repeats].repeat(repeats, axis=0), truth, marks)


@pytest.mark.parametrize("background", [0, 25])
@pytest.mark.parametrize("kind", ["fan", "curved", "linear", "cut"])
def test_trap_07_stills_lose_their_lettering(kind: str, background: int) -> None:
    """One frame: on a tinted screen too, and with a dark gap through the tissue."""
    truth, marks = probe(kind), drawn(["clock", "counter", "logo"])
    tissue = speckle((1, HEIGHT, WIDTH), grain=1.8, seed=3)
    tissue[:, HEIGHT // 2 : HEIGHT // 2 + 20] = 3
    frames = np.where(truth, tissue, np.maximum(marks[5:6], background)).astype(np.uint8)
    check(frames, truth, marks[5:6])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_few_frames_are_enough(count: int) -> None:
    truth, marks = probe("fan"), drawn(["clock", "logo"])
    frames = np.where(truth, speckle(marks.shape, grain=1.8, seed=3), marks)[:count]
    check(frames, truth, marks[:count])


@pytest.mark.parametrize("name", ["JPGLosslessP14SV1_1s_1f_8b.dcm", "examples_jpeg2k.dcm"])
def test_trap_07_real_stills(name: str) -> None:
    path = SHARED / "dicom" / name
    if not path.is_file():
        pytest.skip(f"the real file is not at {path}")
    with open_video(path) as reader:
        grey = to_grey(reader.read([0]))
    height = grey.shape[1]
    # names, dates and settings stand in the upper tenth
    assert grey[0, : height // 10].max() > 150
    assert not find_sector(grey).mask[: height // 10].any()


@pytest.mark.parametrize(
    "name",
    ["convex/Pneu_Avi_Video_001.mp4", "convex/Reg_Avi_lung-sliding.MP4", "linear/Vir_prospective_file2.mp4"],
)
def test_real_pictures_that_were_cut_out_before_are_kept_whole(name: str) -> None:
    path = SHARED / "pocus_lung" / name
    if not path.is_file():
        pytest.skip(f"the real file is not at {path}")
    with open_video(path) as reader:
        spread = np.linspace(0, reader.num_frames - 1, 12).astype(int).tolist()
        assert find_sector(reader.read_grey(spread)).mask.all()


def test_real_apical_frames_of_fifty_patients_are_kept() -> None:
    """112 x 112, black around the fan: nothing that is lit may be lost."""
    path = SHARED / "camus_a4c" / "camus_a4c_112.npz"
    if not path.is_file():
        pytest.skip(f"the real file is not at {path}")
    pictures = np.load(path)["images"][:100]
    for number in range(0, 100, 2):
        mask = find_sector(pictures[number : number + 2]).mask
        lit = pictures[number : number + 2].astype(int)
        assert (lit * mask).sum() > 0.97 * lit.sum(), number
