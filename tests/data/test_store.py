import pickle
import shutil

import numpy as np
import pandas as pd
import pytest

from echossl.data import ClipStore, prepare, read_manifest
from echossl.errors import EchosslError, UserError
from echossl.video.reader import open_video
from echossl.video.sampling import duration_seconds


@pytest.fixture
def own_store(store_path, tmp_path) -> ClipStore:
    """A copy that a test may damage."""
    return ClipStore.open(shutil.copytree(store_path, tmp_path / "store"))


def test_what_is_stored_is_what_was_decoded(store_path, videos):
    store = ClipStore.open(store_path)
    manifest = read_manifest(videos / "manifest.csv")
    assert len(store) == 18
    assert store.size == 32
    assert store.table["path"].tolist() == manifest["path"].tolist()
    for row, path in enumerate(manifest["path"]):
        with open_video(path) as reader:
            expected = reader.read(range(reader.num_frames))[..., 0]
            np.testing.assert_array_equal(store.frames(row), expected)
            np.testing.assert_array_equal(store.frame_seconds(row), reader.frame_seconds)
            assert store.table["fps"][row] == reader.fps
            assert store.durations[row] == duration_seconds(reader.frame_seconds)


def test_frames_are_views_that_cannot_be_written(store_path):
    frames = ClipStore.open(store_path).frames(3)
    assert not frames.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        frames[0] = 0


def test_index_says_which_window_of_the_source_is_shown(store_path, videos):
    table = ClipStore.open(store_path).table
    window = table[["top", "left", "height", "width", "source_height", "source_width"]].to_numpy()
    np.testing.assert_array_equal(window, np.broadcast_to([0, 0, 32, 32, 32, 32], window.shape))
    assert table["shard"].tolist() == [row // 4 for row in range(18)]
    assert table["patient_id"].tolist() == read_manifest(videos / "manifest.csv")["patient_id"].tolist()


def test_no_store_and_half_a_store_are_refused(tmp_path, own_store):
    with pytest.raises(UserError, match="no finished clip store; run echossl prepare"):
        ClipStore.open(tmp_path / "gone")
    (own_store.path / "store.json").unlink()
    with pytest.raises(UserError, match="no finished clip store"):
        ClipStore.open(own_store.path)


def test_rows_join_the_manifest_on_the_path(store_path, videos):
    store = ClipStore.open(store_path)
    manifest = read_manifest(videos / "manifest.csv").sample(frac=1, random_state=0)
    rows = store.rows_for(manifest)
    assert rows["path"].tolist() == manifest["path"].tolist()
    assert store.table["path"][rows["row"]].tolist() == rows["path"].tolist()
    assert rows["severe_as"].tolist() == manifest["severe_as"].tolist()
    np.testing.assert_array_equal(rows["duration_seconds"], store.durations[rows["row"]])
    assert rows["row"].dtype == np.int64
    some = store.rows_for(manifest[manifest["split"] == "test"])
    assert some.index.tolist() == list(range(len(some)))


def test_videos_that_were_never_prepared_are_named(store_path, videos):
    manifest = read_manifest(videos / "manifest.csv")
    extra = pd.DataFrame({"path": [f"/new/{number}.avi" for number in range(12)], "patient_id": "new"})
    with pytest.raises(UserError, match=r"12 videos .* not in the store: /new/0.avi, .* and 2 more"):
        ClipStore.open(store_path).rows_for(pd.concat([manifest, extra]))


def test_rejected_videos_are_left_out(videos, make_config, tmp_path):
    root = shutil.copytree(videos, tmp_path / "videos")
    (root / "p2" / "1.avi").write_bytes(b"no video at all" * 100)
    prepare(make_config(root, tmp_path / "store"))
    store = ClipStore.open(tmp_path / "store")
    manifest = read_manifest(root / "manifest.csv")
    rows = store.rows_for(manifest)
    assert len(rows) == len(store) == 17
    assert str(root / "p2" / "1.avi") not in set(rows["path"])
    # the video after it is still itself
    row = int(rows.loc[rows["path"] == str(root / "p2" / "2.avi"), "row"].iloc[0])
    with open_video(root / "p2" / "2.avi") as reader:
        np.testing.assert_array_equal(store.frames(row), reader.read(range(reader.num_frames))[..., 0])


def test_verify_finds_a_single_changed_byte(own_store):
    assert own_store.verify() == []
    damaged = own_store.path / "frames-00001.bin"
    content = bytearray(damaged.read_bytes())
    content[len(own_store.frames(4)) * 32 * 32 + 5] ^= 1
    damaged.write_bytes(content)
    assert ClipStore.open(own_store.path).verify() == [5]
    times = own_store.path / "frames-00002.seconds.bin"
    times.write_bytes(times.read_bytes()[:-8] + bytes(8))
    assert ClipStore.open(own_store.path).verify() == [5, 11]


def test_a_damaged_shard_is_mended_by_prepare(own_store, videos, make_config):
    damaged = own_store.path / "frames-00001.bin"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    store = ClipStore.open(own_store.path)
    store.frames(6)
    with pytest.raises(EchosslError, match=r"frames-00001.bin: holds .* run echossl prepare again"):
        store.frames(7)
    assert store.verify() == [7]
    damaged.unlink()
    with pytest.raises(EchosslError, match=r"frames-00001.bin: cannot be read"):
        ClipStore.open(own_store.path).frames(7)
    prepare(make_config(videos, own_store.path))
    assert ClipStore.open(own_store.path).verify() == []


def test_sending_a_store_to_a_worker_takes_no_data_along(store_path):
    store = ClipStore.open(store_path)
    expected = store.frames(2).copy()
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).frames(2), expected)  # noqa: S301 - our own bytes


def test_a_store_of_10000_videos(store_path, tmp_path):
    small = ClipStore.open(store_path).table
    large = pd.concat([small] * 556, ignore_index=True).iloc[:10_000]
    large["path"] = [f"/archive/patient{row // 3:05d}/study/video_{row}.avi" for row in range(10_000)]
    shutil.copytree(store_path, tmp_path / "store")
    large.to_csv(tmp_path / "store" / "index.csv", index=False)
    store = ClipStore.open(tmp_path / "store")
    assert len(store) == 10_000
    np.testing.assert_array_equal(store.frames(9_000), store.frames(0))
    assert len(store.rows_for(large[["path"]])) == 10_000


@pytest.mark.parametrize(
    "indices", [[0], [3, 4, 5], [1, 9, 17, 25], [0, 3, 5, 8], [7, 7, 7], [9, 6, 3], [0, 4, 0, 4], [30, 39]]
)
def test_clips_against_plain_indexing(store_path, indices):
    store = ClipStore.open(store_path)
    clips = np.full((3, len(indices), 32, 32), 7, dtype=np.uint8)
    for row in range(len(store)):
        store.read_into(clips[1], row, np.array(indices))
        np.testing.assert_array_equal(clips[1], store.frames(row)[indices])
    assert (clips[[0, 2]] == 7).all()


@pytest.mark.parametrize("indices", [[-1, 0, 1], [0, 10**6]])
def test_frames_that_do_not_exist_are_refused(store_path, indices):
    store = ClipStore.open(store_path)
    with pytest.raises(IndexError, match="of a video of"):
        store.read_into(np.empty((len(indices), 32, 32), dtype=np.uint8), 0, np.array(indices))


def test_a_place_that_would_be_copied_is_refused(store_path):
    place = np.zeros((32, 4, 32), dtype=np.uint8).transpose(1, 0, 2)
    with pytest.raises(ValueError, match="copy"):
        ClipStore.open(store_path).read_into(place, 0, np.arange(4))


@pytest.fixture
def project(videos, make_config, tmp_path):
    """A folder with videos, their manifest and the store, as somebody keeps them together."""
    shutil.copytree(videos, tmp_path / "project")
    prepare(make_config(tmp_path / "project", tmp_path / "project" / "store"))
    return tmp_path / "project"


def test_a_store_is_used_without_the_videos(project):
    before = ClipStore.open(project / "store").rows_for(read_manifest(project / "manifest.csv"))
    for path in project.glob("p*/*.avi"):
        path.unlink()
    manifest = read_manifest(project / "manifest.csv", files_needed=False)
    pd.testing.assert_frame_equal(ClipStore.open(project / "store").rows_for(manifest), before)
    with pytest.raises(UserError, match="no such file"):
        read_manifest(project / "manifest.csv")


def test_manifest_and_store_may_move_together(project, tmp_path):
    before = ClipStore.open(project / "store").rows_for(read_manifest(project / "manifest.csv"))
    project.rename(tmp_path / "elsewhere")
    manifest = read_manifest(tmp_path / "elsewhere" / "manifest.csv", files_needed=False)
    after = ClipStore.open(tmp_path / "elsewhere" / "store").rows_for(manifest)
    pd.testing.assert_frame_equal(after.drop(columns="path"), before.drop(columns="path"))
    assert after["path"].str.startswith(str(tmp_path / "elsewhere")).all()


def test_other_videos_of_the_same_names_are_not_taken_for_those_of_the_store(project, tmp_path):
    manifest = read_manifest(project / "manifest.csv")
    manifest["path"] = [f"/somewhere/else/{number}.avi" for number in range(len(manifest))]
    with pytest.raises(UserError, match="are not in the store"):
        ClipStore.open(project / "store").rows_for(manifest)


def test_tables_that_are_gone_or_damaged_are_made_again(project, make_config):
    config = make_config(project, project / "store")
    expected = (project / "store" / "index.csv").read_bytes()
    (project / "store" / "index.csv").unlink()
    prepare(config)
    assert (project / "store" / "index.csv").read_bytes() == expected
    (project / "store" / "store.json").write_text("{")
    with pytest.raises(UserError, match="no finished clip store"):
        ClipStore.open(project / "store")
    prepare(config)
    assert len(ClipStore.open(project / "store")) == 18
    (project / "store" / "settings.json").write_text("{")
    with pytest.raises(UserError, match=r"settings.json: is damaged"):
        prepare(config)
