"""Comparing the checksums takes nothing away, needs no permission to write, and tells prepare what to do."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from echossl.config.data import PrepareConfig
from echossl.data import ClipStore, prepare
from echossl.data.store_tables import damaged_shards, read_table
from echossl.data.verify import VerifySummary, verify_store
from echossl.errors import RunFolderError

NOBODY = 65534


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def damage(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.fixture
def own(videos, store_path, make_config, tmp_path):
    return make_config(videos, Path(shutil.copytree(store_path, tmp_path / "store")))


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may write anywhere; anybody else is held by the permissions already."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


@pytest.fixture
def read_only(videos, make_config) -> Iterator[PrepareConfig]:
    """A store that may be read but not written to."""
    # the folders that tests get otherwise are closed to others
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    root = Path(shutil.copytree(videos, folder / "videos"))
    root.chmod(0o755)
    config = make_config(root, folder / "store")
    prepare(config)
    config.out.chmod(0o555)
    yield config
    config.out.chmod(0o755)
    shutil.rmtree(folder)


def test_a_damaged_store_stays_as_it_is_until_it_is_mended(own, store_path):
    damage(own.out / "frames-00001.bin", 5)
    before = content_of(own.out)
    found = verify_store(own.out)
    assert found == VerifySummary(18, [ClipStore.open(own.out).paths[4]])
    after = content_of(own.out)
    listed = read_table(own.out / "damaged.csv")
    assert after.pop("damaged.csv")
    assert after == before
    assert listed["path"].tolist() == found.damaged
    assert damaged_shards(own.out) == {1}
    # all other videos, those of the shard too, can be read
    store = ClipStore.open(own.out)
    for row in set(range(18)) - {4}:
        np.testing.assert_array_equal(store.frames(row), ClipStore.open(store_path).frames(row))
    prepare(own)
    assert content_of(own.out) == content_of(store_path)


def test_without_frames_of_its_own_one_touched_video_costs_the_others_nothing(videos, make_config, tmp_path):
    root = Path(shutil.copytree(videos, tmp_path / "videos"))
    config = make_config(root, tmp_path / "store", format="files")
    prepare(config)
    (root / "p1" / "0.avi").touch()
    found = verify_store(config.out)
    assert found.damaged == [str(root / "p1" / "0.avi")]
    store = ClipStore.open(config.out)
    for row in set(range(18)) - {store.paths.tolist().index(found.damaged[0])}:
        assert len(store.frames(row)) == store.table["num_frames"][row]
    prepare(config)
    assert verify_store(config.out) == VerifySummary(18, [])


def test_a_list_that_no_longer_holds_is_taken_away(own):
    damage(own.out / "frames-00001.bin", 5)
    verify_store(own.out)
    damage(own.out / "frames-00001.bin", 5)
    assert verify_store(own.out).damaged == []
    assert damaged_shards(own.out) == set()
    before = {path.name: path.stat().st_mtime_ns for path in own.out.iterdir()}
    prepare(own)
    assert {path.name: path.stat().st_mtime_ns for path in own.out.iterdir()} == before


def test_parts_mend_what_is_listed(own, store_path):
    for shard in (1, 2):
        damage(own.out / f"frames-0000{shard}.bin", 5)
    verify_store(own.out)
    first = prepare(own.model_copy(update={"shard": "1/2"}))
    assert first.missing_shards == 1
    assert prepare(own.model_copy(update={"shard": "2/2"})).missing_shards == 0
    assert content_of(own.out) == content_of(store_path)


def test_a_store_that_cannot_be_written_to_is_verified(read_only):
    damage(read_only.out / "frames-00001.bin", 5)
    with as_somebody_else():
        found = verify_store(read_only.out)
    assert found == VerifySummary(18, [ClipStore.open(read_only.out).paths[4]], is_listed=False)
    assert "cannot be written to, so nothing was noted there" in found.as_text()
    assert not (read_only.out / "damaged.csv").exists()


def test_prepare_on_a_store_that_cannot_be_written_to(read_only):
    with as_somebody_else():
        assert (prepare(read_only).stored, prepare(read_only).missing_shards) == (18, 0)
    (read_only.out / "frames-00002.bin").write_bytes(b"")
    with (
        as_somebody_else(),
        pytest.raises(RunFolderError, match=r"store: cannot be written to \(Permission denied\); choose"),
    ):
        prepare(read_only)


def test_in_words():
    names = [f"{number}.avi" for number in range(12)]
    text = VerifySummary(20, names).as_text()
    assert text.startswith("12 of 20 videos are damaged: 0.avi, 1.avi, ")
    assert "9.avi, and 2 more; run echossl prepare again" in text
    assert "10.avi" not in text
    assert VerifySummary(20, names[:10]).as_text().count("more") == 0
    assert VerifySummary(20, []).as_text() == "20 videos checked, none is damaged"
