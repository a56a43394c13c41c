"""Checklists say what the records of a run say, and owe the rest."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from echossl.config.evaluation import EvaluationConfig
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
    assert "\n## STARD-AI (numbered as STARD 2015)\n" in text
    assert "not those of its own list; what it adds has no number here but AI" in text
    assert "| 17 | Ethical approval and consent |  | owed |" in text
    assert all(row.count("|") == 5 for row in text.splitlines() if row.startswith("|"))


def test_a_folder_that_is_no_run(tmp_path) -> None:
    with pytest.raises(UserError, match=r"no run.json; a checklist is filled from the folder of a run"):
        checklist(tmp_path)


def test_only_what_the_run_holds_is_claimed(run, tmp_path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "saliency").mkdir()
    found = {(item.guideline, item.number): item.answer for item in checklist(folder)}
    assert found["CLAIM", "31"] == "maps in saliency/; no checks of them were made"
    (folder / "saliency" / "checks.csv").write_text("method\n")
    record = json.loads((folder / "run.json").read_text())
    record["config"] |= {"clip_policy": "uniform", "clips_per_video": 4}
    (folder / "run.json").write_text(json.dumps(record))
    found = {(item.guideline, item.number): item.answer for item in checklist(folder)}
    assert found["CLAIM", "31"] == "maps in saliency/; checks of them in saliency/checks.csv"
    assert found["TRIPOD+AI", "12g"].endswith("videos of a study pooled to one score")
    record["config"]["labels"]["unit"] = "video"
    (folder / "run.json").write_text(json.dumps(record))
    found = {(item.guideline, item.number): item.answer for item in checklist(folder)}
    assert found["TRIPOD+AI", "12g"] == "4 clips per video (uniform); each video scored for itself"


def test_every_question_keeps_its_points_with_their_cross_table(run, tmp_path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    test = pd.read_csv(folder / "predictions.csv")
    validation = test.assign(split="val", patient_id=test["patient_id"] + 100)
    table = pd.concat([validation, test])
    table["big"], table["big_score"] = 1 - table["ill"], -table["ill_score"]
    table.to_csv(folder / "predictions.csv", index=False)
    config = EvaluationConfig(resamples=100, operating_points=("youden",))
    found = {(item.guideline, item.number): item.answer for item in checklist(folder, config)}
    points = found["STARD-AI", "23"]
    threshold = float(re.search(r"ill \(test\): thresholds youden: ([-.\d]+)", points)[1])
    called = test["ill_score"].round(4) >= threshold
    assert f"{int((called & (test['ill'] == 1)).sum())} true positives" in points
    assert "big (test): thresholds youden: " in points
    assert "assessment.json" not in points
    assert "fixed on split val" in points
