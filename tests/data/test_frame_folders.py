"""A folder of pictures of which one is damaged: the message names it, and the video stays the folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.config.data import PrepareConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare
from echossl.data.requests import ClipRequest, read_clips
from echossl.data.store import ClipStore
from echossl.errors import DecodeError, UserError, reason_of

SIZE, NUM_FRAMES = 32, 6
CLIP = ClipConfig(clip_seconds=0.2, num_frames=4)


def write_folder(folder: Path, seed: int) -> Path:
    folder.mkdir()
    frames = np.random.default_rng(seed).integers(0, 256, (NUM_FRAMES, SIZE, SIZE), dtype=np.uint8)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number}.png")
    return folder


def damage(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:400])


@pytest.fixture
def config(tmp_path: Path) -> PrepareConfig:
    """Two folders at 20 frames per second, for a store that keeps no frames."""
    rows = [
        {"path": str(write_folder(tmp_path / name, seed)), "patient_id": name, "fps": 20}
        for seed, name in enumerate(("whole", "damaged"))
    ]
    write_manifest(pd.DataFrame(rows), tmp_path / "manifest.csv")
    return PrepareConfig(
        manifest=tmp_path / "manifest.csv",
        out=tmp_path / "store",
        size=SIZE,
        sector="keep",
        workers=1,
        format="files",
    )


def test_prepare_names_the_picture(config: PrepareConfig, tmp_path: Path) -> None:
    damage(tmp_path / "damaged" / "3.png")
    summary = prepare(config.model_copy(update={"format": "raw"}))
    assert (summary.stored, summary.rejected) == (1, 1)
    rejected = pd.read_csv(config.out / "rejected.csv")
    assert rejected["path"].tolist() == [str(tmp_path / "damaged")]
    assert rejected["reason"][0].startswith("3.png: is a damaged picture")


def test_reading_names_the_picture_and_replaces_the_video(config: PrepareConfig, tmp_path: Path) -> None:
    damage(tmp_path / "damaged" / "3.png")  # of which a store of files looks at some frames alone
    prepare(config)
    store = ClipStore.open(config.out)
    bad, good = (store.paths.tolist().index(str(tmp_path / name)) for name in ("damaged", "whole"))
    seen: list[DecodeError] = []

    def instead(number: int, error: DecodeError) -> list[ClipRequest]:
        assert number == 1
        seen.append(error)
        return [ClipRequest(bad if len(seen) < 3 else good, 0.0)]

    items = [[ClipRequest(good, 0.0)], [ClipRequest(bad, 0.0)]]
    clips = read_clips(store, items, CLIP, instead=instead)
    np.testing.assert_array_equal(clips[0], clips[1])
    assert {error.path for error in seen} == {tmp_path / "damaged"}
    assert len(seen) == 3
    with pytest.raises(DecodeError, match=r"damaged: 3\.png: is a damaged picture") as raised:
        read_clips(store, items, CLIP)
    assert raised.value.path == tmp_path / "damaged"


def test_a_reason_names_what_lies_inside_and_nothing_twice() -> None:
    inside = DecodeError("videos/a/3.png", "is damaged")
    assert reason_of(inside, "videos/a") == "3.png: is damaged"
    assert reason_of(inside, "videos/a/3.png") == "is damaged"
    assert reason_of(inside, "elsewhere/a") == "is damaged"
    assert reason_of(UserError("videos/a: is gone"), "videos/a") == "is gone"
