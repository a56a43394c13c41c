"""Clips of stored videos to vectors, without labels and without changing the encoder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from echossl.augment import Augmentation, to_float
from echossl.config.training import HardwareConfig
from echossl.data.clips import ClipRequest, read_clips, uniform_requests
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.encoders.files import load_encoder
from echossl.errors import UserError
from echossl.files import atomic_path
from echossl.training.hardware import Hardware

# pixels of one batch: enough to keep the device busy; on a CPU the activations should stay near its cache
PIXELS_PER_BATCH = {"cpu": 2**19, "cuda": 2**25}


def embed(
    encoder: Encoder, store: ClipStore, rows: Sequence[int], *, clips_per_video: int, hardware: Hardware
) -> npt.NDArray[np.float32]:
    """Vectors of clips that are evenly spread over each video.

    Args:
        encoder: on the hardware's device; it is used in evaluation mode and left as it was.
        store: the clip store.
        rows: videos of the store.
        clips_per_video: clips of each; the first begins where the video begins.
        hardware: device and precision.

    Returns:
        (videos, clips_per_video, dim).
    """
    clip = encoder.metadata.clip
    requests = [request for row in rows for request in uniform_requests(store, row, clip, clips_per_video)]
    features = encode(encoder, store, requests, hardware=hardware)
    return features.reshape(len(rows), clips_per_video, encoder.dim)


def encode(
    encoder: Encoder,
    store: ClipStore,
    requests: Sequence[ClipRequest],
    *,
    hardware: Hardware,
    augmentation: Augmentation | None = None,
) -> npt.NDArray[np.float32]:
    """Vectors of the clips asked for: (requests, dim).

    Args:
        encoder: on the hardware's device; it is used in evaluation mode and left as it was.
        store: the clip store.
        requests: which clips.
        hardware: device and precision.
        augmentation: None takes the clips as they are.
    """
    clip = encoder.metadata.clip
    pixels_per_clip = clip.num_frames * store.size**2
    batch_size = max(1, PIXELS_PER_BATCH[hardware.device.type] // pixels_per_clip)
    features = np.empty((len(requests), encoder.dim), dtype=np.float32)
    with torch.inference_mode(), evaluating(encoder), hardware.autocast():
        for step, first in enumerate(range(0, len(requests), batch_size)):
            items = [[request] for request in requests[first : first + batch_size]]
            # (items, 1, channels, frames, height, width) loses the axis of clips per item
            clips = torch.from_numpy(read_clips(store, items, clip)).to(hardware.device)[:, 0]
            seen = augmentation(clips, step=step) if augmentation else to_float(clips)
            features[first : first + batch_size] = encoder(seen).float().cpu().numpy()
    return features


@contextmanager
def evaluating(encoder: Encoder) -> Iterator[None]:
    """Evaluation mode for a moment: no batch statistics, no dropout."""
    was_training = encoder.training
    encoder.eval()
    try:
        yield
    finally:
        encoder.train(was_training)


def require_fit(encoder: Encoder, store: ClipStore) -> None:
    """Refuse a store whose frames are not what the encoder was trained on.

    Raises:
        UserError: saying how to prepare a store that fits.
    """
    wanted = encoder.metadata
    if wanted.size != store.size:
        raise UserError(
            f"{store.path}: holds frames of {store.size} pixels, the encoder was trained on {wanted.size}; "
            f"run echossl prepare with size={wanted.size}"
        )
    if wanted.channels != 1:
        raise UserError(f"the encoder expects {wanted.channels} channels, a clip store has 1 (grey)")


def save_embeddings(encoder: Path, store: Path, out: Path, *, clips_per_video: int) -> tuple[int, int, int]:
    """Write the vectors of every video of a store.

    Args:
        encoder: encoder file or pre-training run.
        store: clip store.
        out: the ``.npz`` file: ``features`` (videos, clips, dim) float32, and ``path``, ``patient_id``,
            ``study_id`` (videos,) text.
        clips_per_video: clips of each video.

    Returns:
        The shape of ``features``.
    """
    clip_store = ClipStore.open(store)
    network = load_encoder(encoder)
    require_fit(network, clip_store)
    hardware = Hardware.resolve(HardwareConfig())
    rows = range(len(clip_store))
    features = embed(
        hardware.place(network), clip_store, rows, clips_per_video=clips_per_video, hardware=hardware
    )
    path, patient, study = (
        clip_store.table[name].to_numpy(dtype=np.str_) for name in ("path", "patient_id", "study_id")
    )
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features, path=path, patient_id=patient, study_id=study)
    return features.shape
