"""The row of a video stays its number while a store grows; where it cannot, an opened store says so."""

import pickle
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.config.data import PrepareConfig
from echossl.data import ClipStore, prepare
from echossl.data.rows import order_of, read_rows
from echossl.errors import RunFolderError


@pytest.fixture
def half(videos, make_config, tmp_path) -> tuple[PrepareConfig, pd.DataFrame]:
    """A store of the second half of the videos, and the table of all of them."""
    root = Path(shutil.copytree(videos, tmp_path / "videos"))
    table = pd.read_csv(root / "manifest.csv")
    table.iloc[9:].to_csv(root / "manifest.csv", index=False)
    config = make_config(root, tmp_path / "store")
    prepare(config)
    return config, table


def grow(config: PrepareConfig, table: pd.DataFrame) -> ClipStore:
    table.to_csv(config.manifest, index=False)
    prepare(config)
    return ClipStore.open(config.out)


def test_new_videos_come_after_the_rows_that_are_there(half):
    config, table = half
    before = ClipStore.open(config.out)
    names, frames = before.paths.tolist(), [before.frames(row).copy() for row in range(9)]
    after = grow(config, table)
    assert after.paths.tolist()[:9] == names
    # the new ones in the order of the manifest
    assert after.paths.tolist()[9:] == [str(config.manifest.parent / path) for path in table["path"][:9]]
    for row in range(9):
        np.testing.assert_array_equal(after.frames(row), frames[row])
    assert after.rows_for(pd.DataFrame({"path": after.paths.tolist()}))["row"].tolist() == list(range(18))


def test_a_reader_process_that_starts_late_reads_the_same_videos(half):
    config, table = half
    before = ClipStore.open(config.out)
    sent, expected = pickle.dumps(before), before.frames(2).copy()
    grow(config, table)
    late = pickle.loads(sent)  # noqa: S301 - our own bytes
    assert late.paths.tolist() == before.paths.tolist()
    assert len(late) == 9
    np.testing.assert_array_equal(late.frames(2), expected)
    # and one that it sends on
    assert pickle.loads(pickle.dumps(late)).table["path"].tolist() == before.paths.tolist()  # noqa: S301
    # the table of a store that was opened before
    assert before.table["path"].tolist() == before.paths.tolist()


def test_rows_that_have_become_other_videos_are_refused(half):
    config, _ = half
    store = ClipStore.open(config.out)
    sent = pickle.dumps(store)
    Path(store.paths[0]).write_bytes(b"no video at all" * 100)
    prepare(config)
    assert len(ClipStore.open(config.out)) == 8
    late = pickle.loads(sent)  # noqa: S301 - our own bytes
    with pytest.raises(RunFolderError, match=r"rows are other videos now; start the run again"):
        late.frames(0)
    with pytest.raises(RunFolderError, match=r"rows are other videos now"):
        _ = store.table


def test_a_changed_video_keeps_its_row(half, write_video):
    config, _ = half
    names = ClipStore.open(config.out).paths.tolist()
    write_video(Path(names[4]), num_frames=77, seed=99)
    prepare(config)
    store = ClipStore.open(config.out)
    assert store.paths.tolist() == names
    assert len(store.frames(4)) == 77


def test_order_tells_apart_what_differs():
    orders = [("a", "b"), ("b", "a"), ("a",), ("ab",), ("a", "b", "c"), ()]
    assert len({order_of(paths) for paths in orders}) == len(orders)
    assert order_of(("a", "b")) == order_of(["a", "b"])


def test_rows_of_100000_videos_in_little_memory(store_path, tmp_path):
    small = ClipStore.open(store_path).table
    large = pd.concat([small] * 5556, ignore_index=True).iloc[:100_000]
    large["path"] = [f"/archive/patient{row // 3:05d}/étude/video_{row}.avi" for row in range(100_000)]
    large.to_csv(tmp_path / "index.csv", index=False)
    tracemalloc.start()
    rows = read_rows(tmp_path, None)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 20 * 2**20
    assert rows.paths[77_777] == large["path"][77_777]
    video = rows.stored(77_777)
    assert video == tuple(large.loc[77_777, ["shard", "offset", "num_frames"]])
    assert all(type(number) is int for number in video)
    assert rows.durations[77_777] == large["duration_seconds"][77_777]
