"""Studies with reports as the items of a batch: slots, absent ones, unreadable ones."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from echossl.config.video import ClipConfig
from echossl.data import ClipStore, read_manifest
from echossl.data.clips import TrainingClips, step_loader
from echossl.data.reports import reports_of_studies, with_reports
from echossl.data.requests import ABSENT
from echossl.data.study_sampler import StudySampler, slot_places
from echossl.errors import ManifestError, UserError

CLIP = ClipConfig(clip_seconds=0.5, num_frames=6)
SLOTS = ("plax", "a4c")


def studies_table(num_patients: int = 12) -> pd.DataFrame:
    """Patients with two studies; the second of every third lacks a4c; other views stand between."""
    rows = []
    for patient in range(num_patients):
        for study in range(2):
            views = ["PLAX", "plax", "psax"] + ([] if study and patient % 3 == 0 else ["A4C "])
            rows += [(f"p{patient:02d}", f"p{patient:02d}-{study}", view) for view in views]
    table = pd.DataFrame(rows, columns=["patient_id", "study_id", "view"])
    table["report"] = "Report of " + table["study_id"]
    return table.assign(row=np.arange(len(table)) + 100, duration_seconds=3.0)


def sampler_of(table: pd.DataFrame, **changes) -> StudySampler:
    settings = {"slots": SLOTS, "slot_column": "view", "batch_size": 4, "clip": CLIP, "seed": 0}
    return StudySampler(table, **(settings | changes))


def test_an_item_is_one_study_with_a_video_of_every_slot_it_has() -> None:
    table = studies_table()
    by_row = table.set_index("row")
    sampler, seen, lacking = sampler_of(table), set(), 0
    for step in range(45):
        draw = sampler.draw(step)
        assert len(set(draw.patients.tolist())) == 4
        for item, patient in zip(draw.items, draw.patients, strict=True):
            there = [request for request in item if request != ABSENT]
            videos = by_row.loc[[request.row for request in there]]
            assert set(videos["patient_id"]) == {sampler.patients[patient]}
            (study,) = set(videos["study_id"])
            slots = [slot for slot, request in zip(SLOTS, item, strict=True) if request != ABSENT]
            assert videos["view"].str.strip().str.lower().tolist() == slots
            assert {draw.reports[request.row] for request in there} == {f"Report of {study}"}
            has_a4c = (table.loc[table["study_id"] == study, "view"] == "A4C ").any()
            assert (ABSENT in item) == (not has_a4c)
            lacking += ABSENT in item
            seen |= set(videos.index)
    assert lacking > 5
    assert seen == set(table.loc[table["view"] != "psax", "row"])


def test_without_slots_an_item_is_any_video_of_a_study() -> None:
    table = studies_table().drop(columns="view")
    sampler = sampler_of(table, slots=())
    items = [item for step in range(400) for item in sampler.draw(step).items]
    assert {len(item) for item in items} == {1}
    assert {item[0].row for item in items} == set(table["row"])


def test_studies_are_drawn_by_seed_and_step_alone_and_every_patient_in_every_epoch() -> None:
    table = studies_table()
    sampler = sampler_of(table)
    forward = [sampler.draw(step).items for step in range(6)]
    assert [sampler_of(table).draw(step).items for step in reversed(range(6))] == forward[::-1]
    assert sampler_of(table.sample(frac=1, random_state=1)).draw(4).items == forward[4]
    assert sampler_of(table, seed=1).draw(4).items != forward[4]
    for epoch in range(3):
        drawn = np.concatenate([sampler.draw(epoch * 3 + step).patients for step in range(3)])
        np.testing.assert_array_equal(np.sort(drawn), np.arange(12))


def test_studies_without_any_slot_are_left_out_and_counted() -> None:
    table = studies_table()
    table.loc[table["study_id"].isin(["p00-0", "p00-1", "p01-1"]), "view"] = "psax"
    sampler = sampler_of(table)
    assert sampler.num_left_out == 3
    assert sampler.patients == [f"p{patient:02d}" for patient in range(1, 12)]
    rows = {request.row for step in range(80) for item in sampler.draw(step).items for request in item}
    assert rows - {ABSENT.row} <= set(table.loc[table["study_id"] != "p01-1", "row"])


def test_slots_that_cannot_be_filled_are_refused() -> None:
    with pytest.raises(UserError, match=r"no video whose view is 'subcostal', found a4c, plax, psax"):
        sampler_of(studies_table(), slots=("plax", "subcostal"))
    with pytest.raises(UserError, match=r"no column 'side', found patient_id"):
        sampler_of(studies_table(), slot_column="side")
    with pytest.raises(UserError, match=r"a batch of 13 patients with reports cannot be drawn from 12"):
        sampler_of(studies_table(), batch_size=13)
    assert slot_places(studies_table(1), SLOTS, "view").tolist() == [0, 0, -1, 1, 0, 0, -1]


def test_a_report_stands_in_one_row_or_in_all_and_studies_without_are_left_out(caplog) -> None:
    table = studies_table(3)
    table.loc[table.index[[0, 2, 3]], "report"] = ["", "  ", np.nan]
    table.loc[table["study_id"] == "p02-1", "report"] = ""
    found = with_reports(table, column="report", name="m.csv")
    assert set(found["study_id"]) == set(table["study_id"]) - {"p02-1"}
    assert (found["report"] == "Report of " + found["study_id"]).all()
    assert found.index.tolist() == [row for row in table.index if table["study_id"][row] != "p02-1"]
    assert "1 of 6 studies have no report and are left out" in caplog.text
    assert reports_of_studies(found) == [f"Report of p0{n // 2}-{n % 2}" for n in range(5)]


def test_two_texts_in_one_study_name_its_rows_and_no_patient() -> None:
    table = studies_table(3).rename(columns={"report": "befund"})
    table.loc[table.index[1], "befund"] = "Other"
    with pytest.raises(ManifestError) as caught:
        with_reports(table, column="befund", name="m.csv")
    assert str(caught.value).startswith("m.csv: rows 2, 3, 4, 5: one study with 2 different reports")
    assert "p0" not in str(caught.value)
    with pytest.raises(UserError, match=r"no column 'text', found patient_id, .*set report_column"):
        with_reports(table, column="text", name="m.csv")
    with pytest.raises(UserError, match="no report in 23 rows"):
        with_reports(table.assign(befund=np.nan), column="befund", name="m.csv")


def stored_studies(store: ClipStore, videos: Path) -> TrainingClips:
    """The store's patients as studies: a first video is plax, a second a4c; a third shows neither."""
    manifest = read_manifest(videos / "manifest.csv")
    views = {"0.avi": "plax", "1.avi": "a4c", "2.avi": "psax"}
    manifest = manifest.assign(
        view=[views[Path(path).name] for path in manifest["path"]], report="Text " + manifest["study_id"]
    )
    table = store.rows_for(with_reports(manifest, column="report", name="m.csv"))
    return TrainingClips(store, sampler_of(table), steps=9)


def test_batches_carry_reports_and_what_is_present(store_path: Path, videos: Path) -> None:
    store = ClipStore.open(store_path)
    dataset = stored_studies(store, videos)
    absent = 0
    for batch in step_loader(dataset):
        assert batch.present.tolist() == (batch.videos >= 0).tolist()
        assert (batch.videos[~batch.present] == -1).all()
        assert (batch.clips[~batch.present] == 0).all()
        assert batch.clips[batch.present].flatten(1).amax(1).min() > 200
        names = [dataset.sampler.patients[code] for code in batch.patients.tolist()]
        assert batch.reports == tuple(f"Text s{name[1:]}" for name in names)
        absent += int((~batch.present).sum())
        assert batch.to("meta").present.device.type == "meta"
        assert batch.to("cpu").reports == batch.reports
    assert absent > 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs a GPU")
def test_present_is_pinned(store_path: Path, videos: Path) -> None:
    assert stored_studies(ClipStore.open(store_path), videos)[0].pin_memory().present.is_pinned()


def test_unreadable_studies_are_replaced_with_their_report(
    store_path: Path, videos: Path, tmp_path: Path
) -> None:
    shutil.copytree(store_path, tmp_path / "store")
    (tmp_path / "store" / "frames-00001.bin").unlink()
    store = ClipStore.open(tmp_path / "store")
    dataset, replaced = stored_studies(store, videos), 0
    halves = [TrainingClips(store, dataset.sampler, steps=9, rank=rank, world_size=2) for rank in range(2)]
    lost = set(store.table.loc[store.table["shard"] == 1, "path"])
    owner = dict(enumerate(store.table["study_id"]))
    for step in range(9):
        batch = dataset[step]
        replaced += len(batch.bad)
        assert {path for path, _ in batch.bad} <= lost
        rows = [[row for row in item if row >= 0] for item in batch.videos.tolist()]
        assert not {store.paths[row] for item in rows for row in item} & lost
        assert batch.reports == tuple(f"Text {owner[item[0]]}" for item in rows)
        parts = [half[step] for half in halves]
        assert batch.reports == parts[0].reports + parts[1].reports
        assert torch.equal(batch.clips, torch.cat([part.clips for part in parts]))
    assert replaced
