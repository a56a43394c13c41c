"""Clips through an encoder that is left as it was: what embedding, adaptation and monitors share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from echossl.augment import Augmentation, to_float
from echossl.data.clips import ClipRequest, read_clips
from echossl.data.store import ClipStore
from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.training.hardware import Hardware

# pixels of one batch: enough to keep the device busy; on a CPU the activations should stay near its cache
PIXELS_PER_BATCH = {"cpu": 2**19, "cuda": 2**25}


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
