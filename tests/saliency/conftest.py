"""A small phantom, prepared and fine-tuned, for the tests that explain a run."""

import numpy as np
import pytest
import torch

from echossl.adapt import finetune
from echossl.config.adapt import FinetuneConfig, FrozenRecipe, LabelBudget
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare
from echossl.data.sources import index_source
from echossl.phantom import generate

FINETUNE = {
    "encoder": Compact3DConfig(width=4),
    "clip": ClipConfig(clip_seconds=0.5, num_frames=8),
    "labels": LabelBudget(fraction=0.6),
    "recipe": FrozenRecipe(steps=10, augmented_views=2),
    "patients_per_class": 2,
    "hardware": HardwareConfig(device="cpu", precision="fp32"),
}


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A small phantom with two severe patients in either split, prepared, fine-tuned."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("explain")
    generate(
        PhantomConfig(
            out=folder / "phantom",
            patients=16,
            seed=3,
            beats=(1.0, 1.2),
            frames_per_second=(25, 30),
            image_height=(72, 80),
            videos_per_study=(1, 2),
            containers=("avi",),
            workers=1,
        )
    )
    table = index_source(
        "phantom",
        folder / "phantom",
        split_shares={"train": 0.5, "test": 0.5},
        seed=1,
        out=folder / "manifest.csv",
    )
    # severity by turns: what is severe plays no part in these tests, having both classes does
    order = {patient: number for number, patient in enumerate(sorted(set(table["patient_id"])))}
    numbers = table["patient_id"].map(order)
    table["severe_as"] = (numbers % 2).astype(float)
    table["split"] = np.where(numbers < 8, "train", "test")
    write_manifest(table, folder / "manifest.csv")
    data = DataConfig(manifest=folder / "manifest.csv", store=folder / "store")
    prepare(PrepareConfig(manifest=data.manifest, out=data.store, size=32, workers=1))
    finetune(FinetuneConfig(data=data, out=folder / "run", **FINETUNE))
    return folder
