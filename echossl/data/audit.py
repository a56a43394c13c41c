"""A contact sheet of a clip store, so that a person can see that no lettering survived in what is stored."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from echossl.data.store import ClipStore
from echossl.errors import EchosslError, UserError
from echossl.files import atomic_path
from echossl.progress import track
from echossl.video.reader import open_video

TILE_PIXELS = 192
CAPTION_PIXELS = 16
GAP_PIXELS = 8
PAIRS_PER_LINE = 5
# a sheet of more would be too large for most viewers
HEADER_ROWS = 1
MOST_VIDEOS = 400
FRAMES_PER_BLOCK = 256
BACKGROUND, INK = (48, 48, 48), (255, 255, 255)
Tile = Image.Image


def write_audit(store_path: Path, out: Path, *, count: int = 100, seed: int = 0) -> int:
    """Draw pictures before and after of random videos of a store.

    Before: the frame in the middle of the source file, text and all. After: the brightest value that each
    pixel has in any stored frame, so that text which shows in a single frame shows here too. Captions are
    rows of the store's ``index.csv`` as a spreadsheet counts them (the header is row 1), never a path or an
    id. The sheet itself shows what the files show: treat it as confidential as them.

    Args:
        store_path: a finished clip store.
        out: the PNG to write, about 2 x 4.3 k pixels for 100 videos.
        count: videos, 400 at most; all where the store has fewer.
        seed: which ones.

    Returns:
        The number of videos on the sheet.

    Raises:
        UserError: if there is no finished store.
    """
    store = ClipStore.open(store_path)
    chosen = audit_rows(len(store), count=count, seed=seed)
    sheet = _empty_sheet(len(chosen))
    rows = track(chosen, "auditing", total=len(chosen), unit="videos")
    for corner, row in zip(_corners(len(chosen)), rows, strict=True):
        _draw_pair(sheet, corner, row, _before(store.paths[row]), _after(store, row))
    with atomic_path(out) as path:
        sheet.save(path, format="PNG")
    return len(chosen)


def audit_rows(num_videos: int, *, count: int, seed: int) -> list[int]:
    """Which rows of a store of ``num_videos`` are looked at, in ascending order, none twice."""
    chosen = np.random.default_rng(seed).permutation(num_videos)[: min(count, MOST_VIDEOS)]
    return sorted(int(row) for row in chosen)


def _before(path: str) -> Tile | str:
    """The middle frame of a file, or why there is none."""
    if not Path(path).exists():
        return "file is gone"
    try:
        with open_video(path) as reader:
            frame = reader.read([reader.num_frames // 2])[0]
    except UserError:
        # the reason may name the file
        return "file cannot be read"
    return Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame).convert("RGB")


def _after(store: ClipStore, row: int) -> Tile | str:
    """The brightest values over all stored frames of a video, or why there are none."""
    try:
        frames = store.frames(row)
    except EchosslError:
        # a store without frames of its own reads them from the file
        return "frames cannot be read"
    brightest = np.zeros((store.size, store.size), dtype=np.uint8)
    for first in range(0, len(frames), FRAMES_PER_BLOCK):
        np.maximum(brightest, frames[first : first + FRAMES_PER_BLOCK].max(axis=0), out=brightest)
    return Image.fromarray(brightest).convert("RGB")


def _empty_sheet(count: int) -> Tile:
    lines = max(1, -(-count // PAIRS_PER_LINE))
    width, height = _pair_size()
    size = (min(max(1, count), PAIRS_PER_LINE) * width + GAP_PIXELS, lines * height + GAP_PIXELS)
    return Image.new("RGB", size, BACKGROUND)


def _pair_size() -> tuple[int, int]:
    """Width and height of a pair with its caption and the gap after it."""
    return 2 * TILE_PIXELS + 2 + GAP_PIXELS, TILE_PIXELS + CAPTION_PIXELS + GAP_PIXELS


def _corners(count: int) -> Iterator[tuple[int, int]]:
    """Upper left corner (x, y) of each pair."""
    width, height = _pair_size()
    for number in range(count):
        line, place = divmod(number, PAIRS_PER_LINE)
        yield GAP_PIXELS + place * width, GAP_PIXELS + line * height


def _draw_pair(sheet: Tile, corner: tuple[int, int], row: int, before: Tile | str, after: Tile | str) -> None:
    left, top = corner
    ImageDraw.Draw(sheet).text((left, top), f"row {row + HEADER_ROWS + 1}", fill=INK, font_size=12)
    for number, picture in enumerate((before, after)):
        place = (left + number * (TILE_PIXELS + 2), top + CAPTION_PIXELS)
        sheet.paste(_tile(picture), place)


def _tile(picture: Tile | str) -> Tile:
    """A picture, as large as fits, in the middle of a black tile; or words in an empty one."""
    tile = Image.new("RGB", (TILE_PIXELS, TILE_PIXELS))
    if isinstance(picture, str):
        ImageDraw.Draw(tile).text((8, TILE_PIXELS // 2 - 8), picture, fill=INK, font_size=12)
        return tile
    zoom = TILE_PIXELS / max(picture.size)
    size = [max(1, round(side * zoom)) for side in picture.size]
    resized = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    tile.paste(resized, ((TILE_PIXELS - size[0]) // 2, (TILE_PIXELS - size[1]) // 2))
    return tile
