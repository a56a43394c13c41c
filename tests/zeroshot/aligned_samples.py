"""Settings of a small pre-training with reports."""

from pathlib import Path

from echossl.config.training import PretrainConfig

PATIENTS, SIZE = 24, 32
SMALL_TEXT = {"name": "own", "width": 16, "depth": 1, "heads": 2, "length": 48, "vocabulary_size": 400}
FAST = {"device": "cpu", "precision": "fp32"}


def pretraining(pictures: dict[str, Path], out: Path, **changes: object) -> PretrainConfig:
    objective = {"name": "tripartite", "text": SMALL_TEXT, "projection_dim": 8}
    settings = {
        "data": pictures,
        "out": out,
        "clip": {"num_frames": 1, "clip_seconds": 0.04},
        "encoder": {"name": "vit", "width": 16, "depth": 1, "heads": 2, "patch": 8, "patch_frames": 1},
        "objectives": [objective],
        "optimiser": {"steps": 6, "warmup_steps": 1, "learning_rate": 1e-3},
        "batch_size": 8,
        "checkpoint_every": 3,
        "log_every": 1,
        "hardware": FAST,
    }
    return PretrainConfig.model_validate(settings | changes)
