"""Text has the contrast that WCAG 2 asks for, lines too, and no two arms look alike to any colour vision."""

import re
from itertools import combinations, product

import numpy as np
import pytest

from echossl.report.render import FOLDER
from echossl.report.svg import NUM_ARM_COLOURS

STYLE = (FOLDER / "report.css").read_text(encoding="utf-8")
LIGHT, DARK, PRINT = (
    dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{3,6});", block))
    for block in re.findall(r":root \{(.*?)\n?\s*\}", STYLE, re.DOTALL)
)
TEXT, GRAPHIC = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11, level AA
ARMS = [f"--arm-{number}" for number in range(NUM_ARM_COLOURS)]
# Machado, Oliveira and Fernandes 2009, severity 1: linear red, green, blue as seen
VISIONS = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = TO_XYZ.sum(axis=1)


def linear(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = np.array([int(digits[place : place + 2], 16) for place in (0, 2, 4)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    dark, light = sorted(float(linear(colour) @ TO_XYZ[1]) for colour in (first, second))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb):
    shares = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    x, y, z = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", [LIGHT, DARK, PRINT], ids=["light", "dark", "print"])
def test_contrast_of_text_and_lines(theme):
    for ink, paper in product(("--ink", "--muted", "--accent"), ("--paper", "--raised", "--soft")):
        assert contrast(theme[ink], theme[paper]) >= TEXT, (ink, paper)
    for paper in ("--paper", "--warn-soft"):
        assert contrast(theme["--warn"], theme[paper]) >= TEXT, paper
    assert contrast(theme["--ink"], theme["--warn-soft"]) >= TEXT
    for arm in ARMS:
        assert contrast(theme[arm], theme["--paper"]) >= GRAPHIC, arm


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", [LIGHT, DARK, PRINT], ids=["light", "dark", "print"])
def test_no_two_arms_look_alike_to_any_colour_vision(theme, vision):
    seen = {arm: lab(np.array(VISIONS[vision]) @ linear(theme[arm])) for arm in ARMS}
    for first, second in combinations(ARMS, 2):
        # 2 is just noticeable side by side; the colours that stood here before came as close as that
        assert np.linalg.norm(seen[first] - seen[second]) > 25, (first, second)


def test_black_on_white_is_21_to_1():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.01)
