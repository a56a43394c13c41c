"""The contact sheet shows before and after side by side, and names nobody."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.config.data import PrepareConfig
from echossl.data.audit import (
    CAPTION_PIXELS,
    GAP_PIXELS,
    MOST_VIDEOS,
    PAIRS_PER_LINE,
    TILE_PIXELS,
    audit_rows,
    write_audit,
)
from echossl.data.prepare import prepare
from echossl.data.store import ClipStore
from echossl.errors import UserError

PAIR_WIDTH, PAIR_HEIGHT = 2 * TILE_PIXELS + 2 + GAP_PIXELS, TILE_PIXELS + CAPTION_PIXELS + GAP_PIXELS


@pytest.fixture
def store(write_video, tmp_path: Path) -> ClipStore:
    """Seven videos, one more than a line of the sheet and then one."""
    rows = []
    for number in range(PAIRS_PER_LINE + 2):
        path = tmp_path / "videos" / f"DOE_JOHN_{number}.avi"
        write_video(path, num_frames=12, seed=number, height=32, width=48)
        rows.append({"path": str(path), "patient_id": f"p{number}"})
    manifest = tmp_path / "manifest.csv"
    pd.DataFrame(rows).to_csv(manifest, index=False)
    prepare(PrepareConfig(manifest=manifest, out=tmp_path / "store", size=32, sector="keep", workers=1))
    return ClipStore.open(tmp_path / "store")


def tile(sheet: np.ndarray, number: int, side: int) -> np.ndarray:
    """The picture before (0) or after (1) of a pair, (tile, tile, 3)."""
    line, place = divmod(number, PAIRS_PER_LINE)
    top = GAP_PIXELS + line * PAIR_HEIGHT + CAPTION_PIXELS
    left = GAP_PIXELS + place * PAIR_WIDTH + side * (TILE_PIXELS + 2)
    return sheet[top : top + TILE_PIXELS, left : left + TILE_PIXELS]


def sheet_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def enlarge(picture: np.ndarray) -> np.ndarray:
    grey = Image.fromarray(picture).resize((TILE_PIXELS, TILE_PIXELS), Image.Resampling.BILINEAR)
    return np.asarray(grey)


def test_every_pair_shows_the_file_and_the_brightest_of_what_is_stored(store, tmp_path):
    out = tmp_path / "sheet.png"
    assert write_audit(store.path, out) == 7
    sheet = sheet_of(out)
    assert sheet.shape == (2 * PAIR_HEIGHT + GAP_PIXELS, PAIRS_PER_LINE * PAIR_WIDTH + GAP_PIXELS, 3)
    for number in range(7):
        brightest = store.frames(number).max(axis=0)
        np.testing.assert_array_equal(tile(sheet, number, 1)[..., 0], enlarge(brightest))
        before = tile(sheet, number, 0)
        # 48 x 32 pixels: as wide as the tile, black above and below
        margin = (TILE_PIXELS - TILE_PIXELS * 32 // 48) // 2
        assert before[:margin].max() == 0
        assert before[-margin:].max() == 0
        assert before[margin:-margin].max() > 230


def test_text_that_shows_in_one_frame_shows_on_the_sheet(store, tmp_path):
    frames = np.asarray(store.frames(0))
    flash = frames[:, :4, :4].max(axis=0)
    out = tmp_path / "sheet.png"
    write_audit(store.path, out, count=7)
    corner = tile(sheet_of(out), 0, 1)[: TILE_PIXELS // 32 * 4, : TILE_PIXELS // 32 * 4]
    assert corner.max() == pytest.approx(flash.max(), abs=12)


def test_files_that_are_gone_or_broken_leave_an_empty_tile(store, tmp_path):
    whole, without = tmp_path / "a.png", tmp_path / "b.png"
    write_audit(store.path, whole)
    Path(store.paths[2]).unlink()
    Path(store.paths[3]).write_bytes(b"no video at all" * 20)
    assert write_audit(store.path, without) == 7
    before, after = sheet_of(whole), sheet_of(without)
    for number in (2, 3):
        empty = tile(after, number, 0)
        # words on black, nothing of the picture
        assert 0 < (empty > 0).any(axis=-1).mean() < 0.05
        np.testing.assert_array_equal(tile(before, number, 1), tile(after, number, 1))
    np.testing.assert_array_equal(tile(before, 4, 0), tile(after, 4, 0))


def test_a_store_without_frames_of_its_own(store, tmp_path):
    config = {"manifest": tmp_path / "manifest.csv", "size": 32, "sector": "keep", "workers": 1}
    prepare(PrepareConfig(**config, out=tmp_path / "files", format="files"))
    write_audit(store.path, tmp_path / "a.png")
    write_audit(tmp_path / "files", tmp_path / "b.png")
    np.testing.assert_array_equal(sheet_of(tmp_path / "a.png"), sheet_of(tmp_path / "b.png"))
    Path(store.paths[1]).unlink()
    assert write_audit(tmp_path / "files", tmp_path / "b.png") == 7
    assert (tile(sheet_of(tmp_path / "b.png"), 1, 1) > 0).any(axis=-1).mean() < 0.05


def test_rows_are_random_distinct_repeatable_and_bounded():
    rows = audit_rows(5000, count=100, seed=3)
    assert rows == sorted(set(rows))
    assert len(rows) == 100
    assert rows == audit_rows(5000, count=100, seed=3)
    assert rows != audit_rows(5000, count=100, seed=4)
    assert audit_rows(7, count=100, seed=0) == list(range(7))
    assert len(audit_rows(5000, count=10**6, seed=0)) == MOST_VIDEOS
    # every video has the same chance
    seen = np.bincount(np.concatenate([audit_rows(10, count=3, seed=seed) for seed in range(2000)]))
    np.testing.assert_allclose(seen / 2000, 0.3, atol=0.05)


def test_fewer_videos_than_a_line_make_a_smaller_sheet(store, tmp_path):
    out = tmp_path / "sheet.png"
    assert write_audit(store.path, out, count=2, seed=5) == 2
    assert sheet_of(out).shape == (PAIR_HEIGHT + GAP_PIXELS, 2 * PAIR_WIDTH + GAP_PIXELS, 3)


def test_trap_07_the_sheet_names_nobody(store, tmp_path):
    """Whatever the files and patients are called, the sheet is the same."""
    out = tmp_path / "a.png"
    write_audit(store.path, out)
    content = out.read_bytes()
    assert b"DOE" not in content
    with Image.open(out) as image:
        assert not image.info
    assert not list(tmp_path.glob(".*.png"))


def test_no_store_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no finished clip store"):
        write_audit(tmp_path, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
