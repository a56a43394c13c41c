"""A contact sheet of augmentation, so that a person can see what the network will see."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from echossl.augment.pipeline import Augmentation
from echossl.config.training import AugmentConfig
from echossl.data.store import ClipStore
from echossl.errors import UserError
from echossl.files import atomic_path
from echossl.progress import track

TILE_PIXELS, GAP_PIXELS, CAPTION_PIXELS = 112, 4, 34
# a sheet of more would be too large for most viewers
MOST_LINES = 200
BACKGROUND, INK, FAINT = (48, 48, 48), (255, 255, 255), (170, 170, 170)
# frames that are augmented together; the one in the middle is shown
FRAMES_OF_A_CLIP = 9
# at what strength an effect is shown that is switched off
SHOWN_AT: dict[str, float] = {
    "scale": 0.1,
    "shift": 0.08,
    "crop_pixels": 8,
    "rotation_degrees": 8.0,
    "gamma": 0.5,
    "gain": 0.3,
    "noise": 0.05,
    "time_gain": 0.7,
    "attenuation": 1.5,
    "speckle": 0.4,
    "shadow": 0.9,
    "blur": 1.5,
    "narrow": 0.2,
    "flip": 0.5,
}
# blackening outside the sector shows only where something else made it bright
REMASK_SHOWN_WITH = {"noise": 0.1, "shift": 0.2}


def write_preview(
    store_path: Path, out: Path, *, config: AugmentConfig, clips: int = 4, draws: int = 6, seed: int = 0
) -> int:
    """Draw clips of a store as each effect alone and all together change them.

    Each clip is a block of lines, one line per draw. Columns: the middle frame as stored, every effect alone,
    and the augmentation as it is set. Effects that are off are shown at a usual strength, and their caption
    says "off". Captions hold row numbers of the store's table, never a path or an id; the pictures are those
    of the store.

    Args:
        store_path: a finished clip store.
        out: the PNG to write.
        config: the augmentation.
        clips: videos, all where the store has fewer.
        draws: lines per clip.
        seed: which videos, and the seed of the augmentation.

    Returns:
        The number of clips on the sheet.

    Raises:
        UserError: if there is no finished store, or nothing or too much is asked for.
        EchosslError: if the frames of a video cannot be read.
    """
    if clips < 1 or draws < 1 or clips * draws > MOST_LINES:
        raise UserError(
            f"clips={clips} draws={draws}: expected at least 1 of each, and {MOST_LINES} lines at most"
        )
    store = ClipStore.open(store_path)
    rows = sorted(np.random.default_rng(seed).permutation(len(store))[:clips].tolist())
    columns = list(preview_columns(config))
    step = TILE_PIXELS + GAP_PIXELS
    size = (
        GAP_PIXELS + (1 + len(columns)) * step,
        CAPTION_PIXELS + len(rows) * (draws * step + 2 * GAP_PIXELS),
    )
    sheet = Image.new("RGB", size, BACKGROUND)
    _draw_captions(sheet, columns)
    for number, row in enumerate(track(rows, "drawing", total=len(rows), unit="clips")):
        top = CAPTION_PIXELS + number * (draws * step + 2 * GAP_PIXELS)
        _draw_clip(sheet, top, row, _clip(store, row), columns=columns, draws=draws, seed=seed)
    with atomic_path(out) as path:
        sheet.save(path, format="PNG")
    return len(rows)


def preview_columns(config: AugmentConfig) -> Iterator[tuple[str, str, AugmentConfig]]:
    """What the columns of the sheet show: two lines of caption and the augmentation, as set last."""
    off = config.model_copy(update=dict.fromkeys(SHOWN_AT, 0) | {"remask": False})
    for name, usual in SHOWN_AT.items():
        strength = getattr(config, name)
        words = f"{strength:g}" if strength else f"off, here {usual:g}"
        yield _title(name, config), words, off.model_copy(update={name: strength or usual})
    words = "on" if config.remask else "off"
    shown_with = off.model_copy(update=REMASK_SHOWN_WITH | {"remask": True})
    yield "remask", f"{words}, here + noise", shown_with
    yield "all together", "as set", config


def _title(name: str, config: AugmentConfig) -> str:
    if name == "rotation_degrees":
        return f"rotate, {config.rotation_about}"
    return name.replace("_", " ")


def _clip(store: ClipStore, row: int) -> torch.Tensor:
    """Frames spread over a video, the middle one in the middle: uint8 (1, 1, frames, size, size)."""
    last = int(store.table["num_frames"].iloc[row]) - 1
    indices = np.linspace(0, last, FRAMES_OF_A_CLIP).round().astype(np.int64)
    frames = np.empty((FRAMES_OF_A_CLIP, store.size, store.size), dtype=np.uint8)
    store.read_into(frames, row, indices)
    return torch.from_numpy(frames)[None, None]


def _draw_captions(sheet: Image.Image, columns: list[tuple[str, str, AugmentConfig]]) -> None:
    draw = ImageDraw.Draw(sheet)
    for number, (title, words) in enumerate([("as stored", "")] + [column[:2] for column in columns]):
        left = GAP_PIXELS + number * (TILE_PIXELS + GAP_PIXELS)
        draw.text((left, 2), title, fill=INK, font_size=12)
        draw.text((left, 17), words, fill=FAINT, font_size=11)


def _draw_clip(
    sheet: Image.Image,
    top: int,
    row: int,
    clip: torch.Tensor,
    *,
    columns: list[tuple[str, str, AugmentConfig]],
    draws: int,
    seed: int,
) -> None:
    step = TILE_PIXELS + GAP_PIXELS
    middle = FRAMES_OF_A_CLIP // 2
    sheet.paste(_tile(clip[0, 0, middle].numpy()), (GAP_PIXELS, top))
    ImageDraw.Draw(sheet).text((GAP_PIXELS, top + TILE_PIXELS + 2), f"row {row}", fill=INK, font_size=12)
    for place, (_, _, config) in enumerate(columns, start=1):
        augmentation = Augmentation(config, seed=seed)
        for line in range(draws):
            # the row of the video in place of the clip's number: every video gets draws of its own
            out = augmentation(clip, step=line, first_clip=row)[0, 0, middle]
            grey = out.mul(255).round().to(torch.uint8).numpy()
            sheet.paste(_tile(grey), (GAP_PIXELS + place * step, top + line * step))


def _tile(grey: np.ndarray) -> Image.Image:
    side = (TILE_PIXELS, TILE_PIXELS)
    return Image.fromarray(grey).resize(side, Image.Resampling.BILINEAR).convert("RGB")
