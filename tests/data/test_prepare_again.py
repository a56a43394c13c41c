"""Videos that were rejected are tried again by the next run; what is stored already stays as it is."""

import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from echossl.config.data import PrepareConfig
from echossl.data import ClipStore, prepare, read_manifest
from echossl.data.claim import claim_folder
from echossl.data.origin import source_video
from echossl.data.parts import short_lock
from echossl.data.plan import make_plan
from echossl.data.shards import ShardJob, write_shard
from echossl.data.store_tables import read_table, table_path
from echossl.errors import UserError
from echossl.video.reader import open_video

REFUSED = ("p0/0.avi", "p2/1.avi")


@pytest.fixture
def own(videos, make_config, tmp_path) -> PrepareConfig:
    """18 videos in shards 0 to 4, of which two were rejected as if they had taken too long."""
    root = Path(shutil.copytree(videos, tmp_path / "videos"))
    config = make_config(root, tmp_path / "store")
    claim_folder(config)
    for job in make_plan(read_manifest(config.manifest), config).jobs:
        paths = {str(root / name) for name in REFUSED} & {video.path for video in job.videos}
        write_shard(replace(job, refused=tuple((path, "took too long") for path in paths)))
    return config


def written(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("frames-*")}


def require_all(config: PrepareConfig) -> None:
    """Every row of the store is the video that it says it is."""
    store = ClipStore.open(config.out)
    for row, path in enumerate(store.paths):
        with open_video(path) as reader:
            np.testing.assert_array_equal(store.frames(row), reader.read(range(reader.num_frames))[..., 0])
    assert store.verify() == []


@pytest.mark.parametrize("name", ["raw", "compressed", "files"])
def test_what_was_rejected_goes_into_a_shard_of_its_own(videos, make_config, tmp_path, name):
    root = Path(shutil.copytree(videos, tmp_path / "videos"))
    contents = {root / path: (root / path).read_bytes() for path in REFUSED}
    states = {path: path.stat().st_mtime_ns for path in contents}
    for path in contents:
        path.write_bytes(b"no video at all" * 100)
    config = make_config(root, tmp_path / "store", format=name)
    first = prepare(config)
    assert (first.stored, first.rejected) == (16, 2)
    before = written(config.out)
    for path, content in contents.items():
        path.write_bytes(content)
        assert path.stat().st_mtime_ns != states[path]
    second = prepare(config)
    assert (second.stored, second.rejected) == (18, 0)
    assert {key: value for key, value in written(config.out).items() if key in before} == before
    assert read_table(table_path(config.out, 5))["path"].tolist() == [str(path) for path in contents]
    assert read_table(config.out / "rejected.csv").empty
    require_all(config)
    assert prepare(config) == second


def test_the_same_files_are_tried_again_as_something_else_may_have_changed(own):
    before = written(own.out)
    assert (prepare(own).stored, prepare(own).rejected) == (18, 0)
    assert {key: value for key, value in written(own.out).items() if key in before} == before
    require_all(own)


def test_what_is_rejected_again_costs_no_more_shards(own, tmp_path):
    root = own.manifest.parent
    for name in REFUSED:
        (root / name).write_bytes(b"no video at all" * 100)
    summaries = [prepare(own) for _ in range(3)]
    assert {(summary.stored, summary.rejected) for summary in summaries} == {(16, 2)}
    assert len(list(own.out.glob("frames-*.csv"))) == 6
    rejected = read_table(own.out / "rejected.csv")
    assert rejected["path"].tolist() == [str(root / name) for name in REFUSED]
    # the latest word on it, not the first
    assert not rejected["reason"].str.contains("took too long").any()
    assert "run without shard tries them again" in summaries[0].as_text()


def test_more_time_is_enough(slow_videos, make_config, tmp_path):
    config = make_config(slow_videos, tmp_path / "store")
    with pytest.raises(UserError, match=r"none of 1 videos .* took longer than 0.05 s"):
        prepare(config.model_copy(update={"seconds_per_video": 0.05}))
    assert not list(config.out.glob("frames-*"))
    assert prepare(config).stored == 1


def test_parts_take_what_was_rejected_as_done(own):
    """The third of three parts must not ask the first one to try again what it has just rejected."""
    parts = [own.model_copy(update={"shard": f"{index}/3"}) for index in (1, 2, 3)]
    summaries = [prepare(part) for part in parts]
    assert [(summary.rejected, summary.missing_shards) for summary in summaries] == [(2, 0)] * 3
    assert prepare(own).stored == 18
    assert [prepare(part).stored for part in parts] == [18] * 3


def test_parts_that_can_read_nothing_begin_anew(own, tmp_path):
    parts = [own.model_copy(update={"shard": f"{index}/2", "out": tmp_path / "parts"}) for index in (1, 2)]
    contents = {path: path.read_bytes() for path in own.manifest.parent.glob("p*/*.avi")}
    for path in contents:
        path.write_bytes(b"no video at all" * 100)
    assert prepare(parts[0]).missing_shards == 2
    with pytest.raises(UserError, match="none of 18 videos"):
        prepare(parts[1])
    for path, content in contents.items():
        path.write_bytes(content)
    assert [prepare(part).missing_shards for part in parts] == [2, 0]
    assert len(ClipStore.open(tmp_path / "parts")) == 18


def test_new_videos_come_before_what_is_tried_again(own, write_video):
    root = own.manifest.parent
    for number in range(5):
        write_video(root / "new" / f"{number}.avi", num_frames=20, seed=90 + number)
    with own.manifest.open("a") as manifest:
        manifest.writelines(f"new/{number}.avi,n,n,train,0\n" for number in range(5))
    plan = make_plan(read_manifest(own.manifest), own)
    names = {job.number: [Path(video.path).parent.name for video in job.videos] for job in plan.jobs}
    assert names == {5: ["new"] * 4, 6: ["new"], 7: ["p0", "p2"]}
    assert plan.kept == (0, 1, 2, 3, 4)
    assert prepare(own).stored == 23
    require_all(own)


@pytest.fixture
def volume(tmp_path, make_config) -> ShardJob:
    """A shard of one NIfTI file."""
    frames = np.random.default_rng(0).integers(0, 256, (32, 32, 12)).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(frames, np.eye(4)), tmp_path / "a.nii")
    (tmp_path / "manifest.csv").write_text("path,patient_id,fps\na.nii,p0,20\n")
    config = make_config(tmp_path, tmp_path / "store")
    claim_folder(config)
    return ShardJob(config.out, 0, (source_video(str(tmp_path / "a.nii"), 20.0),), config)


@pytest.mark.parametrize("name", ["raw", "files"])
def test_a_missing_package_costs_the_videos_that_need_it(volume, monkeypatch, name):
    job = replace(volume, config=volume.config.model_copy(update={"format": name}))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "nibabel.nifti1", None)
        assert write_shard(job) == 1
    reason = read_table(table_path(job.folder, 0))["reason"][0]
    assert reason.startswith("NIfTI files need nibabel; ")
    assert "install" in reason
    assert write_shard(job) == 0


def test_after_the_package_is_installed_the_same_command_reads_it(volume, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "nibabel.nifti1", None)
        write_shard(volume)
    assert prepare(volume.config).stored == 1


def test_a_finished_store_is_looked_at_between_the_steps_of_others(own):
    """Planning reads the tables of shards, which another run may be taking away."""
    expected = prepare(own)
    found = []
    look = threading.Thread(target=lambda: found.append(prepare(own)))
    with short_lock(own.out):
        look.start()
        look.join(0.3)
        assert found == []
    look.join(20)
    assert found == [expected]
