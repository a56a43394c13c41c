"""Folders of frames as people export them: a folder per clip, numbers without leading zeros."""

from pathlib import Path

import pandas as pd
from phantom_frames import grey_frames
from PIL import Image


def build_folder(phantom_manifest: pd.DataFrame, root: Path) -> Path:
    """``<patient>/<clip>/image_<n>.png``; the root to index, with ``frame_folders=true fps=25``."""
    for path, patient in zip(phantom_manifest["path"], phantom_manifest["patient_id"], strict=True):
        frames, _ = grey_frames(path)
        folder = root / patient / Path(path).stem
        folder.mkdir(parents=True)
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(folder / f"image_{number}.png", compress_level=1)
    (root / "notes.txt").write_text("exported from the archive\n", encoding="utf-8")
    return root
