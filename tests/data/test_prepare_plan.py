"""Whatever is done already, the videos that are left go into the shards that they were planned for."""

import shutil

import numpy as np
import pandas as pd
import pytest

from echossl.config.data import PrepareConfig
from echossl.data import ClipStore, prepare, read_manifest
from echossl.data.parts import Part
from echossl.data.plan import Plan, Terms, make_plan, read_plan, remove_leftovers, write_plan
from echossl.data.prepare import PrepareSummary, _finish
from echossl.data.store_tables import shard_numbers, table_path


@pytest.fixture(scope="module")
def finished(videos, make_config, tmp_path_factory) -> PrepareConfig:
    """A store of 18 videos in 9 shards."""
    config = make_config(videos, tmp_path_factory.mktemp("plan") / "store", videos_per_shard=2)
    prepare(config)
    return config


@pytest.fixture
def own(finished, tmp_path) -> PrepareConfig:
    shutil.copytree(finished.out, tmp_path / "store")
    return finished.model_copy(update={"out": tmp_path / "store"})


def videos_by_shard(plan: Plan) -> dict[int, list[str]]:
    return {job.number: [video.path for video in job.videos] for job in plan.jobs}


@pytest.mark.parametrize("seed", range(8))
def test_shards_that_are_done_do_not_move_the_others(own, seed):
    table = read_manifest(own.manifest)
    expected = {number: table["path"].tolist()[2 * number : 2 * number + 2] for number in range(9)}
    generator = np.random.default_rng(seed)
    gone = set(generator.choice(9, size=1 + seed, replace=False).tolist())
    for number in gone:
        table_path(own.out, number).unlink()
    plan = make_plan(table, own)
    assert set(plan.kept) == set(range(9)) - gone
    assert videos_by_shard(plan) == {number: expected[number] for number in sorted(gone)}
    assert plan.numbers == list(range(9))


def test_a_file_of_another_length_is_made_anew(own):
    path = own.out / "frames-00004.bin"
    path.write_bytes(path.read_bytes()[:-1])
    (own.out / "frames-00006.seconds.bin").unlink()
    plan = make_plan(read_manifest(own.manifest), own)
    assert [job.number for job in plan.jobs] == [4, 6]


def test_what_is_not_kept_goes_with_all_its_files(own):
    (own.out / ".frames-00001.seconds.abcd.bin").touch()
    (own.out / ".index.abcd.csv").touch()
    remove_leftovers(own.out, [0, 1, 2])
    assert shard_numbers(own.out) == [0, 1, 2]
    assert {path.name[:12] for path in own.out.glob("frames-*")} == {
        f"frames-0000{number}" for number in range(3)
    }
    assert [path.name for path in own.out.glob(".*")] == [".lock"]


def test_a_plan_survives_its_file(own):
    for number in (2, 5):
        table_path(own.out, number).unlink()
    plan = make_plan(read_manifest(own.manifest), own)
    assert read_plan(own) is None
    write_plan(plan, own.out, Terms("abc", 4))
    assert read_plan(own) == (plan, Terms("abc", 4))


def test_two_that_end_together_finish_the_store_once(own):
    """Both find everything done; the second one leaves what the first one wrote."""
    table = read_manifest(own.manifest)
    (own.out / "store.json").unlink()
    plan = make_plan(table, own)
    terms = Terms("abc", 2)
    write_plan(plan, own.out, terms)
    first = _finish(own, table, plan, terms)
    times = {path.name: path.stat().st_mtime_ns for path in own.out.iterdir()}
    assert _finish(own, table, plan, terms) == first
    assert {path.name: path.stat().st_mtime_ns for path in own.out.iterdir()} == times
    assert not (own.out / "plan.json").exists()


def test_shards_of_other_manifests_do_not_count_as_missing(own):
    """Half of the videos of a store in a new order: nothing is decoded again that is there."""
    table = read_manifest(own.manifest)
    some = table.iloc[::-1].iloc[:10]
    plan = make_plan(some, own)
    assert set(plan.kept) == {4, 5, 6, 7, 8}
    assert plan.jobs == ()


@pytest.mark.parametrize("num_parts", [1, 2, 5, 9, 12])
def test_parts_share_the_shards_without_overlap(num_parts):
    own = [
        [shard for shard in range(9) if Part(index, num_parts).has(shard)]
        for index in range(1, num_parts + 1)
    ]
    assert sorted(shard for shards in own for shard in shards) == list(range(9))
    sizes = [len(shards) for shards in own]
    assert max(sizes) - min(sizes) <= 1


def test_summary_in_words():
    assert PrepareSummary(3, 0, 120, 7200.0).as_text() == "3 videos stored, 0 rejected"
    text = PrepareSummary(3, 2, 120, 7200.0, missing_shards=4).as_text()
    assert "2 rejected (see rejected.csv; " in text
    assert "not finished: 4 shards of other parts are missing" in text


def test_the_store_reads_the_same_after_half_of_it_was_made_again(own, finished):
    for number in (0, 3, 8):
        for path in own.out.glob(f"frames-{number:05d}.*"):
            path.unlink()
    prepare(own)
    before, after = ClipStore.open(finished.out), ClipStore.open(own.out)
    pd.testing.assert_frame_equal(before.table, after.table)
    for row in range(18):
        np.testing.assert_array_equal(before.frames(row), after.frames(row))
