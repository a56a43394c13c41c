import multiprocessing
import os
import pickle
import shutil
import zlib
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from echossl.data import ClipStore, maps, prepare
from echossl.data.decode import Treatment, decode_video
from echossl.data.formats import _pack, _sum_up
from echossl.data.maps import StoreSettings
from echossl.data.verify import VerifySummary, verify_store
from echossl.errors import DecodeError, EchosslError

FORMATS = ["raw", "compressed", "files"]
CLIPS = [[0], [3, 4, 5], [1, 9, 17, 25], [0, 3, 5, 8], [7, 7, 7], [9, 6, 3], [29, 0]]


def write_fan(path: Path, num_frames: int, seed: int, doppler: bool = False) -> None:
    """A fan of speckle with lettering beside it, in grey, or with a patch of flow that moves."""
    rows, columns = np.mgrid[:120, :160]
    distance = np.hypot(rows - 5, columns - 80)
    fan = (distance > 6) & (distance < 105) & (np.abs(columns - 80) < 0.8 * (rows - 3))
    generator = np.random.default_rng(seed)
    frames = np.zeros((num_frames, 120, 160, 3), dtype=np.uint8)
    frames[:, fan] = generator.integers(60, 220, (num_frames, int(fan.sum()), 1), dtype=np.uint8)
    frames[:, 2:8, 2:30] = 255
    for number in range(num_frames if doppler else 0):
        frames[number, 50 + number : 65 + number, 70:90] = (220, 30, 20)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def fans(tmp_path_factory) -> Path:
    """Videos with a sector, of which one shows colour Doppler and one cannot be read."""
    root = tmp_path_factory.mktemp("fans")
    for number in range(5):
        write_fan(root / f"{number}.avi", 30 + number, number, doppler=number == 1)
    (root / "3.avi").write_bytes(b"no video at all" * 100)
    rows = "".join(f"{number}.avi,p{number}\n" for number in range(5))
    (root / "manifest.csv").write_text("path,patient_id\n" + rows)
    return root


@pytest.fixture(scope="module")
def stores(fans, make_config, tmp_path_factory) -> dict[str, ClipStore]:
    """The same videos in every format."""
    root = tmp_path_factory.mktemp("formats")
    changes = {"sector": "mask_and_crop", "doppler": "blank", "size": 48, "videos_per_shard": 2}
    for name in FORMATS:
        prepare(make_config(fans, root / name, format=name, **changes))
    return {name: ClipStore.open(root / name) for name in FORMATS}


@pytest.fixture(params=FORMATS)
def own(request, videos, make_config, tmp_path) -> ClipStore:
    """A store of every format, made of videos that a test may change as well."""
    root = shutil.copytree(videos, tmp_path / "videos")
    prepare(make_config(root, tmp_path / "store", format=request.param))
    return ClipStore.open(tmp_path / "store")


def remake(store: ClipStore, make_config) -> ClipStore:
    prepare(make_config(store.path.parent / "videos", store.path, format=store.settings.format))
    return ClipStore.open(store.path)


def damage(path: Path, first: int, last: int) -> None:
    """Turn some bytes over, but change neither size nor time of a file."""
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[first:last] = bytes(255 - value for value in content[first:last])
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_every_format_gives_what_was_decoded(fans, stores):
    for row, path in enumerate(stores["raw"].paths):
        expected = decode_video(path, Treatment(size=48, doppler="blank"))
        for store in stores.values():
            np.testing.assert_array_equal(store.frames(row), expected.frames)
            np.testing.assert_array_equal(store.frame_seconds(row), expected.seen.frame_seconds)
            assert store.table["doppler"][row] == expected.seen.doppler
    assert stores["raw"].table["doppler"].tolist() == [False, True, False, False]


@pytest.mark.parametrize("indices", CLIPS)
@pytest.mark.parametrize("name", FORMATS)
def test_clips_of_every_format_against_plain_indexing(stores, name, indices):
    clips = np.full((3, len(indices), 48, 48), 7, dtype=np.uint8)
    for row in range(4):
        stores[name].read_into(clips[1], row, np.array(indices))
        np.testing.assert_array_equal(clips[1], stores["raw"].frames(row)[indices])
    assert (clips[[0, 2]] == 7).all()


def test_the_index_is_the_same_in_every_format(stores):
    raw, compressed, files = (stores[name].table for name in FORMATS)
    pd.testing.assert_frame_equal(raw, compressed)
    pd.testing.assert_frame_equal(raw.drop(columns="checksum"), files.drop(columns="checksum"))
    assert (raw["outline"] != "").all()
    assert raw["doppler"].dtype == bool


@pytest.mark.parametrize("name", FORMATS)
def test_sent_to_another_process_a_store_of_any_format_is_the_same(stores, name):
    expected = stores[name].frames(2)
    sent = pickle.dumps(stores[name])
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).frames(2), expected)  # noqa: S301 - our own bytes


def read_at_random(store: ClipStore, expected: np.ndarray, seed: int) -> None:
    generator = np.random.default_rng(seed)
    place = np.empty((3, 48, 48), dtype=np.uint8)
    for _ in range(100):
        wanted = generator.integers(30, size=3)
        store.read_into(place, 1, wanted)
        np.testing.assert_array_equal(place, expected[wanted])


@pytest.mark.parametrize("name", ["raw", "compressed"])
def test_forked_processes_read_side_by_side_from_what_was_open_before(stores, name):
    expected = np.array(stores[name].frames(1))
    context = multiprocessing.get_context("fork")
    readers = [context.Process(target=read_at_random, args=(stores[name], expected, n)) for n in range(3)]
    for reader in readers:
        reader.start()
    read_at_random(stores[name], expected, 3)
    for reader in readers:
        reader.join(30)
        assert reader.exitcode == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (32, 33), (112, 112)])
def test_packing_against_plain_loops(shape):
    frame = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    differences = np.array([[int(b) - int(a) for a, b in zip([0, *row], row, strict=False)] for row in frame])
    expected = (differences % 256).astype(np.uint8)
    np.testing.assert_array_equal(np.frombuffer(zlib.decompress(_pack(frame)), np.uint8), expected.ravel())
    _sum_up(expected)
    np.testing.assert_array_equal(expected, frame)


def test_compressed_is_smaller_and_files_hold_no_frames(stores):
    sizes = {
        name: sum(path.stat().st_size for path in store.path.glob("frames-*"))
        for name, store in stores.items()
    }
    # most of the fan is noise, which nothing can pack
    assert sizes["compressed"] < 0.9 * sizes["raw"]
    assert sizes["files"] < 0.02 * sizes["raw"]


@pytest.mark.parametrize("name", ["raw", "compressed"])
def test_a_single_changed_byte_is_found_and_mended(videos, make_config, tmp_path, name):
    config = make_config(videos, tmp_path / "store", format=name)
    prepare(config)
    before = {path.name: path.read_bytes() for path in config.out.iterdir()}
    damage(config.out / f"frames-00001.{ {'raw': 'bin', 'compressed': 'deflate'}[name] }", 20, 21)
    assert verify_store(config.out) == VerifySummary(18, [ClipStore.open(config.out).paths[4]])
    prepare(config)
    assert {path.name: path.read_bytes() for path in config.out.iterdir()} == before
    assert verify_store(config.out) == VerifySummary(18, [])


def test_without_stored_frames_verify_decodes_the_videos(videos, make_config, tmp_path):
    root = shutil.copytree(videos, tmp_path / "videos")
    config = make_config(root, tmp_path / "store", format="files")
    prepare(config)
    damage(root / "p2" / "1.avi", 6000, 20_000)
    found = verify_store(config.out)
    assert found == VerifySummary(18, [str(root / "p2" / "1.avi")])
    assert "1 of 18 videos are damaged" in found.as_text()
    # looked at again it is rejected, or shorter; whatever is left can be read
    prepare(config)
    assert verify_store(config.out).damaged == []


def test_a_damaged_frame_is_said_and_the_others_are_read(videos, make_config, tmp_path):
    prepare(make_config(videos, tmp_path / "store", format="compressed"))
    damage(tmp_path / "store" / "frames-00000.deflate", 30, 31)
    store = ClipStore.open(tmp_path / "store")
    place = np.empty((1, 32, 32), dtype=np.uint8)
    with pytest.raises(EchosslError, match=r"frames-00000.deflate: is damaged .* run echossl prepare"):
        store.read_into(place, 0, np.array([0]))
    store.read_into(place, 0, np.array([1]))


def test_cut_and_lost_files_are_said(own):
    for suffix in own._reader.suffixes:
        path = own.path / f"frames-00000.{suffix}"
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(EchosslError, match=r"frames-00000\.\w+.*echossl prepare"):
            ClipStore.open(own.path).frames(3)
        path.unlink()
        with pytest.raises(EchosslError, match=r"frames-00000.* cannot be read"):
            ClipStore.open(own.path).frames(0)


def test_new_videos_are_added_and_changed_ones_done_again(own, make_config, write_video):
    times = {path.name: path.stat().st_mtime_ns for path in own.path.iterdir()}
    root = own.path.parent / "videos"
    write_video(root / "p9" / "new.avi", num_frames=21, seed=77)
    with (root / "manifest.csv").open("a") as manifest:
        manifest.write("p9/new.avi,p9,s9,train,0\n")
    store = remake(own, make_config)
    assert len(store) == 19
    np.testing.assert_array_equal(store.frames(18), decode_video(store.paths[18], Treatment(size=32)).frames)
    again = {path.name for path in own.path.iterdir() if times.get(path.name) != path.stat().st_mtime_ns}
    assert {name for name in again if name.startswith("frames-")} == {
        f"frames-00005.{suffix}" for suffix in ("csv", "seconds.bin", *own._reader.suffixes)
    }
    write_video(root / "p0" / "0.avi", num_frames=33, seed=5)
    store = remake(own, make_config)
    assert store.table["num_frames"][0] == 33
    assert store.verify() == []


def test_without_stored_frames_a_changed_or_lost_video_is_named(videos, make_config, write_video, tmp_path):
    root = shutil.copytree(videos, tmp_path / "videos")
    prepare(make_config(root, tmp_path / "store", format="files"))
    store = ClipStore.open(tmp_path / "store")
    place = np.empty((2, 32, 32), dtype=np.uint8)
    store.read_into(place, 0, np.array([0, 1]))
    write_video(root / "p0" / "0.avi", num_frames=40, seed=3)
    with pytest.raises(DecodeError, match=r"p0/0\.avi: is gone or has changed .* run echossl prepare again"):
        store.read_into(place, 0, np.array([0, 1]))
    (root / "p1" / "1.avi").unlink()
    with pytest.raises(DecodeError, match=r"p1/1\.avi: is gone or has changed"):
        store.frames(2)
    assert store.verify() == [0, 2]


def num_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_store_of_many_shards_keeps_few_files_open(videos, make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "MOST_MAPS", 4)
    prepare(make_config(videos, tmp_path / "store", videos_per_shard=1))
    store = ClipStore.open(tmp_path / "store")
    before = num_open_files()
    place = np.empty((2, 32, 32), dtype=np.uint8)
    for row in [*range(18), *range(18)]:
        store.read_into(place, row, np.array([3, 4]))
        np.testing.assert_array_equal(place, store.frames(row)[3:5])
        assert len(store.frame_seconds(row)) == len(store.frames(row))
    assert num_open_files() <= before + 4


def test_settings_say_all_that_a_reader_needs(stores):
    settings = stores["files"].settings
    assert settings == StoreSettings(stores["files"].path, 48, "files", True, "auto")
