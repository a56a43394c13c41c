"""Which clip of which stored video: the request, and reading it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echossl.config.video import ClipConfig, ClipPolicy
from echossl.data.store import ClipStore
from echossl.errors import DecodeError, EchosslError, ShortVideoError, reason_of
from echossl.video.sampling import clip_indices, clip_starts

# first word of the random stream, so that no two uses share one
POLICY_STREAM = 4


@dataclass(frozen=True)
class ClipRequest:
    """A clip to be read.

    Attributes:
        row: number of the video in the store; negative for :data:`ABSENT`.
        start_seconds: where the clip starts.
    """

    row: int
    start_seconds: float


# in the place of a clip that there is none of, as of a view that a study lacks; read as zeros
ABSENT = ClipRequest(row=-1, start_seconds=0.0)


def video_requests(
    store: ClipStore,
    row: int,
    clip: ClipConfig,
    *,
    count: int,
    policy: ClipPolicy = "uniform",
    seed: int = 0,
) -> list[ClipRequest]:
    """The clips of one video that a policy chooses; see :func:`echossl.video.sampling.clip_starts`.

    Args:
        store: the clip store.
        row: number of the video.
        clip: which frames make a clip.
        count: number of clips, where the policy leaves it open.
        policy: where the clips start.
        seed: seed of the policy ``random``; the draw depends on it and the row alone.
    """
    generator = np.random.default_rng((POLICY_STREAM, seed, row)) if policy == "random" else None
    duration = float(store.durations[row])
    starts = clip_starts(policy, duration, clip=clip, count=count, generator=generator)
    return [ClipRequest(row, float(start)) for start in starts]


def read_clip(store: ClipStore, request: ClipRequest, clip: ClipConfig) -> np.ndarray:
    """Read one clip.

    Returns:
        (clip.num_frames, size, size) uint8.

    Raises:
        ShortVideoError: if the video is shorter than the clip and ``clip.too_short`` is ``error``.
    """
    frames = np.empty((clip.num_frames, store.size, store.size), dtype=np.uint8)
    _read_into(frames, store, request, clip)
    return frames


def read_clips(
    store: ClipStore,
    items: Sequence[Sequence[ClipRequest]],
    clip: ClipConfig,
    *,
    instead: Callable[[int, DecodeError], Sequence[ClipRequest]] | None = None,
) -> np.ndarray:
    """Read the clips of a batch, each straight to its place.

    Args:
        store: the clip store.
        items: the same number of requests for every item; an ``ABSENT`` one gives zeros.
        clip: which frames make a clip.
        instead: what to read in place of an item of which a clip cannot be read, given the item's number and
            the error; asked again until its answer can be read. None lets the error through.

    Returns:
        (items, clips, 1, clip.num_frames, size, size) uint8.

    Raises:
        DecodeError: naming the video of a clip that cannot be read.
        ShortVideoError: if a video is shorter than the clip and ``clip.too_short`` is ``error``.
    """
    shape = (len(items), len(items[0]), 1, clip.num_frames, store.size, store.size)
    clips = np.empty(shape, dtype=np.uint8)
    for number, requests in enumerate(items):
        error = _read_item(clips[number], store, requests, clip)
        while error is not None:
            if instead is None:
                raise error
            error = _read_item(clips[number], store, instead(number, error), clip)
    return clips


def _read_item(
    places: np.ndarray, store: ClipStore, requests: Sequence[ClipRequest], clip: ClipConfig
) -> DecodeError | None:
    """Read the clips of an item; if one of them cannot be read, say why."""
    try:
        for place, request in zip(places, requests, strict=True):
            if request == ABSENT:
                place.fill(0)
            else:
                _read_into(place[0], store, request, clip)
    except ShortVideoError:
        raise
    except DecodeError as error:
        return error
    return None


def _read_into(place: np.ndarray, store: ClipStore, request: ClipRequest, clip: ClipConfig) -> None:
    path = store.paths[request.row]
    try:
        seconds = store.frame_seconds(request.row)
        indices = clip_indices(seconds, start_seconds=request.start_seconds, clip=clip, path=path)
        store.read_into(place, request.row, indices)
    except DecodeError as error:
        if error.path == Path(path):
            raise
        # a picture in a folder of frames: the video is the folder
        raise DecodeError(path, reason_of(error, path)) from error
    except EchosslError as error:
        # a shard that is gone or cut: said of the store, but it is this video that cannot be read
        raise DecodeError(path, str(error)) from error
