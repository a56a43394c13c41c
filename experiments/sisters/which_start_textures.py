"""Pictures that show no heart, textures of eight kinds with a manifest: the "other images" of a start.

Usage: which_start_textures.py FOLDER --pictures 800 --side 64 --seed 7
"""

import argparse
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from scipy import ndimage

from echossl.data.manifest import write_manifest

Floats = npt.NDArray[np.float64]
KINDS = ("across", "upright", "slanted", "checks", "rings", "dots", "cloud", "cells")
TEST_SHARE = 5


def texture(kind: str, side: int, generator: np.random.Generator) -> Floats:
    """A texture of a kind with a random scale, place and contrast, (side, side), 0 to 1."""
    rows, columns = np.mgrid[:side, :side] / side + generator.random((2, 1, 1))
    waves = 2 * np.pi * generator.uniform(3, 8)
    noise = generator.normal(size=(side, side))
    pattern = {
        "across": lambda: np.sin(waves * rows),
        "upright": lambda: np.sin(waves * columns),
        "slanted": lambda: np.sin(waves * (rows + columns) / np.sqrt(2)),
        "checks": lambda: np.sign(np.sin(waves * rows) * np.sin(waves * columns)),
        "rings": lambda: np.sin(waves * np.hypot(rows - rows.mean(), columns - columns.mean())),
        "dots": lambda: ndimage.gaussian_filter((noise > 2.3).astype(float), side / 40),
        "cloud": lambda: ndimage.gaussian_filter(noise, side / generator.uniform(8, 16)),
        "cells": lambda: np.abs(ndimage.gaussian_filter(noise, side / generator.uniform(16, 24))),
    }[kind]()
    spread = np.ptp(pattern) or 1.0
    grey = (pattern - pattern.min()) / spread
    contrast = generator.uniform(0.5, 1.0)
    low = generator.uniform(0, 1 - contrast)
    found: Floats = np.clip(low + contrast * grey + generator.normal(0, 0.03, (side, side)), 0, 1)
    return found


def main() -> None:
    """Write the pictures and ``manifest.csv``; a finished folder is left as it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=800)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--seed", type=int, default=7)
    words = parser.parse_args()
    if (words.folder / "manifest.csv").is_file():
        return
    words.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(words.pictures):
        kind = KINDS[number % len(KINDS)]
        pixels = texture(kind, words.side, np.random.default_rng([words.seed, number]))
        path = Path(os.path.abspath(words.folder / f"{number:05d}.png"))  # noqa: PTH100 - links stay
        Image.fromarray((255 * pixels).astype(np.uint8)).save(path)
        split = "test" if (number // len(KINDS)) % TEST_SHARE == 0 else "train"
        rows.append({"path": str(path), "patient_id": f"t{number:05d}", "split": split, "texture": kind})
    write_manifest(pd.DataFrame(rows), words.folder / "manifest.csv")


if __name__ == "__main__":
    main()
