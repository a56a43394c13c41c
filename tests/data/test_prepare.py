import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from echossl.data import ClipStore, prepare
from echossl.errors import RunFolderError, UserError


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def written_times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture
def own_videos(videos, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(videos, tmp_path / "videos"))


def test_a_finished_store_is_left_alone(videos, store_path, make_config):
    before = written_times(store_path)
    first = prepare(make_config(videos, store_path))
    assert written_times(store_path) == before
    assert (first.stored, first.rejected) == (18, 0)
    assert first.frames == ClipStore.open(store_path).table["num_frames"].sum()
    assert json.loads((store_path / "store.json").read_text())["settings"]["size"] == 32


@pytest.mark.parametrize("changes", [{"size": 16}, {"sector": "mask"}, {"videos_per_shard": 5}])
def test_other_settings_are_refused(videos, store_path, make_config, changes):
    (name, value) = next(iter(changes.items()))
    with pytest.raises(RunFolderError, match=f"{name}: .* there, {value!r} asked for"):
        prepare(make_config(videos, store_path, **changes))


def test_a_folder_with_other_files_is_refused(videos, make_config, tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(RunFolderError, match="not empty and no clip store"):
        prepare(make_config(videos, tmp_path))


def test_labels_may_change_without_a_new_store(own_videos, make_config, tmp_path):
    config = make_config(own_videos, tmp_path / "store")
    prepare(config)
    before = written_times(config.out)
    table = pd.read_csv(own_videos / "manifest.csv")
    table.assign(severe_as=0, split="test").to_csv(own_videos / "manifest.csv", index=False)
    prepare(config)
    assert written_times(config.out) == before


def test_new_videos_are_added_and_lost_ones_refused(own_videos, make_config, write_video, tmp_path):
    config = make_config(own_videos, tmp_path / "store")
    table = pd.read_csv(own_videos / "manifest.csv")
    table.iloc[:10].to_csv(own_videos / "manifest.csv", index=False)
    assert prepare(config).stored == 10
    before = written_times(config.out)
    table.to_csv(own_videos / "manifest.csv", index=False)
    assert prepare(config).stored == 18
    after = written_times(config.out)
    kept = {name for name, when in before.items() if after[name] == when}
    assert {f"frames-0000{shard}.bin" for shard in range(3)} <= kept
    assert ClipStore.open(config.out).table["path"].tolist() == [
        str(own_videos / path) for path in table["path"]
    ]
    table.iloc[1:].to_csv(own_videos / "manifest.csv", index=False)
    with pytest.raises(RunFolderError, match=r"holds 1 videos that .* the first is .*/p0/0\.avi; choose"):
        prepare(config)


def test_another_order_of_the_manifest_changes_nothing(own_videos, make_config, tmp_path):
    config = make_config(own_videos, tmp_path / "store")
    prepare(config)
    before = written_times(config.out)
    names = ClipStore.open(config.out).paths.tolist()
    table = pd.read_csv(own_videos / "manifest.csv").sample(frac=1, random_state=0)
    table.to_csv(own_videos / "manifest.csv", index=False)
    prepare(config)
    after = written_times(config.out)
    assert {name for name in before if before[name] != after[name]} == {
        "index.csv",
        "rejected.csv",
        "store.json",
    }
    store = ClipStore.open(config.out)
    assert store.paths.tolist() == names
    assert store.verify() == []


def test_only_one_works_on_a_store(own_videos, make_config, tmp_path):
    config = make_config(own_videos, tmp_path / "store")
    prepare(config)
    (config.out / "store.json").unlink()
    with (config.out / "settings.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunFolderError, match="another echossl prepare is at work here"):
            prepare(config)
    assert prepare(config).stored == 18


def test_a_changed_file_is_decoded_anew(own_videos, make_config, write_video, tmp_path):
    config = make_config(own_videos, tmp_path / "store")
    prepare(config)
    write_video(own_videos / "p0" / "0.avi", num_frames=77, seed=99)
    prepare(config)
    store = ClipStore.open(config.out)
    assert len(store.frames(0)) == 77
    assert store.table["shard"].tolist() == [row // 4 for row in range(18)]
    assert store.verify() == []


def test_changed_ids_reach_the_index(own_videos, make_config, tmp_path):
    config = make_config(own_videos, tmp_path / "store")
    prepare(config)
    table = pd.read_csv(own_videos / "manifest.csv").replace({"patient_id": {"p0": "007"}})
    table.to_csv(own_videos / "manifest.csv", index=False)
    prepare(config)
    assert ClipStore.open(config.out).table["patient_id"].iloc[0] == "007"


def test_what_cannot_be_read_is_rejected_with_the_reason(own_videos, make_config, tmp_path):
    (own_videos / "p0" / "0.avi").write_bytes(b"no video at all" * 100)
    (own_videos / "p1" / "1.avi").write_bytes(b"")
    config = make_config(own_videos, tmp_path / "store")
    summary = prepare(config)
    assert (summary.stored, summary.rejected) == (16, 2)
    rejected = pd.read_csv(config.out / "rejected.csv")
    assert rejected["path"].tolist() == [str(own_videos / "p0/0.avi"), str(own_videos / "p1/1.avi")]
    assert "empty" in rejected["reason"][1]
    assert ClipStore.open(config.out).verify() == []
    assert prepare(config) == summary


def test_nothing_readable_at_all(own_videos, make_config, tmp_path):
    for path in own_videos.glob("*/*.avi"):
        path.write_bytes(b"no video at all" * 100)
    with pytest.raises(UserError, match=r"none of 18 videos can be read; the first: .*p0/0\.avi"):
        prepare(make_config(own_videos, tmp_path / "store"))
    assert not (tmp_path / "store" / "store.json").exists()


@pytest.fixture(scope="module")
def long_videos(write_video, tmp_path_factory) -> Path:
    """The first shard is done at once, the others take a while."""
    root = tmp_path_factory.mktemp("long")
    rows = ["path,patient_id"]
    for number in range(8):
        size, num_frames = (32, 20) if number < 2 else (256, 60)
        write_video(root / f"{number}.avi", num_frames=num_frames, height=size, width=size, seed=number)
        rows.append(f"{number}.avi,p{number}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def uninterrupted(long_videos, make_config, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("whole")
    for name in ("raw", "compressed"):
        prepare(make_config(long_videos, root / name, videos_per_shard=2, format=name))
    return {name: root / name for name in ("raw", "compressed")}


def interrupt(config, how: signal.Signals) -> list[int]:
    """Start ``prepare`` in a process of its own, stop it once a shard is done; the pids that were at work."""
    words = "import sys; from echossl.config.data import PrepareConfig; from echossl.data import prepare;"
    command = [sys.executable, "-c", f"{words} prepare(PrepareConfig.model_validate_json(sys.argv[1]))"]
    process = subprocess.Popen([*command, config.model_dump_json()], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (config.out / "frames-00000.csv").is_file():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.002)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(how)
    assert process.wait(30) != 0
    assert not (config.out / "store.json").exists()
    return [process.pid, *map(int, children)]


@pytest.mark.parametrize(("how", "name"), [(signal.SIGKILL, "compressed"), (signal.SIGINT, "raw")])
def test_stopped_midway_and_continued_it_equals_an_uninterrupted_one(
    long_videos, uninterrupted, make_config, tmp_path, how, name
):
    config = make_config(long_videos, tmp_path / "store", videos_per_shard=2, workers=2, format=name)
    pids = interrupt(config, how)
    until = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, "workers outlive the main process"
        time.sleep(0.01)
    done = written_times(config.out)["frames-00000.csv"]
    if how == signal.SIGINT:
        assert [path.name for path in config.out.glob(".*")] == [".lock"]
    prepare(config.model_copy(update={"workers": 1}))
    assert content_of(config.out) == content_of(uninterrupted[name])
    assert written_times(config.out)["frames-00000.csv"] == done


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
