"""One video file looked through to its last frame: what it is, and what stands against using it."""

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from echossl.config.video import Backend, ClipConfig
from echossl.data.blocks import read_blocks
from echossl.data.decode import frame_times
from echossl.data.faults import is_there
from echossl.data.workers import leave_if_stopped
from echossl.errors import DecodeError, UserError, reason_of
from echossl.video.reader import VideoReader, open_video
from echossl.video.sampling import duration_seconds

# slower than any cine that shows a beat, faster than ultrafast scanners store
SLOWEST_FPS, FASTEST_FPS = 5.0, 300.0
FPS_TOLERANCE = 0.1


@dataclass(frozen=True)
class Checked:
    """What a video file is.

    Attributes:
        path: the file.
        num_frames: frames that decode; 0 where the file cannot be read.
        fps: frames per second; NaN where unknown.
        height: rows of a frame.
        width: columns of a frame.
        duration_seconds: its length; 0 for a still.
        digest: 16 hexadecimal digits over its frames in grey; empty where the file cannot be read.
        problems: what makes it unusable, each ``kind: words``.
        notes: what is odd about it, each ``kind: words``.
    """

    path: str
    num_frames: int = 0
    fps: float = math.nan
    height: int = 0
    width: int = 0
    duration_seconds: float = 0.0
    digest: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_video(path: str, manifest_fps: float, clip: ClipConfig, *, backend: Backend = "auto") -> Checked:
    """Decode every frame of a video.

    Args:
        path: the file, or the folder of pictures.
        manifest_fps: frames per second from the manifest; NaN if it says nothing.
        clip: what will be cut from it; a shorter video gets a note, or a problem where that is an error.
        backend: video decoder.

    Returns:
        What was found; nothing is raised for the sake of a bad file.
    """
    if not is_there(Path(path)):
        return refused(path, "no such file; correct the path or remove the row", kind="missing")
    try:
        with open_video(path, backend=backend) as reader:
            return _looked_through(reader, path, manifest_fps, clip)
    except UserError as error:
        # a package that such files need may be missing, which the next video need not care about
        return refused(path, reason_of(error, path))


def refused(path: str, reason: str, *, kind: str = "unreadable") -> Checked:
    """A file that cannot be used, for a reason in words."""
    return Checked(path, problems=[f"{kind}: {reason}"])


def frames_digest(reader: VideoReader) -> str:
    """16 hexadecimal digits over the shape and all frames of a video in grey; equal for equal pixels.

    Raises:
        DecodeError: if a frame is damaged.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(np.array([reader.num_frames, reader.height, reader.width], dtype="<i8").tobytes())
    for block in read_blocks(reader, blank=False):
        leave_if_stopped()
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


def _looked_through(reader: VideoReader, path: str, manifest_fps: float, clip: ClipConfig) -> Checked:
    digest = frames_digest(reader)
    given = None if math.isnan(manifest_fps) else manifest_fps
    fps, duration, problems = math.nan, math.nan, []
    try:
        times, fps = frame_times(reader, path, given)
        duration = duration_seconds(times)
    except DecodeError as error:
        problems.append(f"no frame rate: {error.reason}")
    notes = [*_about_length(reader), *_about_rate(fps, manifest_fps)]
    short = _about_clip(reader.num_frames, duration, clip)
    (problems if clip.too_short == "error" else notes).extend(short)
    return Checked(
        path, reader.num_frames, fps, reader.height, reader.width, duration, digest, problems, notes
    )


def _about_length(reader: VideoReader) -> list[str]:
    declared = reader.declared_frames
    if declared is None or declared == reader.num_frames:
        return []
    kind = "truncated" if declared > reader.num_frames else "frame count"
    return [f"{kind}: declares {declared} frames, {reader.num_frames} decode"]


def _about_rate(fps: float, manifest_fps: float) -> list[str]:
    notes = []
    if fps < SLOWEST_FPS or fps > FASTEST_FPS:
        notes.append(f"frame rate: {fps:.5g} frames per second are unusual")
    if abs(manifest_fps - fps) > FPS_TOLERANCE * fps:
        notes.append(f"frame rate: the manifest says {manifest_fps:.5g}, the file {fps:.5g}, which is used")
    return notes


def _about_clip(num_frames: int, duration: float, clip: ClipConfig) -> list[str]:
    """A clip can repeat what is shorter than it, unless that is said to be an error."""
    if num_frames == 1:
        return ["single picture: no video"]
    if duration < clip.clip_seconds:
        return [f"too short: {duration:.5g} s, a clip takes {clip.clip_seconds:g} s"]
    return []
