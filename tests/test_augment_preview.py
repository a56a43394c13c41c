"""The contact sheet shows every effect, the right pixels, and nothing of where they came from."""

from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from echossl.augment import Augmentation
from echossl.augment.preview import (
    CAPTION_PIXELS,
    GAP_PIXELS,
    TILE_PIXELS,
    preview_columns,
    write_preview,
)
from echossl.config.data import PrepareConfig
from echossl.config.training import AugmentConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare
from echossl.data.store import ClipStore
from echossl.errors import UserError

NUM_VIDEOS, NUM_FRAMES, SIDE = 3, 9, 48
STEP = TILE_PIXELS + GAP_PIXELS
# no part of a picture of its own: what another one turns about, and how fine another one is
NO_COLUMN = {"rotation_about", "speckle_grain_pixels"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    rows = []
    for number in range(NUM_VIDEOS):
        path = folder / f"secret_{number}.avi"
        generator = np.random.default_rng(number)
        with av.open(path, "w") as container:
            stream = container.add_stream("ffv1", rate=20)
            stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "gray"
            for _ in range(NUM_FRAMES):
                frame = generator.integers(40, 220, (SIDE, SIDE), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
            container.mux(stream.encode(None))
        rows.append({"path": str(path), "patient_id": f"secret{number}"})
    write_manifest(pd.DataFrame(rows), folder / "manifest.csv")
    prepare(
        PrepareConfig(
            manifest=folder / "manifest.csv", out=folder / "store", size=SIDE, sector="keep", workers=1
        )
    )
    return folder / "store"


def tile(sheet: Image.Image, column: int, line: int, *, clip: int = 0, draws: int = 2) -> np.ndarray:
    left, top = GAP_PIXELS + column * STEP, CAPTION_PIXELS + clip * (draws * STEP + 2 * GAP_PIXELS)
    top += line * STEP
    return np.asarray(sheet.crop((left, top, left + TILE_PIXELS, top + TILE_PIXELS)))


def as_tile(grey: np.ndarray) -> np.ndarray:
    side = (TILE_PIXELS, TILE_PIXELS)
    return np.asarray(Image.fromarray(grey).resize(side, Image.Resampling.BILINEAR).convert("RGB"))


def test_tiles_are_what_the_augmentation_gives(store: Path, tmp_path: Path) -> None:
    config = AugmentConfig(blur=1.0, shadow=0.5)
    assert write_preview(store, tmp_path / "p.png", config=config, clips=9, draws=2, seed=4) == NUM_VIDEOS
    sheet, frames = Image.open(tmp_path / "p.png"), ClipStore.open(store).frames
    columns = [column[2] for column in preview_columns(config)]
    assert sheet.size[0] == GAP_PIXELS + (1 + len(columns)) * STEP
    for row in range(NUM_VIDEOS):
        np.testing.assert_array_equal(tile(sheet, 0, 0, clip=row), as_tile(frames(row)[4]))
        clip = torch.from_numpy(np.array(frames(row)))[None, None]
        for place, line in ((1, 0), (len(columns) - 2, 1), (len(columns), 1)):
            out = Augmentation(columns[place - 1], seed=4)(clip, step=line, first_clip=row)
            grey = (255 * out[0, 0, 4]).round().to(torch.uint8).numpy()
            np.testing.assert_array_equal(tile(sheet, place, line, clip=row), as_tile(grey))


def test_every_effect_has_a_column_of_its_own() -> None:
    columns = list(preview_columns(AugmentConfig()))
    off = AugmentConfig(scale=0, shift=0, rotation_degrees=0, gamma=0, gain=0)
    alone = {name for _, _, config in columns[:-1] for name, value in config if value != getattr(off, name)}
    assert alone == set(AugmentConfig.model_fields) - NO_COLUMN
    for _, _, config in columns[:-2]:
        assert sum(value != getattr(off, name) for name, value in config) == 1
    assert columns[-1][2] == AugmentConfig()


def test_captions_say_what_is_off() -> None:
    words = {
        title: word for title, word, _ in preview_columns(AugmentConfig(shadow=0.4, rotation_about="probe"))
    }
    assert words["shadow"] == "0.4"
    assert words["rotate, probe"] == "8"
    assert words["flip"].startswith("off")
    assert words["blur"].startswith("off")
    assert words["remask"].startswith("off")
    assert words["all together"] == "as set"


def test_settings_that_shape_an_effect_reach_its_column() -> None:
    config = AugmentConfig(rotation_about="probe", speckle_grain_pixels=2.5)
    for _, _, alone in preview_columns(config):
        assert (alone.rotation_about, alone.speckle_grain_pixels) == ("probe", 2.5)


def test_the_same_seed_draws_the_same_sheet(store: Path, tmp_path: Path) -> None:
    sheets = []
    for number, seed in enumerate((1, 1, 2)):
        out = tmp_path / f"{number}.png"
        assert write_preview(store, out, config=AugmentConfig(), clips=2, draws=1, seed=seed) == 2
        sheets.append(np.asarray(Image.open(out)))
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0], sheets[2])


def test_the_sheet_names_no_file_and_no_patient(store: Path, tmp_path: Path) -> None:
    write_preview(store, tmp_path / "p.png", config=AugmentConfig(), clips=1, draws=1)
    assert b"secret" not in (tmp_path / "p.png").read_bytes()
    assert not Image.open(tmp_path / "p.png").info


@pytest.mark.parametrize(("clips", "draws"), [(0, 1), (1, 0), (1000, 6)])
def test_nothing_or_too_much_is_refused(store: Path, tmp_path: Path, clips: int, draws: int) -> None:
    with pytest.raises(UserError, match=f"clips={clips} draws={draws}: expected"):
        write_preview(store, tmp_path / "p.png", config=AugmentConfig(), clips=clips, draws=draws)
    assert not (tmp_path / "p.png").exists()


def test_no_store_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished clip store"):
        write_preview(tmp_path, tmp_path / "p.png", config=AugmentConfig())
