"""A file becomes frames: exact by index, sampled by time, the ultrasound sector cut out of the screen."""

from echossl.video.doppler import DopplerFound, blank_doppler, find_doppler
from echossl.video.grey import to_grey
from echossl.video.reader import VideoReader, open_video
from echossl.video.sampling import (
    clip_indices,
    clip_starts,
    clip_starts_uniform,
    duration_seconds,
    random_clip_start,
    two_clip_starts,
    uniform_seconds,
)
from echossl.video.sector import (
    Placement,
    Sector,
    find_sector,
    full_sector,
    place,
    placement,
    search_indices,
    sector_from_outline,
)

__all__ = [
    "DopplerFound",
    "Placement",
    "Sector",
    "VideoReader",
    "blank_doppler",
    "clip_indices",
    "clip_starts",
    "clip_starts_uniform",
    "duration_seconds",
    "find_doppler",
    "find_sector",
    "full_sector",
    "open_video",
    "place",
    "placement",
    "random_clip_start",
    "search_indices",
    "sector_from_outline",
    "to_grey",
    "two_clip_starts",
    "uniform_seconds",
]
