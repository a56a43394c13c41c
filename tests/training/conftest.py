"""A small clip store, prepared from real video files once for all tests of the room."""

from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from echossl.config.data import DataConfig, PrepareConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import prepare

NUM_PATIENTS, VIDEOS_PER_PATIENT, NUM_FRAMES, SIDE = 8, 2, 14, 32


def write_video(path: Path, frames: np.ndarray, fps: int) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "yuvj420p"
        for grey in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="gray")))
        container.mux(stream.encode(None))


def beating_blob(seed: int) -> np.ndarray:
    """A bright disc that grows and shrinks: (frames, side, side) uint8."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    distance = np.hypot(rows, columns)
    radii = 8 + 3 * np.sin(np.linspace(0, 2 * np.pi, NUM_FRAMES) + generator.uniform(0, 6))
    picture = 200.0 * (distance < radii[:, None, None]) + generator.uniform(0, 50, (NUM_FRAMES, SIDE, SIDE))
    return picture.astype(np.uint8)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Eight patients to train on and two to test on, with two videos each."""
    folder = tmp_path_factory.mktemp("videos")
    rows = []
    for patient in range(NUM_PATIENTS + 2):
        for video in range(VIDEOS_PER_PATIENT):
            path = folder / f"p{patient}_v{video}.avi"
            write_video(path, beating_blob(10 * patient + video), fps=14)
            split = "train" if patient < NUM_PATIENTS else "test"
            rows.append({"path": str(path), "patient_id": f"p{patient}", "split": split})
    write_manifest(pd.DataFrame(rows), folder / "manifest.csv")
    config = PrepareConfig(
        manifest=folder / "manifest.csv", out=folder / "store", size=16, sector="keep", workers=1
    )
    prepare(config)
    return DataConfig(manifest=config.manifest, store=config.out)


@pytest.fixture(scope="session")
def labelled(store: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """The same store; patients of both classes in each split."""
    table = read_manifest(store.manifest)
    number = table["patient_id"].str[1:].astype(int)
    table["split"] = ["train" if value < 4 else "val" for value in number]
    table["severe_as"] = number % 2
    table.loc[table["patient_id"] == "p9", "severe_as"] = np.nan
    table["as_grade"] = "none"
    # both values in every patient, which no embedding can tell at five patients each
    table["source"] = ["a", "b"] * (len(table) // 2)
    path = tmp_path_factory.mktemp("labelled") / "manifest.csv"
    write_manifest(table, path)
    return DataConfig(manifest=path, store=store.store)
