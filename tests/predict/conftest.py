"""A small phantom, prepared and fine-tuned, for the tests that predict new studies."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from echossl.adapt import finetune
from echossl.config.adapt import FinetuneConfig, FrozenRecipe, LabelBudget
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import prepare
from echossl.data.sources import index_source
from echossl.phantom import generate

FINETUNE = {
    "encoder": Compact3DConfig(width=4),
    "clip": ClipConfig(clip_seconds=0.5, num_frames=8),
    "labels": LabelBudget(fraction=1.0, validation_share=0.5),
    "recipe": FrozenRecipe(steps=10, evaluate_every=5, augmented_views=2),
    "patients_per_class": 2,
    "hardware": HardwareConfig(device="cpu", precision="fp32"),
}


@dataclass(frozen=True)
class Trained:
    """A fine-tuned run, and the manifest of all videos."""

    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.csv"

    @property
    def test_videos(self) -> pd.DataFrame:
        table = read_manifest(self.manifest)
        return table[table["split"] == "test"].reset_index(drop=True)

    def finetuned(self, name: str, **changes) -> Path:
        data = DataConfig(manifest=self.manifest, store=self.folder / "store")
        finetune(FinetuneConfig(data=data, out=self.folder / name, **(FINETUNE | changes)))
        return self.folder / name


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Trained:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("predict")
    generate(
        PhantomConfig(
            out=folder / "phantom",
            patients=12,
            seed=5,
            beats=(1.0, 1.1),
            frames_per_second=(20, 24),
            image_height=(64, 72),
            videos_per_study=(1, 2),
            containers=("avi", "dcm"),
            workers=1,
        )
    )
    table = index_source(
        "phantom",
        folder / "phantom",
        split_shares={"train": 0.7, "test": 0.3},
        seed=1,
        out=folder / "manifest.csv",
    )
    # severity by turns: what is severe plays no part in these tests, having both classes does
    order = {patient: number for number, patient in enumerate(sorted(set(table["patient_id"])))}
    numbers = table["patient_id"].map(order)
    table["severe_as"] = (numbers % 2).astype(float)
    table["split"] = np.where(numbers < 8, "train", "test")
    write_manifest(table, folder / "manifest.csv")
    prepare(PrepareConfig(manifest=folder / "manifest.csv", out=folder / "store", size=32, workers=1))
    found = Trained(folder)
    found.finetuned("run")
    return found
