"""Parts of the work on one store: as processes side by side, in any order, killed and started again."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from echossl.config import load_config
from echossl.config.data import PrepareConfig
from echossl.data import ClipStore, prepare
from echossl.data.parts import Part
from echossl.errors import ConfigError, RunFolderError

WORDS = """
import sys
from echossl.config.data import PrepareConfig
from echossl.data.prepare import prepare
if __name__ == "__main__":
    print(prepare(PrepareConfig.model_validate_json(sys.argv[1])).missing_shards)
"""


def start(config: PrepareConfig, **changes: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WORDS, config.model_copy(update=changes).model_dump_json()]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.002)


@pytest.fixture
def config(videos, make_config, tmp_path) -> PrepareConfig:
    return make_config(videos, tmp_path / "store", videos_per_shard=2)


@pytest.fixture(scope="module")
def whole(videos, make_config, tmp_path_factory) -> dict[str, bytes]:
    """What a run without parts makes: 18 videos in 9 shards."""
    config = make_config(videos, tmp_path_factory.mktemp("whole") / "store", videos_per_shard=2)
    prepare(config)
    return content_of(config.out)


@pytest.fixture(scope="module")
def slow_videos(write_video, tmp_path_factory) -> Path:
    """The first shard of the first of three parts is done at once, its others take a while."""
    root = tmp_path_factory.mktemp("slow")
    rows = ["path,patient_id"]
    for number in range(9):
        size, num_frames = (256, 60) if number in {3, 6} else (32, 20)
        write_video(root / f"{number}.avi", num_frames=num_frames, height=size, width=size, seed=number)
        rows.append(f"{number}.avi,p{number}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_one_after_the_other_in_any_order(config, whole, order):
    missing = []
    for index in order:
        summary = prepare(config.model_copy(update={"shard": f"{index}/3"}))
        missing.append(summary.missing_shards)
        assert summary.stored == 18 - 2 * summary.missing_shards
        assert (config.out / "store.json").exists() == (summary.missing_shards == 0)
    assert missing == [6, 3, 0]
    assert content_of(config.out) == whole
    assert "not finished: 3 shards of other parts are missing" not in summary.as_text()


def test_side_by_side_with_one_killed_and_started_again(slow_videos, make_config, tmp_path):
    expected = make_config(slow_videos, tmp_path / "expected", videos_per_shard=1)
    prepare(expected)
    config = make_config(slow_videos, tmp_path / "store", videos_per_shard=1)
    killed, *others = [start(config, shard=f"{index}/3") for index in (1, 2, 3)]
    wait_for(config.out / "frames-00000.csv", killed)
    killed.kill()
    assert killed.wait(20) == -signal.SIGKILL
    assert not (config.out / "store.json").exists()
    assert killed.stdout.read() == ""
    again = start(config, shard="1/3")
    missing = [int(process.communicate(timeout=60)[0]) for process in (*others, again)]
    # whoever was last has finished the store
    assert missing.count(0) >= 1
    assert content_of(config.out) == content_of(expected.out)


def test_a_run_without_parts_finishes_what_dead_parts_left(config, whole):
    prepare(config.model_copy(update={"shard": "2/3"}))
    (config.out / ".frames-00000.abcd.bin").write_bytes(b"half")
    (config.out / ".frames-00000.seconds.efgh.bin").write_bytes(b"half")
    before = (config.out / "frames-00001.bin").stat().st_mtime_ns
    summary = prepare(config)
    assert (summary.stored, summary.missing_shards) == (18, 0)
    assert content_of(config.out) == whole
    assert (config.out / "frames-00001.bin").stat().st_mtime_ns == before


def test_a_part_takes_away_only_what_it_left_itself(config):
    prepare(config.model_copy(update={"shard": "2/3"}))
    names = [".frames-00000.abcd.bin", ".frames-00005.abcd.deflate", ".frames-00003.seconds.abcd.bin"]
    for name in names:
        (config.out / name).write_bytes(b"half")
    with (config.out / "settings.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        prepare(config.model_copy(update={"shard": "1/3"}))
    assert [(config.out / name).exists() for name in names] == [False, True, False]


def test_a_late_part_numbers_the_shards_as_the_first_one_did(config, videos, tmp_path, make_config):
    """A file that changes while a part is at work must not move the videos of the others."""
    root = shutil.copytree(videos, tmp_path / "videos")
    config = make_config(root, tmp_path / "store", videos_per_shard=2)
    prepare(config.model_copy(update={"shard": "1/2"}))
    plan = (config.out / "plan.json").read_text()
    with (config.out / "settings.json").open("r+") as file:
        # as if the first part were still at work
        fcntl.flock(file, fcntl.LOCK_SH)
        os.utime(root / "p0" / "0.avi", (1, 1))
        summary = prepare(config.model_copy(update={"shard": "2/2"}))
    assert summary.missing_shards == 0
    assert '"jobs"' in plan
    assert ClipStore.open(config.out).table["shard"].tolist() == [row // 2 for row in range(18)]
    # the next run notices
    prepare(config)
    table = pd.read_csv(config.out / "frames-00000.csv")
    assert table["modified_ns"].tolist()[0] == 10**9


def test_whom_a_part_would_disturb(config):
    prepare(config.model_copy(update={"shard": "1/2"}))
    with (config.out / "settings.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(RunFolderError, match="another echossl prepare is at work here; wait"):
            prepare(config)
        with pytest.raises(RunFolderError, match=r"parts of 2 are at work here, not of 3; .* shard=i/2"):
            prepare(config.model_copy(update={"shard": "3/3"}))
        with (config.out / ".part-2-of-2.lock").open("a") as own:
            fcntl.flock(own, fcntl.LOCK_EX)
            with pytest.raises(RunFolderError, match="part 2/2 is at work already"):
                prepare(config.model_copy(update={"shard": "2/2"}))
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunFolderError, match="an echossl prepare without shard is at work"):
            prepare(config.model_copy(update={"shard": "2/2"}))
    assert prepare(config.model_copy(update={"shard": "2/2"})).missing_shards == 0


def test_parts_of_another_manifest_are_refused_while_some_are_at_work(videos, make_config, tmp_path):
    root = shutil.copytree(videos, tmp_path / "videos")
    config = make_config(root, tmp_path / "store", shard="1/2")
    prepare(config)
    table = pd.read_csv(root / "manifest.csv")
    table.iloc[:-1].to_csv(root / "manifest.csv", index=False)
    with (config.out / "settings.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(RunFolderError, match="parts of another manifest are at work here"):
            prepare(config.model_copy(update={"shard": "2/2"}))
    # with nobody at work the plan is made anew: shard 4 of the first part has lost its second video
    summary = prepare(config.model_copy(update={"shard": "2/2"}))
    assert (summary.stored, summary.missing_shards) == (16, 1)
    summary = prepare(config)
    assert (summary.stored, summary.missing_shards) == (17, 0)


def test_a_finished_store_grows_in_parts_and_can_be_used_meanwhile(videos, make_config, tmp_path):
    root = shutil.copytree(videos, tmp_path / "videos")
    table = pd.read_csv(root / "manifest.csv")
    table.iloc[:8].to_csv(root / "manifest.csv", index=False)
    config = make_config(root, tmp_path / "store")
    prepare(config)
    table.to_csv(root / "manifest.csv", index=False)
    assert prepare(config.model_copy(update={"shard": "1/2"})).missing_shards == 1
    assert len(ClipStore.open(config.out)) == 8
    assert prepare(config.model_copy(update={"shard": "2/2"})).missing_shards == 0
    store = ClipStore.open(config.out)
    assert len(store) == 18
    assert store.verify() == []


def test_more_parts_than_shards(config, whole):
    summaries = [prepare(config.model_copy(update={"shard": f"{index}/20"})) for index in range(20, 0, -1)]
    assert summaries[0].missing_shards == 9
    assert "9 shards of other parts are missing" in summaries[0].as_text()
    assert summaries[-1].missing_shards == 0
    assert content_of(config.out) == whole


def test_every_shard_is_the_work_of_one_part():
    parts = [Part.of(f"{index}/3") for index in (1, 2, 3)]
    assert [[part.index for part in parts if part.has(shard)] for shard in range(5)] == [
        [1], [2], [3], [1], [2]
    ]  # fmt: skip


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/0", "a/b"])
def test_parts_that_do_not_exist_are_refused(shard):
    with pytest.raises(ConfigError, match="shard"):
        load_config(PrepareConfig, None, ["manifest=m.csv", "out=store", f"shard='{shard}'"])
