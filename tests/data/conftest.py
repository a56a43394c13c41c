"""Small real video files, and a clip store made of them."""

import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.config.data import PrepareConfig

WriteVideo = Callable[..., np.ndarray]


def _write_video(
    path: Path, *, num_frames: int = 30, fps: int = 30, height: int = 32, width: int = 32, seed: int = 0
) -> np.ndarray:
    """A lossless grey video of a bright block that moves over noise: (num_frames, height, width) uint8."""
    generator = np.random.default_rng(seed)
    frames = generator.integers(40, 120, (num_frames, height, width), dtype=np.uint8)
    for number, frame in enumerate(frames):
        left = (number * 3 + seed) % (width - 8)
        frame[height // 3 : height // 3 + 8, left : left + 8] = 240
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        stream.height, stream.width, stream.pix_fmt = height, width, "gray"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return frames


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    return _write_video


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine patients with 1 to 3 videos each, and their manifest."""
    root = tmp_path_factory.mktemp("videos")
    rows = []
    for patient in range(9):
        for video in range(patient % 3 + 1):
            path = root / f"p{patient}" / f"{video}.avi"
            seed = 10 * patient + video
            _write_video(path, num_frames=40 + seed % 30, fps=(25, 30, 50)[video], seed=seed)
            split = "test" if patient > 5 else "train"
            rows.append((f"p{patient}/{video}.avi", f"p{patient}", f"s{patient}", split, patient % 2))
    table = pd.DataFrame(rows, columns=["path", "patient_id", "study_id", "split", "severe_as"])
    table.to_csv(root / "manifest.csv", index=False)
    return root


@pytest.fixture(scope="session")
def store_path(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip store of ``videos``."""
    from echossl.data.prepare import prepare

    out = tmp_path_factory.mktemp("stores") / "store"
    prepare(config_of(videos, out))
    return out


def config_of(videos: Path, out: Path, **changes: object) -> PrepareConfig:
    settings = {"size": 32, "sector": "keep", "workers": 1, "videos_per_shard": 4} | changes
    return PrepareConfig.model_validate({"manifest": videos / "manifest.csv", "out": out} | settings)


@pytest.fixture(scope="session")
def slow_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One video that takes about a second to decode: a large picture under sixty names; and its manifest."""
    root = tmp_path_factory.mktemp("slow")
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500), dtype=np.uint8)
    (root / "0").mkdir()
    Image.fromarray(noise).save(root / "0" / "0.png", compress_level=1)
    for number in range(1, 60):
        os.link(root / "0" / "0.png", root / "0" / f"{number}.png")
    (root / "manifest.csv").write_text("path,patient_id,fps\n0,p0,20\n")
    return root


@pytest.fixture(scope="session")
def make_config() -> Callable[..., PrepareConfig]:
    return config_of
