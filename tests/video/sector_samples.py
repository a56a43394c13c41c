"""Screens of scanners for the tests of the sector: a fan of changing speckle, and what is drawn around it."""

import io

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

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


def jpeg(frames: np.ndarray, quality: int = 60) -> np.ndarray:
    """Frames after lossy coding with colour at half the resolution."""
    coded = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
        coded.append(np.asarray(Image.open(buffer)))
    return np.stack(coded)
