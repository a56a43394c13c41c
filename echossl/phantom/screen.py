"""What a scanner's screen shows around the fan: text, a mark, depth ticks, a running ECG."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from echossl.phantom.motion import Beats
from echossl.phantom.scanner import Fan

Picture = NDArray[np.uint8]

ECG_SHARE = 0.09
SWEEP_SECONDS = 3.0
SAMPLES_PER_COLUMN = 8
# black between the fan and what is drawn around it
GAP_PIXELS = 4


def fan_box(height: int, width: int) -> tuple[int, int, int, int]:
    """Room for the fan (top, left, bottom, right); below it runs the ECG, right of it the depth scale."""
    return GAP_PIXELS, GAP_PIXELS, height - round(ECG_SHARE * height) - GAP_PIXELS, width - 5 - GAP_PIXELS


def draw_screen(
    fan: Fan, generator: np.random.Generator, words: Sequence[str] = ("PLAX", "TTE", "Adult")
) -> Picture:
    """The still part (height, width); nothing is drawn inside the fan.

    Args:
        fan: whose inside stays empty, and whose scale the ticks show.
        generator: chooses brightness and words.
        words: one of these stands at the top.
    """
    height, width = fan.inside.shape
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    bright = int(generator.integers(130, 220))
    draw.text((2, 1), str(generator.choice(list(words))), fill=bright, font_size=9)
    draw.text((2, 11), f"{generator.integers(1, 60):02d}Hz", fill=bright, font_size=8)
    _draw_mark(draw, width, bright)
    box = fan_box(height, width)
    for tick, row in enumerate(np.arange(box[0], box[2], 1 / fan.cm_per_pixel)):
        draw.line((width - (5 if tick % 5 == 0 else 3), row, width - 1, row), fill=bright)
    screen = np.asarray(image).copy()
    screen[ndimage.binary_dilation(fan.inside, iterations=GAP_PIXELS - 1)] = 0
    return screen


def burn_in(pictures: Picture, fan: Fan, text: str) -> None:
    """Write over the fan of (frames, height, width), near its lower edge, where no mask of it reaches."""
    height, width = fan.inside.shape
    image = Image.new("L", (width, height))
    bottom = int(np.flatnonzero(fan.inside[:, width // 2])[-1])
    ImageDraw.Draw(image).text((width // 2 - 14, bottom - 14), text, fill=200, font_size=9)
    np.maximum(pictures, np.asarray(image) * fan.inside, out=pictures)


def _draw_mark(draw: ImageDraw.ImageDraw, width: int, bright: int) -> None:
    """A maker's mark: a filled block with a letter cut out."""
    left = width - 24
    draw.rectangle((left, 2, left + 13, 13), fill=bright // 2 + 40)
    draw.text((left + 3, 2), "E", fill=0, font_size=10)


def ecg_wave(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """ECG voltage by phase (0 at the R wave): P, Q, R, S and T as bells; the R wave is 1 high."""
    bells = (
        (0.85, 0.025, 0.14),
        (0.97, 0.010, -0.12),
        (0.0, 0.012, 1.0),
        (0.03, 0.012, -0.22),
        (0.30, 0.045, 0.25),
    )
    wave = np.zeros_like(phase)
    for centre, spread, size in bells:
        away = (phase - centre + 0.5) % 1.0 - 0.5
        wave += size * np.exp(-0.5 * (away / spread) ** 2)
    return wave


def draw_ecg(pictures: Picture, beats: Beats) -> None:
    """Draw the trace into the strip below the fan of (frames, height, width), up to a moving cursor."""
    num_frames, height, width = pictures.shape
    strip, room = round(ECG_SHARE * height), width - 8
    columns_per_frame = room / (SWEEP_SECONDS * beats.frames_per_second)
    ends = np.floor(columns_per_frame * np.arange(num_frames + 1)).astype(np.int64)
    # several samples a column, or most R waves would fall between two columns
    frame = (np.arange(ends[-1] * SAMPLES_PER_COLUMN) + 0.5) / SAMPLES_PER_COLUMN / columns_per_frame
    phase = np.interp(frame, np.arange(num_frames), np.unwrap(beats.phase, period=1.0))
    level = (strip - 2 - (strip - 4) * (0.2 + 0.75 * ecg_wave(phase))).reshape(-1, SAMPLES_PER_COLUMN)
    high, low = level.min(axis=1).astype(np.int64), level.max(axis=1).astype(np.int64)
    trace = np.zeros((strip, width), np.uint8)
    for number in range(num_frames):
        for column in range(ends[number], ends[number + 1]):
            place = 3 + column % room
            trace[:, place : place + 4] = 0
            trace[high[column] : low[column] + 1, place] = 170
        pictures[number, height - strip :] = trace
