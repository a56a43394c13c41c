"""Which frames make a clip: by time, so that every frame rate shows the same motion; never black padding."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from echossl.config.video import ClipConfig
from echossl.errors import ShortVideoError, UserError

# random starts are drawn from a grid, so that the last possible start is as likely as any other
STARTS_PER_SECOND = 1000
# times of frames are fractions: what is this close counts as reached
TOLERANCE_SECONDS = 1e-6

Seconds = npt.NDArray[np.float64]


def duration_seconds(frame_seconds: Seconds) -> float:
    """Length of a video: the last frame's time plus one (mean) frame interval; 0 for a single frame.

    Args:
        frame_seconds: float64 (num_frames,), rising from 0.0.

    Raises:
        UserError: if the times are unknown (NaN).
    """
    _require_times(frame_seconds)
    count = len(frame_seconds)
    return float(frame_seconds[-1]) * count / (count - 1) if count > 1 else 0.0


def uniform_seconds(num_frames: int, fps: float) -> Seconds:
    """Frame times of a video whose rate comes from elsewhere, for example from the table of videos."""
    if not fps > 0:
        raise ValueError(f"fps is {fps}, expected a number above 0")
    return np.arange(num_frames) / fps


def clip_indices(
    frame_seconds: Seconds, *, start_seconds: float, clip: ClipConfig, path: str | Path = "video"
) -> npt.NDArray[np.int64]:
    """The frames nearest to ``start_seconds + i * clip_seconds / num_frames``.

    A video shorter than the clip is repeated end to end (``loop``), rests on its last frame (``hold``) or is
    refused (``error``).

    Args:
        frame_seconds: float64 (num_frames,), rising from 0.0.
        start_seconds: from 0 to the video's length minus ``clip_seconds``; 0 for a shorter video.
        clip: length, number of frames and what to do with a video that is too short.
        path: the video's name, for the error.

    Returns:
        int64 (clip.num_frames,), indices into the video's frames.

    Raises:
        ShortVideoError: if the video is too short and the setting is ``error``.
        UserError: if the times are unknown (NaN).
        ValueError: if the clip would start before the video or end after it.
    """
    duration = duration_seconds(frame_seconds)
    is_short = duration < clip.clip_seconds - TOLERANCE_SECONDS
    if is_short and clip.too_short == "error":
        found = f"lasts {duration:.2f} s, a clip needs {clip.clip_seconds:.2f} s"
        raise ShortVideoError(path, f"{found}; leave it out, or set too_short to loop or hold")
    last = _last_start(duration, clip)
    if not -TOLERANCE_SECONDS <= start_seconds <= last + TOLERANCE_SECONDS:
        raise ValueError(f"{path}: a clip cannot start at {start_seconds} s, expected 0 to {last} s")
    wanted = start_seconds + np.arange(clip.num_frames) * (clip.clip_seconds / clip.num_frames)
    if is_short and clip.too_short == "loop" and len(frame_seconds) > 1:
        # the first frame comes round again one interval after the last
        nearest = _nearest(np.append(frame_seconds, duration), wanted % duration)
        return nearest % len(frame_seconds)
    return _nearest(frame_seconds, wanted)


def clip_starts_uniform(duration_seconds: float, *, clip: ClipConfig, count: int) -> Seconds:
    """``count`` starts in seconds, evenly spaced from 0 to the last possible one, both included."""
    return np.linspace(0.0, _last_start(duration_seconds, clip), count)


def random_clip_start(duration_seconds: float, *, clip: ClipConfig, generator: np.random.Generator) -> float:
    """A start in seconds, from 0 to the last possible one, both included; 0 for a short video."""
    return _draw(_last_start(duration_seconds, clip), generator)


def two_clip_starts(
    duration_seconds: float, *, clip: ClipConfig, generator: np.random.Generator
) -> tuple[float, float]:
    """Starts of two clips of one video, in random order.

    The clips do not overlap where the video holds both; every such pair is equally likely. In a shorter video
    they are as far apart as possible.
    """
    last = _last_start(duration_seconds, clip)
    slack = last - clip.clip_seconds
    if slack >= 0:
        first, second = sorted((_draw(slack, generator), _draw(slack, generator)))
        starts = (first, second + clip.clip_seconds)
    else:
        starts = (0.0, last)
    return starts if generator.random() < 0.5 else starts[::-1]


def _last_start(duration: float, clip: ClipConfig) -> float:
    return max(0.0, duration - clip.clip_seconds)


def _draw(last: float, generator: np.random.Generator) -> float:
    steps = max(1, round(last * STARTS_PER_SECOND))
    return last * int(generator.integers(0, steps, endpoint=True)) / steps


def _nearest(times: Seconds, wanted: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Index of the time nearest to each wanted one, the earlier of two equally near."""
    after = np.searchsorted(times, wanted).clip(1, max(len(times) - 1, 1))
    before = after - 1
    if len(times) == 1:
        return np.zeros(len(wanted), dtype=np.int64)
    is_nearer = wanted - times[before] <= times[after] - wanted + TOLERANCE_SECONDS
    return np.where(is_nearer, before, after).astype(np.int64)


def _require_times(frame_seconds: Seconds) -> None:
    if not len(frame_seconds) or not np.isfinite(frame_seconds).all():
        raise UserError("the video states no frame rate; give it in the column fps of the table of videos")
