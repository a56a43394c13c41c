"""One video file becomes what the clip store keeps: grey, sector-masked, cropped and resized frames."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from echossl.config.video import Backend
from echossl.data.blocks import blocks_of, fits_in_memory, read_blocks, read_colours, read_grey, read_some
from echossl.errors import DecodeError
from echossl.video.doppler import find_doppler
from echossl.video.reader import VideoReader, open_video
from echossl.video.sampling import uniform_seconds
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
from echossl.video.tissue import Outline

SectorMode = Literal["mask_and_crop", "mask", "keep"]
DopplerMode = Literal["keep", "blank"]


@dataclass(frozen=True)
class Treatment:
    """What is done to every video of a store.

    Attributes:
        size: height and width of the result in pixels.
        sector: blank what lies outside the sector and crop to it, only blank, or keep all.
        doppler: keep colour Doppler, in grey, or blank its pixels in the videos that show it.
        backend: video decoder.
    """

    size: int
    sector: SectorMode = "mask_and_crop"
    doppler: DopplerMode = "keep"
    backend: Backend = "auto"


@dataclass(frozen=True)
class LookedAt:
    """What is known of a video beside its frames; what they are in the store is settled by it.

    Attributes:
        num_frames: number of frames.
        frame_seconds: (num_frames,) float64, time of each frame; the first is 0.
        fps: frames per second; NaN for a still.
        placement: which window of the source is shown.
        outline: (x, y) corners of the sector in the source; empty where nothing is blanked.
        doppler: whether it shows colour Doppler.
        blank_doppler: whether that is blanked, because it was asked for; for ``read_placed``.
        cm_per_pixel: height of a stored pixel in cm; NaN if the file does not state it.
    """

    num_frames: int
    frame_seconds: np.ndarray
    fps: float
    placement: Placement
    outline: Outline
    doppler: bool
    blank_doppler: bool
    cm_per_pixel: float


@dataclass(frozen=True)
class StoredVideo:
    """A video as the clip store keeps it.

    Attributes:
        frames: (num_frames, size, size) uint8, grey.
        seen: all else that is known of it.
    """

    frames: np.ndarray
    seen: LookedAt


def decode_video(path: str, how: Treatment, fps: float | None = None) -> StoredVideo:
    """Decode a whole video and cut the sector out of it.

    Args:
        path: the file.
        how: what is done to it.
        fps: frame rate that is used if, and only if, the file does not say its own.

    Raises:
        DecodeError: if the file cannot be decoded, or has several frames and no frame rate.
        UserError: if a package that it takes is not installed.
    """
    with open_video(path, backend=how.backend) as reader:
        times = frame_times(reader, path, fps)
        # a video that does not fit is decoded twice, first the frames that the sector is searched in
        source = read_grey(reader) if fits_in_memory(reader) else None
        seen = _look(reader, times, how, source)
        if source is not None and not seen.blank_doppler:
            return StoredVideo(_place_all(blocks_of(source), seen), seen)
        return StoredVideo(_place_all(read_blocks(reader, blank=seen.blank_doppler), seen), seen)


def look_at_video(path: str, how: Treatment, fps: float | None = None) -> LookedAt:
    """What is known of a video, of which only a few frames are decoded; see :func:`decode_video`."""
    with open_video(path, backend=how.backend) as reader:
        return _look(reader, frame_times(reader, path, fps), how, None)


def read_placed(
    path: str,
    indices: Sequence[int],
    *,
    placement: Placement,
    outline: Outline,
    blank_doppler: bool,
    backend: Backend = "auto",
) -> np.ndarray:
    """Some frames of a video as ``decode_video`` gives them, bit by bit.

    Args:
        path: the file.
        indices: which frames, in any order.
        placement: from ``decode_video`` or ``look_at_video``.
        outline: from there too.
        blank_doppler: whether colour Doppler was to be blanked *and* the video is flagged as showing some.
        backend: video decoder.

    Returns:
        (len(indices), size, size) uint8.

    Raises:
        DecodeError: if the file cannot be decoded, or is no longer the one that was looked at.
    """
    with open_video(path, backend=backend) as reader:
        expected = (placement.source_height, placement.source_width)
        if (reader.height, reader.width) != expected or reader.num_frames <= max(indices, default=0):
            raise DecodeError(path, "has changed since the store was made; run echossl prepare again")
        sector = sector_from_outline(outline, *expected)
        return place(_masked(read_some(reader, indices, blank=blank_doppler), sector), placement)


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
    return uniform_seconds(reader.num_frames, fps), fps


def _look(
    reader: VideoReader, times: tuple[np.ndarray, float], how: Treatment, source: np.ndarray | None
) -> LookedAt:
    """What is known of an open video; ``source`` holds its grey frames, if they are decoded already."""
    window = full_sector(reader.height, reader.width)
    if how.sector != "keep":
        wanted = search_indices(reader.num_frames)
        window = find_sector(reader.read_grey(wanted) if source is None else source[wanted])
    shown = window if how.sector == "mask_and_crop" else full_sector(reader.height, reader.width)
    where = placement(shown, how.size, pixel_aspect=reader.pixel_aspect)
    has_doppler = _has_doppler(reader, window)
    return LookedAt(
        num_frames=reader.num_frames,
        frame_seconds=times[0],
        fps=times[1],
        placement=where,
        outline=window.outline,
        doppler=has_doppler,
        blank_doppler=has_doppler and how.doppler == "blank",
        cm_per_pixel=(reader.cm_per_pixel or float("nan")) * where.height / how.size,
    )


def _has_doppler(reader: VideoReader, sector: Sector) -> bool:
    if reader.channels == 1:
        return False
    colours, step = read_colours(reader)
    return find_doppler(colours * sector.mask[::step, ::step, None]).is_doppler


def _place_all(blocks: Iterable[np.ndarray], seen: LookedAt) -> np.ndarray:
    where = seen.placement
    window = sector_from_outline(seen.outline, where.source_height, where.source_width)
    frames = np.empty((seen.num_frames, where.size, where.size), dtype=np.uint8)
    first = 0
    for block in blocks:
        frames[first : first + len(block)] = place(_masked(block, window), where)
        first += len(block)
    return frames


def _masked(frames: np.ndarray, sector: Sector) -> np.ndarray:
    masked: np.ndarray = frames * sector.mask.astype(np.uint8)
    return masked
