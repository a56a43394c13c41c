"""A study of a few seconds: 34 patients with tiny videos, one pre-training of a few updates, three arms."""

import json
from pathlib import Path

import av
import numpy as np
import pandas as pd
import yaml

from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.study import StudyConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare

SIZE, TRAIN, TEST = 24, 20, 14
FRACTIONS, DRAWS, SEEDS = (0.4, 1.0), 2, 1


def make_data(folder: Path) -> DataConfig:
    """Positive patients have a brighter middle."""
    generator = np.random.default_rng(3)
    rows = []
    for number in range(TRAIN + TEST):
        for video in range(2):
            path = folder / f"p{number:02d}_{video}.avi"
            _write_video(path, number % 2 == 0, generator)
            split = "train" if number < TRAIN else "test"
            names = {"patient_id": f"{number:03d}", "study_id": f"s{number:03d}", "split": split}
            rows.append({"path": str(path), **names, "severe_as": float(number % 2 == 0)})
    data = DataConfig(manifest=folder / "manifest.csv", store=folder / "store")
    write_manifest(pd.DataFrame(rows), data.manifest)
    prepare(PrepareConfig(manifest=data.manifest, out=data.store, size=SIZE, sector="keep", workers=1))
    return data


def settings(data: DataConfig, out: Path, steps: int = 3) -> dict:
    """The settings of the study, as in a file."""
    return {
        "data": {"manifest": str(data.manifest), "store": str(data.store)},
        "out": str(out),
        "clip": {"clip_seconds": 0.3, "num_frames": 4},
        "encoder": {"name": "compact3d", "width": 4},
        "pretrainings": [
            {"name": "pairs", "objectives": [{"name": "contrastive", "positives": "two_videos"}]}
        ],
        "optimiser": {"steps": steps, "warmup_steps": 1},
        "batch_size": 4,
        "arms": [
            {
                "name": "pairs",
                "title": "Pairs",
                "start": "pairs",
                "recipe": {"name": "frozen", "steps": 4, "evaluate_every": 2, "augmented_views": 2},
            },
            {"name": "fresh", "title": "Fresh", "recipe": {"name": "full", "steps": 2, "evaluate_every": 2}},
            {"name": "pixels", "title": "Pixels", "recipe": {"name": "pixels"}},
        ],
        "fractions": list(FRACTIONS),
        "draws": DRAWS,
        "seeds": SEEDS,
        "bootstrap": {"resamples": 200},
        "jobs": 1,
        "hardware": {"device": "cpu", "precision": "fp32"},
    }


def write_study(data: DataConfig, folder: Path, **changes: object) -> tuple[Path, StudyConfig]:
    """The study's file in a folder, and what it says; its runs go beside it."""
    content = settings(data, folder / "out") | changes
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path, StudyConfig.model_validate(content)


def stamps(folder: Path) -> dict[Path, int]:
    """When each file of the run folders was written."""
    made = [*folder.glob("cells/*/*/*"), *folder.glob("pretrain/*/*")]
    return {path: path.stat().st_mtime_ns for path in made if path.is_file()}


def read_result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def _write_video(path: Path, positive: bool, generator: np.random.Generator) -> None:
    frames = generator.normal(60, 20, (12, SIZE, SIZE))
    frames[:, 6:16, 6:16] += (90 if positive else 30) + generator.normal(0, 25)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=20)
        stream.height, stream.width, stream.pix_fmt = SIZE, SIZE, "yuvj420p"
        for frame in frames.clip(0, 255).astype(np.uint8):
            picture = np.repeat(frame[..., None], 3, axis=-1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
