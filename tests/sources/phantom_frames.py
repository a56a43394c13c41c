"""The frames of a phantom's videos, for building the layouts of data sets from them."""

import shutil
from pathlib import Path

import numpy as np

from echossl.video.reader import open_video


def grey_frames(path: str | Path) -> tuple[np.ndarray, float]:
    """(frames, height, width) uint8 and the frame rate."""
    with open_video(Path(path)) as reader:
        return reader.read_grey(range(reader.num_frames)), float(reader.fps)


def link(source: str | Path, target: Path) -> None:
    """The same file under another name, without a second copy where the disk allows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
