"""The frames of an open video, some at a time, so that memory is bounded whatever its length and size."""

from collections.abc import Iterator, Sequence

import numpy as np

from echossl.video.doppler import blank_doppler
from echossl.video.grey import to_grey
from echossl.video.reader import VideoReader
from echossl.video.sampling import spread_indices

FRAMES_PER_BLOCK = 64
MOST_BYTES_PER_BLOCK = 192 * 2**20
MOST_BYTES_IN_MEMORY = 512 * 2**20
# frames that are looked at for colour, and at most how many pixels of their longer side
COLOUR_FRAMES = 16
COLOUR_PIXELS = 400


def fits_in_memory(reader: VideoReader) -> bool:
    """Whether all frames may be held at once, in grey."""
    return reader.num_frames * reader.height * reader.width <= MOST_BYTES_IN_MEMORY


def read_some(reader: VideoReader, indices: Sequence[int], *, blank: bool) -> np.ndarray:
    """Frames in grey, colour Doppler blanked or not: uint8 (len(indices), height, width)."""
    if blank and reader.channels > 1:
        return to_grey(blank_doppler(reader.read(indices)))
    return reader.read_grey(indices)


def read_blocks(reader: VideoReader, *, blank: bool) -> Iterator[np.ndarray]:
    """All frames in order, some at a time; each block as ``read_some`` gives it."""
    for indices in _chunks(range(reader.num_frames), _frames_per_block(reader)):
        yield read_some(reader, indices, blank=blank)


def read_grey(reader: VideoReader) -> np.ndarray:
    """All frames in grey, uint8 (num_frames, height, width)."""
    source = np.empty((reader.num_frames, reader.height, reader.width), dtype=np.uint8)
    first = 0
    for block in read_blocks(reader, blank=False):
        source[first : first + len(block)] = block
        first += len(block)
    return source


def blocks_of(source: np.ndarray) -> Iterator[np.ndarray]:
    """Frames that are in memory, some at a time, because what is done to them copies them."""
    return (source[first : first + FRAMES_PER_BLOCK] for first in range(0, len(source), FRAMES_PER_BLOCK))


def read_colours(reader: VideoReader) -> tuple[np.ndarray, int]:
    """A few frames spread over the video, in colour.

    Returns:
        uint8 (n, rows, columns, 3), every ``step``-th pixel of every ``step``-th row, which leaves colours as
        they are; and ``step``.
    """
    wanted = spread_indices(reader.num_frames, COLOUR_FRAMES).tolist()
    step = -(-max(reader.height, reader.width) // COLOUR_PIXELS)
    blocks = [
        reader.read(block)[:, ::step, ::step].copy() for block in _chunks(wanted, _frames_per_block(reader))
    ]
    return np.concatenate(blocks), step


def _frames_per_block(reader: VideoReader) -> int:
    bytes_per_frame = reader.height * reader.width * reader.channels
    return max(1, min(FRAMES_PER_BLOCK, MOST_BYTES_PER_BLOCK // bytes_per_frame))


def _chunks(indices: Sequence[int], length: int) -> Iterator[Sequence[int]]:
    return (indices[first : first + length] for first in range(0, len(indices), length))
