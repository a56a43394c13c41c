"""Checklists say what the records of a run say, and owe the rest."""

import json

import numpy as np
import pandas as pd
import pytest

from echossl.errors import UserError
from echossl.report.checklist_items import GUIDELINES
from echossl.report.checklists import checklist, write_checklist


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = {
        "data": {"manifest": "m.csv", "store": "store"},
        "encoder": {"name": "r3d_18"},
        "start": None,
        "labels": {"fraction": 0.01, "draw": 2, "validation_share": 0.25},
        "recipe": {"name": "full", "steps": 40, "search": {"rates": []}},
        "train_split": "train",
        "test_split": "test",
        "seed": 7,
    }
    host = {"name": "secret-host", "system": "Linux", "python": "3.11"}
    record = {"config": config, "versions": {"torch": "2.12"}, "git": "abc", "host": host}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "result.json").write_text(
        json.dumps({"column": "ill", "task": "binary", "num_test_patients": 40, "chosen_steps": 20})
    )
    labels = np.arange(40) % 2
    table = pd.DataFrame({"patient_id": np.arange(40), "study_id": "a", "split": "test", "ill": labels})
    table["ill_score"] = labels + np.random.default_rng(0).normal(size=40)
    table.to_csv(folder / "predictions.csv", index=False)
    return folder


def test_records_fill_what_they_can(run) -> None:
    items = {(item.guideline, item.number): item for item in checklist(run)}
    assert items["TRIPOD+AI", "12c"].answer == "recipe name full, steps 40; seed 7"
    assert items["CLAIM", "24"].answer == "random weights"
    assert items["CLAIM", "26"].state == "filled"
    assert items["CLAIM", "20"].answer.startswith("patient-disjoint splits train and test")
    assert "AUROC 0." in items["TRIPOD+AI", "23a"].answer
    assert "2000 resamples of patients" in items["STARD-AI", "14"].answer
    assert items["STARD-AI", "18"].state == "in part"
    assert items["STARD-AI", "18"].answer == "40 test patients"
    assert items["TRIPOD+AI", "17"].state == "owed"
    assert items["STARD-AI", "23"].state == "owed"  # no validation split: no operating point
    assert not any("secret-host" in item.answer for item in items.values())


def test_every_guideline_is_whole(run) -> None:
    items = checklist(run)
    numbers = {
        name: {item.number.rstrip("abcdefg") for item in items if item.guideline == name} - {"AI"}
        for name in GUIDELINES
    }
    assert {name: len(found) for name, found in numbers.items()} == {
        "TRIPOD+AI": 27,
        "STARD-AI": 30,
        "CLAIM": 44,
    }
    assert {item.state for item in items} == {"filled", "in part", "owed"}


def test_it_is_written(run, tmp_path) -> None:
    text = write_checklist(run, tmp_path / "checklist.md").read_text()
    assert text.count("\n## ") == 3
    assert "| 17 | Ethical approval and consent |  | owed |" in text
    assert all(row.count("|") == 5 for row in text.splitlines() if row.startswith("|"))


def test_a_folder_that_is_no_run(tmp_path) -> None:
    with pytest.raises(UserError, match=r"no run.json; a checklist is filled from the folder of a run"):
        checklist(tmp_path)
