from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch

from echossl.config.adapt import FinetuneConfig, FrozenRecipe, LabelBudget
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import prepare
from echossl.data.store import ClipStore

SIZE = 32
TRAIN_PATIENTS, TEST_PATIENTS = 32, 14
CLIP = ClipConfig(clip_seconds=0.4, num_frames=8)
SMALL_NETWORK = Compact3DConfig(width=4)
RECIPE = FrozenRecipe(steps=20, evaluate_every=5, augmented_views=4)


@dataclass(frozen=True)
class Toy:
    """Patients whose videos hold a bright square if they are positive and a dim one if not."""

    data: DataConfig
    store: ClipStore

    @property
    def table(self) -> pd.DataFrame:
        return self.store.rows_for(read_manifest(self.data.manifest))

    def config(self, out: Path, **changes) -> FinetuneConfig:
        settings = {
            "data": self.data,
            "out": out,
            "encoder": SMALL_NETWORK,
            "clip": CLIP,
            "labels": LabelBudget(fraction=0.34),
            "recipe": RECIPE,
            "patients_per_class": 4,
            "hardware": HardwareConfig(device="cpu", precision="fp32"),
        }
        return FinetuneConfig(**(settings | changes))

    def with_labels(self, path: Path, change) -> DataConfig:
        """The same videos with other labels."""
        table = read_manifest(self.data.manifest)
        write_manifest(change(table), path)
        return DataConfig(manifest=path, store=self.data.store)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Toy:
    folder = tmp_path_factory.mktemp("toy")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(TRAIN_PATIENTS + TEST_PATIENTS):
        positive = number % 3 == 0
        for video in range(1 + number % 3):
            path = folder / f"p{number:02d}_{video}.avi"
            _write_video(path, positive, generator)
            rows.append(
                {
                    "path": str(path),
                    "patient_id": f"{number:03d}",
                    "study_id": f"s{number:03d}",
                    "split": "train" if number < TRAIN_PATIENTS else "test",
                    # the last patient of each split is not assessed
                    "severe_as": np.nan if number in {TRAIN_PATIENTS - 1, 45} else float(positive),
                }
            )
    data = DataConfig(manifest=folder / "manifest.csv", store=folder / "store")
    write_manifest(pd.DataFrame(rows), data.manifest)
    prepare(PrepareConfig(manifest=data.manifest, out=data.store, size=SIZE, sector="keep", workers=1))
    return Toy(data, ClipStore.open(data.store))


def _write_video(path: Path, positive: bool, generator: np.random.Generator) -> None:
    num_frames = int(generator.integers(12, 18))
    frames = generator.normal(60, 20, (num_frames, SIZE, SIZE))
    top, left = generator.integers(4, 14, 2)
    brightness = (120 if positive else 50) + generator.normal(0, 15)
    frames[:, top : top + 14, left : left + 14] += brightness
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=20)
        stream.height, stream.width, stream.pix_fmt = SIZE, SIZE, "yuvj420p"
        for frame in frames.clip(0, 255).astype(np.uint8):
            picture = np.repeat(frame[..., None], 3, axis=-1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
