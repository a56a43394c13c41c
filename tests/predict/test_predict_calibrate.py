"""What a score means is learned from labelled studies that were not trained on, or not at all."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from echossl.config.evaluation import VALIDATION_NAME
from echossl.config.predict import PredictConfig
from echossl.errors import UserError
from echossl.evaluation.study import read_predictions
from echossl.evaluation.thresholds import choose
from echossl.files import write_json
from echossl.predict.calibrate import calibrate
from echossl.predict.model import load_model
from echossl.predict.results import VIDEO_COLUMNS, Findings, as_dict, predictions_table
from echossl.predict.scoring import Scored
from echossl.predict.studies import Named


def settings(trained, **changes) -> PredictConfig:
    hardware = {"device": "cpu", "precision": "fp32"}
    base = {"model": trained.run, "studies": (trained.manifest,), "hardware": hardware}
    return PredictConfig(**(base | changes))


@pytest.fixture(scope="module")
def model(trained):
    return load_model(settings(trained))


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Predictions for labelled studies of other patients: the score is right more often than not."""
    generator = np.random.default_rng(2)
    labels = np.arange(60) % 2
    scores = 0.05 * (labels - 0.5) + generator.normal(0, 0.05, 60)
    path = tmp_path_factory.mktemp("validation") / "labelled.csv"
    columns = {"patient_id": [f"v{number}" for number in range(60)], "split": "extra", "severe_as": labels}
    frame = pd.DataFrame(columns | {"severe_as_score": scores})
    frame.assign(study_id=frame["patient_id"]).to_csv(path, index=False)
    return path


def test_too_few_validation_studies_leave_a_score_as_it_is(trained, model) -> None:
    found = calibrate(model, settings(trained))
    assert found.curve is None
    assert found.point is None
    own = read_predictions(trained.run / VALIDATION_NAME)
    positive = int(own.labels.sum())
    counted = f"{positive} positive and {own.labels.size - positive} negative validation studies"
    assert found.note.startswith(f"Uncalibrated, no operating point: {counted}, expected 10 of each")


def test_trap_27_the_scores_that_the_run_kept_of_its_held_out_patients_set_the_point(trained, model) -> None:
    found = calibrate(model, settings(trained, least_per_class=2, calibration="none"))
    own = read_predictions(trained.run / VALIDATION_NAME)
    budget = pd.read_csv(trained.run / "budget.csv", dtype={"patient_id": str}).set_index("patient_id")
    assert set(own.patients) == set(budget.index[budget["role"] == "validation"])
    assert found.point == choose(own, "sensitivity", 0.9)
    assert "scored by the model before it was trained on them too" in found.note


def test_a_run_without_its_table_asks_for_one(trained, tmp_path) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    (tmp_path / "run" / VALIDATION_NAME).unlink()
    own = settings(trained, model=tmp_path / "run")
    found = calibrate(load_model(own), own)
    assert found.point is None
    assert "its run holds no validation.csv: an earlier version made it" in found.note


def test_a_table_calibrates_and_sets_the_operating_point(trained, model, table) -> None:
    found = calibrate(model, settings(trained, validation=table))
    labelled = read_predictions(table)
    assert found.curve is not None
    assert found.curve.name == "platt"
    assert found.point == choose(labelled, "sensitivity", 0.9)
    called = labelled.scores >= found.point.threshold
    assert called[labelled.labels == 1].mean() >= 0.9
    assert "on 60 validation studies, 30 of them positive." in found.note
    studies = pd.DataFrame({"patient_id": ["a", "b"], "study_id": ["a", "b"], "severe_as_score": [-1.0, 1.0]})
    named = Named(pd.DataFrame(), studies, (), ())
    written = predictions_table(Findings(model, named, (), Scored(studies, pd.DataFrame()), found, ()))
    expected = expit(found.curve.slope * np.array([-1.0, 1.0]) + found.curve.intercept)
    assert written["severe_as_probability"].to_numpy() == pytest.approx(expected)
    assert written["severe_as_called"].tolist() == [0, 1]


def test_calibration_can_be_left_out(trained, model, table) -> None:
    found = calibrate(model, settings(trained, validation=table, calibration="none"))
    assert found.curve is None
    assert found.point is not None
    assert found.note.startswith("Uncalibrated, as asked for")


def test_a_score_that_falls_with_the_label_is_not_turned_round(trained, model, table, tmp_path) -> None:
    frame = pd.read_csv(table)
    frame.assign(severe_as_score=-frame["severe_as_score"]).to_csv(tmp_path / "wrong.csv", index=False)
    found = calibrate(model, settings(trained, validation=tmp_path / "wrong.csv"))
    assert found.curve is None
    assert "does not rise with its score" in found.note


def test_patients_that_were_trained_on_cannot_calibrate(trained, model, table, tmp_path) -> None:
    frame = pd.read_csv(table)
    known = pd.read_csv(trained.run / "budget.csv", dtype=str)["patient_id"].iloc[0]
    frame.loc[0, "patient_id"] = known
    frame.to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(UserError, match="1 of its patients are among those whose labels the model"):
        calibrate(model, settings(trained, validation=tmp_path / "own.csv"))


def test_trap_30_scores_of_videos_cannot_calibrate_those_of_studies(trained, model, table, tmp_path) -> None:
    frame = pd.read_csv(table)
    frame.assign(path=[f"{number}.avi" for number in range(60)]).to_csv(tmp_path / "videos.csv", index=False)
    with pytest.raises(
        UserError, match=r"has a row for each video \(column path\), expected one for each st"
    ):
        calibrate(model, settings(trained, validation=tmp_path / "videos.csv"))


def test_a_model_alone_says_that_patients_were_not_checked(trained, model, table) -> None:
    alone = calibrate(replace(model, run=None), settings(trained, validation=table))
    assert "not checked: the model stands alone" in alone.note
    assert "not checked" not in calibrate(model, settings(trained, validation=table)).note


def test_a_threshold_that_calls_nothing_can_be_written(trained, model, tmp_path) -> None:
    labels = np.arange(40) % 2
    names = [f"v{number}" for number in range(40)]
    columns = {"patient_id": names, "study_id": names, "split": "extra", "severe_as": labels}
    path = tmp_path / "falling.csv"
    pd.DataFrame(columns | {"severe_as_score": -labels.astype(float)}).to_csv(path, index=False)
    config = settings(trained, validation=path, rule="specificity", calibration="none")
    found = calibrate(model, config)
    assert found.point is not None
    assert np.isinf(found.point.threshold)
    studies = pd.DataFrame({"patient_id": ["a"], "study_id": ["a"], "severe_as_score": [1.0]})
    videos = pd.DataFrame(columns=[*VIDEO_COLUMNS, "severe_as_score", "weight", "place"])
    named = Named(pd.DataFrame(), studies, (), ())
    result = as_dict(Findings(model, named, (), Scored(studies, videos), found, ()), config)
    assert result["calibration"]["operating_point"]["threshold"] is None
    assert result["studies"][0]["severe_as_called"] == 0
    write_json(tmp_path / "result.json", result)
