"""Three hospitals with still pictures of a few pixels, each with other classes, and a study of seconds."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from echossl.config.data import PrepareConfig
from echossl.config.study import StudyConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare

SIZE, TRAIN, TEST = 16, 18, 12
# lists in other orders: places mean nothing, names do
ASSESSED = {
    "north": ["none", "mild", "severe"],
    "south": ["severe", "none"],
    "west": ["severe", "none", "other"],
}
CLASSES = ["none", "mild", "severe", "other"]
RECIPE = {"name": "full", "steps": 2, "evaluate_every": 2}


def make_sources(folder: Path) -> list[dict]:
    """A folder each, with the same patient ids in all; the class is how bright the middle is."""
    return [_make_source(folder / name, seed) for seed, name in enumerate(ASSESSED)]


def settings(sources: list[dict], out: Path) -> dict:
    """The settings of a study that has every kind of place."""
    masked = [{"name": "masked", "ratio": 0.7, "patch": 4}]
    return {
        "sources": sources,
        "column": "grade",
        "classes": CLASSES,
        "out": str(out),
        "clip": {"num_frames": 1},
        "encoder": {"name": "vit", "width": 16, "depth": 1, "heads": 2, "patch": 4, "patch_frames": 1},
        "pretrainings": [
            {"name": "fused", "objectives": masked, "sources": {"which": "all_but_tested"}},
            {"name": "own", "objectives": masked, "sources": {"which": "adapted", "sampling": "uniform"}},
            {"name": "all", "objectives": masked},
        ],
        "optimiser": {"steps": 2, "warmup_steps": 1},
        "batch_size": 6,
        "arms": [
            {"name": "fused", "title": "Fused", "start": "fused", "recipe": RECIPE},
            {"name": "own", "title": "Own", "start": "own", "recipe": RECIPE},
            {
                "name": "absent",
                "title": "Absent",
                "start": "own",
                "adapt_on": "all_but_one",
                "recipe": RECIPE,
            },
            {"name": "unlabelled", "title": "Unlabelled", "start": "all", "adapt_on": "all_but_one"}
            | {"recipe": RECIPE},
        ],
        "fractions": [0.5],
        "draws": 1,
        "seeds": 1,
        "bootstrap": {"resamples": 200},
        "jobs": 1,
        "hardware": {"device": "cpu", "precision": "fp32"},
    }


def study_of(sources: list[dict], out: Path, **changes: object) -> StudyConfig:
    return StudyConfig.model_validate(settings(sources, out) | changes)


def _make_source(folder: Path, seed: int) -> dict:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    classes, rows = ASSESSED[folder.name], []
    for number in range(TRAIN + TEST):
        grade = classes[number % len(classes)]
        picture = generator.normal(60 + 10 * seed, 20, (SIZE, SIZE))
        picture[4:12, 4:12] += 40 * CLASSES.index(grade)
        path = folder / f"p{number:02d}.png"
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
        # a reader of every hospital leaves one training picture without a grade
        label = "" if number == 0 else grade
        split = "train" if number < TRAIN else "test"
        rows.append({"path": str(path), "patient_id": f"p{number:02d}", "split": split, "grade": label})
    write_manifest(pd.DataFrame(rows), folder / "manifest.csv")
    prepare(
        PrepareConfig(
            manifest=folder / "manifest.csv", out=folder / "store", size=SIZE, sector="keep", workers=1
        )
    )
    paths = {"manifest": str(folder / "manifest.csv"), "store": str(folder / "store")}
    return {"name": folder.name, "assessed": classes, **paths}
