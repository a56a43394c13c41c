"""Videos of the phantom as the files that EchoNet data sets ship: MJPEG in AVI, 112 x 112 or as they are."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from echossl.phantom.encode import write_video
from echossl.video import open_video

PUBLISHED_SIZE = 112


def write_avi(source: Path, path: Path, size: int | None = PUBLISHED_SIZE) -> None:
    """The video as AVI; without a size an AVI is copied and another file keeps its height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if size is None and source.suffix == ".avi":
        shutil.copyfile(source, path)
        return
    with open_video(source) as video:
        frames = video.read_grey(range(video.num_frames))
        rate = video.fps or 30.0
    if size is not None:
        frames = np.stack([np.asarray(Image.fromarray(frame).resize((size, size))) for frame in frames])
    write_video(path, frames, rate, "avi", {})


def number_of(patient_id: str) -> int:
    """``P00012`` is patient 12."""
    return int(patient_id.removeprefix("P"))


def hashed_name(patient_id: str) -> str:
    """A file name as EchoNet-Dynamic has them, ``0X1A0B…``."""
    return f"0X{number_of(patient_id) * 0x9E3779B97F4A7C15 % 2**64:016X}"


def split_of(patient_id: str) -> str:
    """One patient in eight validates, one tests."""
    return {7: "val", 0: "test"}.get(number_of(patient_id) % 8, "train")


def ejection_fraction(row: pd.Series) -> float:
    """The phantom's table has none, so one is made of the velocity: 76 down to 20 percent."""
    return round(max(20.0, 84 - 10 * float(row["peak_velocity_m_per_s"])), 4)


def first_videos(phantom_manifest: pd.DataFrame) -> pd.DataFrame:
    """One video per patient, as the data sets without patient ids are."""
    return phantom_manifest.drop_duplicates("patient_id").reset_index(drop=True)
