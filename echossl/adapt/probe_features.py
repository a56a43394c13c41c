"""What frozen encoders say of videos, kept in a run folder so that an interrupted probe continues."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.adapt.embed import embed
from echossl.adapt.pixels import pixel_features
from echossl.adapt.start import start_encoder
from echossl.config.adapt import FinetuneConfig
from echossl.config.probe import PIXELS, RANDOM, SEED_WORD, ProbeArm, ProbeConfig
from echossl.config.video import ClipConfig
from echossl.data.store import ClipStore
from echossl.files import atomic_path
from echossl.training.hardware import Hardware

Floats = npt.NDArray[np.float32]


def video_features(
    config: ProbeConfig, arm: ProbeArm, seed: int, store: ClipStore, videos: pd.DataFrame
) -> Floats:
    """One vector per video: the mean over its clips of what the encoder says in evaluation mode.

    Args:
        config: clips, store, folder.
        arm: whose features.
        seed: in the place of ``{seed}``, and of random weights.
        store: the clip store.
        videos: ``row``, ``path`` and ``split`` of the videos; labels are not needed.

    Returns:
        (videos, dim).

    Raises:
        UserError: if the start, the store and the clips do not fit together.
    """
    path = config.out / "features" / f"{arm.name}-seed{seed}.npz"
    paths = videos["path"].to_numpy(dtype=np.str_)
    kept = _read(path, paths)
    if kept is not None:
        return kept
    features = _compute(config, arm, seed, store, videos)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features, path=paths)
    return features


def start_settings(config: ProbeConfig, arm: ProbeArm, seed: int) -> FinetuneConfig:
    """The start of an arm in the words of ``finetune``, which then begins from the same weights."""
    start = None if arm.start == RANDOM else arm.start.replace(SEED_WORD, str(seed))
    is_named = start is not None and start.startswith(("torchvision:", "pytorchvideo:"))
    if start is not None and config.folder is not None and not is_named:
        start = str(config.folder / start)
    return FinetuneConfig(
        data=config.data,
        out=config.out,
        start=None if start is None else Path(start),
        encoder=config.encoder,
        clip=config.clip or ClipConfig(),
        clip_from="settings" if config.clip and start else "start",
        seed=seed,
    )


def _compute(config: ProbeConfig, arm: ProbeArm, seed: int, store: ClipStore, videos: pd.DataFrame) -> Floats:
    rows = videos["row"].tolist()
    if arm.start == PIXELS:
        return pixel_features(store, rows)
    training = videos[videos["split"] == config.train_split]
    hardware = Hardware.resolve(config.hardware)
    encoder = hardware.place(start_encoder(start_settings(config, arm, seed), store, training))
    clips = embed(encoder, store, rows, clips_per_video=config.clips_per_video, hardware=hardware)
    return np.stack([own.mean(axis=0) for own in clips])


def _read(path: Path, paths: npt.NDArray[np.str_]) -> Floats | None:
    """The features of exactly these videos, if they are there."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        if not np.array_equal(stored["path"], paths):
            return None
        features: Floats = stored["features"]
        return features
