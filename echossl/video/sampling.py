"""Which frames make a clip: by time, so that every frame rate shows the same motion; never black padding."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echossl.config.video import ClipConfig, ClipPolicy
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


def unknown_seconds(num_frames: int) -> Seconds:
    """Frame times of a file that does not say them: the first frame is at 0, the others at NaN."""
    return np.where(np.arange(num_frames) == 0, 0.0, np.nan)


def spread_indices(num_frames: int, most: int) -> npt.NDArray[np.int64]:
    """At most ``most`` frames spread over the whole video, the first and the last among them: (n,) int64."""
    return np.linspace(0, num_frames - 1, min(num_frames, most)).astype(np.int64)


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


def clip_starts(
    policy: ClipPolicy,
    duration_seconds: float,
    *,
    clip: ClipConfig,
    count: int,
    generator: np.random.Generator | None = None,
) -> Seconds:
    """Where the clips of a video start.

    Args:
        policy: ``random`` draws ``count`` starts; ``uniform`` spreads them evenly from the first to the last
            possible one; ``centre`` is the one clip in the middle; ``all`` are as many as cover the video end
            to end, the last one flush with its end, so that no moment is left out.
        duration_seconds: length of the video.
        clip: length of a clip.
        count: number of clips of ``random`` and ``uniform``.
        generator: source of ``random``.

    Returns:
        float64 (number of clips,), rising but for ``random``; a video that is too short has all starts at 0.
    """
    last = _last_start(duration_seconds, clip)
    if policy == "uniform":
        return clip_starts_uniform(duration_seconds, clip=clip, count=count)
    if policy == "centre":
        return np.array([last / 2])
    if policy == "all":
        whole = int(last / clip.clip_seconds + TOLERANCE_SECONDS)
        starts = [number * clip.clip_seconds for number in range(whole + 1)]
        is_covered = last - starts[-1] <= TOLERANCE_SECONDS
        return np.array(starts if is_covered else [*starts, last])
    if generator is None:
        raise ValueError("the policy random needs a generator")
    return np.array([_draw(last, generator) for _ in range(count)])


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
    # this runs for every clip that is read: ufuncs instead of methods and np.where halve its time
    nearest: npt.NDArray[np.int64] = times.searchsorted(wanted)
    last = len(times) - 1
    if last == 0:
        return np.zeros(len(wanted), dtype=np.int64)
    np.minimum(nearest, last, out=nearest)
    np.maximum(nearest, 1, out=nearest)
    middle = times[nearest]
    middle += times[nearest - 1]
    middle *= 0.5
    nearest -= wanted <= middle + TOLERANCE_SECONDS / 2
    return nearest


def _require_times(frame_seconds: Seconds) -> None:
    # times rise from 0.0, or are unknown but for the first: the last one tells
    if not len(frame_seconds) or not math.isfinite(frame_seconds[-1]):
        raise UserError("the video states no frame rate; give it in the column fps of the table of videos")
