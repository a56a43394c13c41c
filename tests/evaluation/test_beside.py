"""``validation.csv`` beside ``predictions.csv`` fixes thresholds and recalibration, if it holds enough."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from echossl.cli import app
from echossl.config.evaluation import LEAST_PER_CLASS, EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.spoken import as_markdown, as_text
from echossl.evaluation.study import read_predictions
from echossl.evaluation.thresholds import choose

CONFIG = EvaluationConfig(resamples=100)


def _table(count: int, split: str, seed: int) -> pd.DataFrame:
    """Log odds of ``count`` patients of each class."""
    labels = np.arange(2 * count) % 2
    names = [f"{split}{number}" for number in range(2 * count)]
    keys = pd.DataFrame({"patient_id": names, "study_id": names, "split": split, "as": labels})
    return keys.assign(as_score=2 * labels - 1 + np.random.default_rng(seed).normal(size=labels.size))


def _run(folder: Path, count: int, **changes: object) -> Path:
    """What a run leaves behind that holds ``count`` validation patients of each class."""
    _table(40, "test", 1).to_csv(folder / "predictions.csv", index=False)
    _table(count, "val", 2).assign(**changes).to_csv(folder / "validation.csv", index=False)
    return folder / "predictions.csv"


def test_enough_validation_studies_fix_every_threshold_as_if_named(tmp_path) -> None:
    path = _run(tmp_path, LEAST_PER_CLASS)
    (found,) = evaluate_file(path, CONFIG)
    (named,) = evaluate_file(path, CONFIG, validation=path.with_name("validation.csv"))
    assert found.points == named.points
    own = read_predictions(path.with_name("validation.csv"))
    assert found.points[0].threshold == choose(own, "sensitivity", 0.9).threshold
    assert found.figures == named.figures
    (note,) = found.notes
    assert "validation.csv: 10 positive and 10 negative studies, scored before they were trained on" in note
    assert note in as_text(found)
    assert note in as_markdown([found])
    assert json.dumps(found.as_dict()).count(note) == 1
    assert named.notes == ()


def test_recalibration_is_fitted_on_them(tmp_path) -> None:
    path = _run(tmp_path, LEAST_PER_CLASS)
    config = CONFIG.model_copy(update={"recalibrate": "platt"})
    (found,) = evaluate_file(path, config)
    (named,) = evaluate_file(path, config, validation=path.with_name("validation.csv"))
    assert found.calibration == named.calibration
    assert found.calibration.probabilities == "platt on split 'val'"


def test_too_few_are_said_with_the_number_and_serve_only_if_named(tmp_path) -> None:
    path = _run(tmp_path, LEAST_PER_CLASS - 1)
    (found,) = evaluate_file(path, CONFIG)
    assert found.points == ()
    assert "holds 9 positive and 9 negative studies of the label budget, expected 10 of each" in as_text(
        found
    )
    with pytest.raises(UserError, match=r"recalibrate=platt .* holds 9 positive and 9 negative .*--validat"):
        evaluate_file(path, CONFIG.model_copy(update={"recalibrate": "platt"}))
    (named,) = evaluate_file(path, CONFIG, validation=path.with_name("validation.csv"))
    assert len(named.points) == 3


def test_what_cannot_serve_is_said_and_stops_nothing(tmp_path) -> None:
    path = _run(tmp_path, LEAST_PER_CLASS, as_score="high")
    (found,) = evaluate_file(path, CONFIG)
    assert "cannot serve" in found.missing["points"]
    assert "as_score is 'high'" in found.missing["points"]
    _table(40, "test", 1).assign(split="val").to_csv(path.with_name("validation.csv"), index=False)
    (found,) = evaluate_file(path, CONFIG)
    assert "is of patients that are judged here too" in found.missing["points"]


def test_a_validation_split_of_the_table_itself_comes_first(tmp_path) -> None:
    path = _run(tmp_path, LEAST_PER_CLASS)
    own = _table(15, "val", 3).assign(patient_id=lambda table: "own" + table["patient_id"])
    pd.concat([_table(40, "test", 1), own]).to_csv(path, index=False)
    of_val, of_test = sorted(evaluate_file(path, CONFIG), key=lambda one: one.split == "test")
    assert of_test.points[0].threshold == choose(read_predictions(path).only("val"), "sensitivity").threshold
    assert of_test.notes == of_val.notes == ()


def test_tables_of_other_names_are_left_alone(tmp_path) -> None:
    path = _run(tmp_path, LEAST_PER_CLASS).rename(tmp_path / "theirs.csv")
    (found,) = evaluate_file(path, CONFIG)
    assert "no split 'val' to fix thresholds on" in found.missing["points"]


def test_command_says_where_thresholds_come_from(tmp_path) -> None:
    path = _run(tmp_path, LEAST_PER_CLASS)
    found = CliRunner().invoke(app, ["evaluate", str(path), "resamples=100"])
    assert found.exit_code == 0
    assert f"thresholds and any recalibration from {tmp_path / 'validation.csv'}" in found.output
    assert "from split val" in found.output
