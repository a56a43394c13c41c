"""Videos of two views in every study: a bright square in the upper half, or one in the lower."""

from pathlib import Path

import av
import numpy as np
import pandas as pd

from echossl.config.data import DataConfig, PrepareConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare

SIZE = 32
TRAIN, TEST = 12, 6


def make_views(folder: Path, *, patients: int, first: int = 0) -> pd.DataFrame:
    """A study of two PLAX and one A4C video for each patient, in files of arbitrary names."""
    generator = np.random.default_rng((7, first))
    rows = []
    for number in range(first, first + patients):
        for video, view in enumerate(("PLAX", "A4C", "PLAX")):
            path = folder / f"v{number:02d}_{video}.avi"
            _write_video(path, 3 if view == "PLAX" else 18, generator)
            names = {"patient_id": f"{number:03d}", "study_id": f"s{number:03d}", "view": view}
            rows.append({"path": str(path), **names, "severe_as": float(number % 2)})
    return pd.DataFrame(rows)


def prepared(table: pd.DataFrame, folder: Path) -> DataConfig:
    """Manifest and store of a table."""
    data = DataConfig(manifest=folder / "manifest.csv", store=folder / "store")
    write_manifest(table, data.manifest)
    prepare(PrepareConfig(manifest=data.manifest, out=data.store, size=SIZE, sector="keep", workers=1))
    return data


def _write_video(path: Path, top: int, generator: np.random.Generator) -> None:
    frames = generator.normal(60, 15, (12, SIZE, SIZE))
    left = int(generator.integers(2, 18))
    frames[:, top : top + 11, left : left + 12] += 120
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=20)
        stream.height, stream.width, stream.pix_fmt = SIZE, SIZE, "yuvj420p"
        for frame in frames.clip(0, 255).astype(np.uint8):
            picture = np.repeat(frame[..., None], 3, axis=-1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
