"""Binary predictions of the recipes frozen, full and pixels stay what they were, against stored scores.

The pictures are whole numbers in a lossless file, so every machine has the same ones. The order in which a
processor adds numbers in float32 is its own, so bits may differ between machines: stored and found scores are
compared to three decimals. On one machine two runs are equal to the bit, which is asserted too.
"""

from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch

from echossl.adapt import finetune
from echossl.config.adapt import FinetuneConfig, FrozenRecipe, FullRecipe, LabelBudget, PixelRecipe
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.training import HardwareConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare

SIZE, FRAMES, TRAIN, TEST = 24, 10, 8, 4
RECIPES = {
    "frozen": FrozenRecipe(steps=6, evaluate_every=3, augmented_views=2, warmup_steps=1),
    "full": FullRecipe(
        steps=3, evaluate_every=3, learning_rate=1e-3, head_learning_rate=0.01, warmup_steps=1
    ),
    "pixels": PixelRecipe(),
}
SCORES = {
    "frozen": [0.1142297, 0.4318240, 0.1738495, 0.2101608],
    "full": [0.0379742, 0.0828245, 0.0347638, 0.0667783],
    "pixels": [-1.7519936, 0.5604473, -0.3865075, 1.3820644],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("reference")
    generator = np.random.default_rng(11)
    rows = []
    for number in range(TRAIN + TEST):
        for video in range(2):
            path = folder / f"p{number:02d}_{video}.mkv"
            frames = generator.integers(0, 90, (FRAMES, SIZE, SIZE), dtype=np.uint8)
            top, left = generator.integers(3, 12, 2)
            frames[:, top : top + 9, left : left + 9] += np.uint8(110 if number % 2 else 60)
            _write_lossless(path, frames)
            split = "train" if number < TRAIN else "test"
            names = {"patient_id": f"{number:03d}", "study_id": f"s{number:03d}", "split": split}
            rows.append({"path": str(path), **names, "severe_as": float(number % 2)})
    found = DataConfig(manifest=folder / "manifest.csv", store=folder / "store")
    write_manifest(pd.DataFrame(rows), found.manifest)
    prepare(PrepareConfig(manifest=found.manifest, out=found.store, size=SIZE, sector="keep", workers=1))
    return found


def _write_lossless(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=20)
        stream.height, stream.width, stream.pix_fmt = SIZE, SIZE, "gray"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        file.mux(stream.encode(None))


def _run(data: DataConfig, out: Path, name: str) -> Path:
    return finetune(
        FinetuneConfig(
            data=data,
            out=out,
            encoder=Compact3DConfig(width=4),
            clip={"clip_seconds": 0.3, "num_frames": 6},
            labels=LabelBudget(fraction=1.0),
            recipe=RECIPES[name],
            patients_per_class=2,
            clips_per_video=1,
            hardware=HardwareConfig(device="cpu", precision="fp32"),
        )
    )


@pytest.mark.parametrize("name", list(RECIPES))
def test_binary_scores_are_the_stored_ones(data: DataConfig, tmp_path: Path, name: str) -> None:
    first, second = (_run(data, tmp_path / run, name) for run in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    table = pd.read_csv(first, dtype={"patient_id": str})
    assert list(table.columns) == ["patient_id", "study_id", "split", "severe_as", "severe_as_score"]
    assert table["patient_id"].tolist() == ["008", "009", "010", "011"]
    assert table["severe_as_score"].tolist() == pytest.approx(SCORES[name], abs=1e-3)
