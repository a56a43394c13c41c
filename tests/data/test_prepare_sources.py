"""What prepare takes in: files, folders of pictures and headers with pixels beside them; what it refuses."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.data import ClipStore, prepare
from echossl.data.origin import SourceVideo, source_video
from echossl.data.shards import ShardJob, without_video, write_shard
from echossl.data.store_tables import outline_of, outline_text, read_table, shard_number, table_path
from echossl.errors import RunFolderError, UserError


def write_pictures(folder: Path, num_frames: int, seed: int = 0) -> np.ndarray:
    frames = np.random.default_rng(seed).integers(0, 256, (num_frames, 32, 32), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"image_{number}.png")
    return frames


@pytest.fixture
def folders(tmp_path) -> Path:
    root = tmp_path / "pictures"
    for number in range(2):
        write_pictures(root / str(number), 12 + number, seed=number)
    (root / "manifest.csv").write_text("path,patient_id,fps\n0,p0,20\n1,p1,20\n")
    return root


@pytest.mark.parametrize("name", ["raw", "compressed", "files"])
def test_folders_of_pictures_are_videos(folders, make_config, tmp_path, name):
    config = make_config(folders, tmp_path / "store", format=name)
    assert prepare(config).stored == 2
    store = ClipStore.open(config.out)
    # twelve pictures, in natural order
    np.testing.assert_array_equal(store.frames(1), write_pictures(tmp_path / "again", 13, seed=1))
    np.testing.assert_allclose(store.frame_seconds(0), np.arange(12) / 20)
    when = (config.out / "store.json").stat().st_mtime_ns
    prepare(config)
    assert (config.out / "store.json").stat().st_mtime_ns == when
    os.utime(folders / "1" / "image_3.png", ns=(1, 2**62))
    prepare(config)
    assert (config.out / "store.json").stat().st_mtime_ns != when


def test_what_a_folder_is_known_by(folders):
    files = list((folders / "0").iterdir())
    found = source_video(str(folders / "0"), 20.0)
    assert found.file_bytes == sum(path.stat().st_size for path in files)
    assert found.modified_ns == max(path.stat().st_mtime_ns for path in files)
    files[0].unlink()
    assert source_video(str(folders / "0"), 20.0) != found
    shutil.rmtree(folders / "0")
    assert source_video(str(folders / "0"), 20.0) == SourceVideo(str(folders / "0"), 20.0, 0, 0)


@pytest.mark.parametrize("line", ["ElementDataFile = a.raw", "ElementDataFile=a.raw"])
def test_a_header_changes_with_its_pixels(tmp_path, line):
    (tmp_path / "a.mhd").write_text(f"ObjectType = Image\nNDims = 3\n{line}\n")
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    before = source_video(str(tmp_path / "a.mhd"), 0.0)
    assert before.file_bytes == 1000 + (tmp_path / "a.mhd").stat().st_size
    os.utime(tmp_path / "a.raw", ns=(5, 2**62))
    assert source_video(str(tmp_path / "a.mhd"), 0.0).modified_ns == 2**62
    (tmp_path / "a.raw").unlink()
    assert source_video(str(tmp_path / "a.mhd"), 0.0).file_bytes == before.file_bytes - 1000


def test_a_header_with_its_pixels_inside(tmp_path):
    path = tmp_path / "a.mhd"
    path.write_text("ObjectType = Image\nElementDataFile = LOCAL\n")
    assert source_video(str(path), 0.0).file_bytes == path.stat().st_size


def test_refused_videos_are_rejected_unseen(videos, make_config, tmp_path):
    config = make_config(videos, tmp_path / "store")
    config.out.mkdir()
    paths = [str(videos / name) for name in ("p0/0.avi", "p1/0.avi", "p1/1.avi")]
    job = ShardJob(config.out, 0, tuple(source_video(path, 0.0) for path in paths), config)
    job = without_video(without_video(job, paths[1], "crashed"), "another.avi", "not of this shard")
    assert write_shard(job) == 1
    table = read_table(table_path(config.out, 0))
    assert table["reason"].tolist() == ["", "crashed", ""]
    assert table["num_frames"][1] == 0
    assert table["offset"].tolist() == [0, table["num_frames"][0], table["num_frames"][0]]


def test_what_takes_too_long_is_rejected(slow_videos, make_config, tmp_path):
    config = make_config(slow_videos, tmp_path / "store", seconds_per_video=0.05)
    with pytest.raises(UserError, match=r"none of 1 videos .*/0: took longer than 0.05 s"):
        prepare(config)


def test_changed_patience_and_workers_are_the_same_store(videos, store_path, make_config):
    before = (store_path / "store.json").stat().st_mtime_ns
    prepare(make_config(videos, store_path, seconds_per_video=5, workers=2))
    assert (store_path / "store.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("changes", [{"format": "compressed"}, {"doppler": "blank"}])
def test_new_settings_are_compared_too(videos, store_path, make_config, changes):
    with pytest.raises(RunFolderError, match=f"{next(iter(changes))}: "):
        prepare(make_config(videos, store_path, **changes))


def test_a_store_of_the_first_version_is_refused_in_words(videos, store_path, make_config, tmp_path):
    old = Path(shutil.copytree(store_path, tmp_path / "store"))
    for name in ("settings.json", "store.json"):
        content = json.loads((old / name).read_text())
        content.get("settings", content)["format_version"] = 1
        (old / name).write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"format 1, this version reads format 2; remove .* again"):
        ClipStore.open(old)
    with pytest.raises(RunFolderError, match=r"of format 1, this version makes format 2; remove"):
        prepare(make_config(videos, old))


def test_a_file_in_place_of_the_folder_is_refused(videos, make_config, tmp_path):
    (tmp_path / "store").touch()
    with pytest.raises(RunFolderError, match="is a file; choose another folder"):
        prepare(make_config(videos, tmp_path / "store"))


@pytest.mark.parametrize("outline", [(), ((1, 2), (30, 4), (5, 60)), ((-1, 0), (0, 0), (7, 7))])
def test_outlines_survive_their_text(outline):
    assert outline_of(outline_text(outline)) == outline


@pytest.mark.parametrize("name", ["frames-00012.csv", "frames-00012.seconds.bin", ".frames-00012.ab.bin"])
def test_the_shard_of_a_file(name):
    assert shard_number(Path(name)) == 12


def test_an_index_without_a_rate_or_scale_holds_nan(videos, store_path):
    table = pd.read_csv(store_path / "index.csv")
    assert table["cm_per_pixel"].isna().all()
    assert table["outline"].isna().all()
    assert ClipStore.open(store_path).table["outline"].tolist() == [""] * 18
