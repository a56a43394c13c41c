"""One video file becomes what the clip store keeps: grey, sector-masked, cropped and resized frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from echossl.config.video import Backend
from echossl.errors import DecodeError
from echossl.video.grey import to_grey
from echossl.video.reader import VideoReader, open_video
from echossl.video.sector import Placement, Sector, find_sector, full_sector, place, placement

FRAMES_PER_BLOCK = 64
# a longer video is decoded twice, once for a block of frames to find the sector in, so that memory is bounded
MOST_BYTES_IN_MEMORY = 512 * 2**20
SectorMode = Literal["mask_and_crop", "mask", "keep"]


@dataclass(frozen=True)
class StoredVideo:
    """A video as the clip store keeps it.

    Attributes:
        frames: (num_frames, size, size) uint8, grey.
        frame_seconds: (num_frames,) float64, time of each frame; the first is 0.
        fps: frames per second; NaN for a still.
        placement: which window of the source the frames show.
    """

    frames: np.ndarray
    frame_seconds: np.ndarray
    fps: float
    placement: Placement


def decode_video(
    path: str,
    *,
    size: int,
    sector: SectorMode = "mask_and_crop",
    backend: Backend = "auto",
    fps: float | None = None,
) -> StoredVideo:
    """Decode a whole video and cut the sector out of it.

    Args:
        path: the file.
        size: height and width of the result in pixels.
        sector: blank what lies outside the sector and crop to it, only blank, or keep all.
        backend: video decoder.
        fps: frame rate that is used if, and only if, the file does not say its own.

    Raises:
        DecodeError: if the file cannot be decoded, or has several frames and no frame rate.
    """
    with open_video(path, backend=backend) as reader:
        frame_seconds, rate = frame_times(reader, path, fps)
        window, blocks = _window_and_blocks(reader, sector)
        where = placement(window if sector == "mask_and_crop" else full_sector(*window.mask.shape), size)
        placed = [place(_masked(block, window), where) for block in blocks]
    return StoredVideo(np.concatenate(placed), frame_seconds, rate, where)


def frame_times(reader: VideoReader, path: str, fps: float | None) -> tuple[np.ndarray, float]:
    """When each frame is shown, from the file, else from the rate the user gave. Never an invented rate.

    Args:
        reader: an open video.
        path: its file, for the error.
        fps: frame rate that is used if the file does not say its own.

    Returns:
        (num_frames,) float64 seconds, and frames per second; NaN for a still.

    Raises:
        DecodeError: if there are several frames and no rate.
    """
    if reader.fps is not None:
        return np.asarray(reader.frame_seconds, dtype=np.float64), float(reader.fps)
    if reader.num_frames == 1:
        return np.zeros(1), float("nan")
    if fps is None:
        raise DecodeError(path, "the file does not say its frame rate; add it to the manifest's fps column")
    return np.arange(reader.num_frames) / fps, fps


def _window_and_blocks(reader: VideoReader, mode: SectorMode) -> tuple[Sector, Iterator[np.ndarray]]:
    """The sector, and the frames in order as grey blocks."""
    if reader.num_frames * reader.height * reader.width <= MOST_BYTES_IN_MEMORY:
        source = np.empty((reader.num_frames, reader.height, reader.width), dtype=np.uint8)
        for first, block in _grey_blocks(reader):
            source[first : first + len(block)] = block
        starts = range(0, len(source), FRAMES_PER_BLOCK)
        return _window(source, mode), (source[first : first + FRAMES_PER_BLOCK] for first in starts)
    spread = np.linspace(0, reader.num_frames - 1, FRAMES_PER_BLOCK).round().astype(int)
    window = _window(to_grey(reader.read(spread.tolist())), mode)
    return window, (block for _, block in _grey_blocks(reader))


def _grey_blocks(reader: VideoReader) -> Iterator[tuple[int, np.ndarray]]:
    """Each block of frames, grey, with the number of its first frame."""
    for first in range(0, reader.num_frames, FRAMES_PER_BLOCK):
        yield first, to_grey(reader.read(range(first, min(first + FRAMES_PER_BLOCK, reader.num_frames))))


def _window(frames: np.ndarray, mode: SectorMode) -> Sector:
    return full_sector(*frames.shape[1:]) if mode == "keep" else find_sector(frames)


def _masked(frames: np.ndarray, sector: Sector) -> np.ndarray:
    masked: np.ndarray = frames * sector.mask.astype(np.uint8)
    return masked
