"""Clips of stored videos to vectors, without labels and without changing the encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from echossl import __version__
from echossl.adapt.embedding_files import require_writable, write_embeddings
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipPolicy
from echossl.data.clips import ClipRequest, video_requests
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.encoders.files import load_encoder
from echossl.training.encoding import encode, require_fit
from echossl.training.hardware import Hardware


def embed(
    encoder: Encoder,
    store: ClipStore,
    rows: Sequence[int],
    *,
    clips_per_video: int,
    hardware: Hardware,
    policy: ClipPolicy = "uniform",
    seed: int = 0,
) -> list[npt.NDArray[np.float32]]:
    """Vectors of clips of each video.

    Args:
        encoder: on the hardware's device; it is used in evaluation mode and left as it was.
        store: the clip store.
        rows: videos of the store.
        clips_per_video: clips of each, where the policy leaves it open.
        hardware: device and precision.
        policy: where the clips start.
        seed: seed of the policy ``random``.

    Returns:
        For each video (clips, dim); the number of clips differs between videos for the policy ``all``.
    """
    requests = _requests(encoder, store, rows, clips_per_video, policy, seed)
    flat = encode(encoder, store, [request for own in requests for request in own], hardware=hardware)
    ends = np.cumsum([len(own) for own in requests])
    return np.split(flat, ends[:-1]) if len(requests) else []


def _requests(
    encoder: Encoder, store: ClipStore, rows: Sequence[int], count: int, policy: ClipPolicy, seed: int
) -> list[list[ClipRequest]]:
    clip = encoder.metadata.clip
    return [video_requests(store, row, clip, count=count, policy=policy, seed=seed) for row in rows]


def mean_logits(head: nn.Module, videos: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Mean over the clips of each video of what a head says: (videos, outputs).

    Args:
        head: on any device.
        videos: for each video its vectors, (clips, dim).
    """
    weight = head.get_parameter("weight")
    counts = np.array([len(features) for features in videos], dtype=np.intp)
    flat = np.concatenate([np.empty((0, weight.shape[1]), dtype=np.float32), *videos])
    with torch.inference_mode():
        logits = head(torch.from_numpy(flat).to(weight.device)).cpu().numpy()
    if not videos:
        return np.asarray(logits, dtype=np.float32)
    means = np.add.reduceat(logits, np.cumsum(counts) - counts, axis=0) / counts[:, None]
    return np.asarray(means, dtype=np.float32)


def save_embeddings(
    encoder: Path,
    store: Path,
    out: Path,
    *,
    clips_per_video: int,
    policy: ClipPolicy = "uniform",
    seed: int = 0,
) -> tuple[int, int]:
    """Write the vectors of the clips of every video of a store.

    Args:
        encoder: encoder file or pre-training run.
        store: clip store.
        out: a ``.parquet`` or ``.npz`` file (see :mod:`echossl.adapt.embedding_files`), per clip:
            ``patient_id``, ``study_id``, ``path``, ``start_seconds``, ``end_seconds`` (beyond the video's end
            where a short video is looped) and ``features`` (dim,) float32. Its metadata are those of the
            encoder with their provenance, and how the clips were chosen.
        clips_per_video: clips of each video, where the policy leaves it open.
        policy: where the clips start.
        seed: seed of the policy ``random``.

    Returns:
        The shape of ``features``.

    Raises:
        UserError: if such a file cannot be written, or encoder and store are missing or do not fit.
    """
    require_writable(out)
    clip_store = ClipStore.open(store)
    network = load_encoder(encoder)
    require_fit(network, clip_store)
    hardware = Hardware.resolve(HardwareConfig())
    chosen = _requests(network, clip_store, range(len(clip_store)), clips_per_video, policy, seed)
    requests = [request for own in chosen for request in own]
    features = encode(hardware.place(network), clip_store, requests, hardware=hardware)
    columns = _columns(clip_store, requests, clip_seconds=network.metadata.clip.clip_seconds)
    metadata = {
        "encoder": network.metadata.model_dump(mode="json"),
        "store": store.absolute().name,
        "clips": {"policy": policy, "clips_per_video": clips_per_video, "seed": seed},
        "precision": hardware.precision,
        "echossl": __version__,
    }
    write_embeddings(out, features, columns, metadata)
    return features.shape[0], features.shape[1]


def _columns(
    store: ClipStore, requests: Sequence[ClipRequest], *, clip_seconds: float
) -> dict[str, npt.NDArray[Any]]:
    """Where each clip comes from: (clips,) each."""
    rows = [request.row for request in requests]
    names = ("patient_id", "study_id", "path")
    origin = {name: store.table[name].to_numpy(dtype=np.str_)[rows] for name in names}
    starts = np.array([request.start_seconds for request in requests])
    return {**origin, "start_seconds": starts, "end_seconds": starts + clip_seconds}
