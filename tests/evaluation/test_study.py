"""Prediction tables: what is read, what is refused in words, what comes out."""

import csv

import pandas as pd
import pytest
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation import (
    Difference,
    Interval,
    ResultRow,
    evaluate,
    format_difference,
    format_interval,
    format_p_value,
    read_predictions,
    write_results,
)
from echossl.evaluation.results import COLUMNS

HEADER = "patient_id,study_id,split,severe_as,severe_as_score"
ROWS = (
    "007,a,test,1,2.5",
    "007,b,test,1,1.5",
    "008,a,test,0,1.75",
    "009,a,test,,0.1",
    "010,a,test,0.0,-3e-1",
    "011,a,val,1.0,4",
    "012,a,val,0,5",
)
CONFIG = BootstrapConfig(resamples=200)


def written(folder, rows=ROWS, header=HEADER):
    path = folder / "predictions.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def refusal(path, column="severe_as"):
    with pytest.raises(UserError) as error:
        read_predictions(path, column)
    message = str(error.value)
    assert all(line.startswith(f"{path}: ") for line in message.splitlines())
    return message.replace(f"{path}: ", "")


def test_reads_a_table(tmp_path):
    found = read_predictions(written(tmp_path), "severe_as")
    assert found.patients.tolist() == ["007", "007", "008", "010", "011", "012"]
    assert found.studies.tolist() == ["a", "b", "a", "a", "a", "a"]
    assert found.splits.tolist() == ["test"] * 4 + ["val"] * 2
    assert found.labels.tolist() == [1, 1, 0, 0, 1, 0]
    assert found.scores.tolist() == [2.5, 1.5, 1.75, -0.3, 4, 5]


def test_trap_15_an_empty_label_is_left_out_and_counted_never_negative(tmp_path):
    found = read_predictions(written(tmp_path), "severe_as")
    assert found.num_unlabelled == 1
    assert "009" not in found.patients
    empty = written(tmp_path, ["1,a,test,,2", "2,a,test,,3"])
    assert refusal(empty) == "no study has a severe_as label; every cell of the column is empty"


def test_the_only_label_column_is_found(tmp_path):
    path = written(tmp_path)
    assert read_predictions(path).column == "severe_as"
    two = written(tmp_path, ["1,a,test,0,1,0,1"], f"{HEADER},as,as_score")
    assert "expected one label column" in refusal(two, None)
    assert "found severe_as, as" in refusal(two, None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("013,a,test,2,1.0", "row 9: severe_as is '2', expected 0, 1 or empty"),
        ("013,a,test,yes,1.0", "row 9: severe_as is 'yes', expected 0, 1 or empty"),
        ("013,a,test,1,", "row 9: severe_as_score is '', expected a finite number"),
        ("013,a,test,1,nan", "row 9: severe_as_score is 'nan', expected a finite number"),
        ("013,a,test,1,inf", "row 9: severe_as_score is 'inf', expected a finite number"),
        ("013,a,test,,high", "row 9: severe_as_score is 'high', expected a finite number"),
        (",a,test,1,2.0", "row 9: patient_id is empty"),
        ("008,z,val,1,2.0", "patient '008' is in splits test, val; keep each patient in one"),
    ],
)
def test_faults_name_the_row(tmp_path, row, message):
    assert refusal(written(tmp_path, [*ROWS, row])) == message


def test_trap_30_video_level_rows_are_refused(tmp_path):
    message = refusal(written(tmp_path, [*ROWS, "008,a,test,0,1.8"]))
    assert message.startswith("row 9: study 'a' of patient '008' is there already; evaluation is by study")


def test_many_faults_are_listed_up_to_five(tmp_path):
    lines = refusal(
        written(tmp_path, [f"{number},a,test,x{number},1" for number in range(20, 30)])
    ).splitlines()
    assert len(lines) == 6
    assert lines[-1] == "and 5 more"


def test_a_fault_of_many_rows_is_said_once(tmp_path):
    words = written(tmp_path, [f"{number},a,test,{'ny'[number % 2]},1" for number in range(20, 30)])
    assert refusal(words).splitlines() == [
        "row 2 and 4 rows more: severe_as is 'n', expected 0, 1 or empty",
        "row 3 and 4 rows more: severe_as is 'y', expected 0, 1 or empty",
    ]
    again = written(tmp_path, ["1,a,test,0,1"] * 3 + ["2,a,test,1,1"] * 2)
    assert refusal(again) == (
        "row 3 and 2 rows more: study 'a' of patient '1' is there already; evaluation is by study, so "
        "average the scores of its videos first"
    )


def test_labels_that_were_written_as_true_and_false(tmp_path):
    rows = [row.replace(",1,", ",True,", 1).replace(",0,", ",False,", 1) for row in ROWS]
    own, other = (read_predictions(written(tmp_path, some)) for some in (ROWS, rows))
    assert own.labels.tolist() == other.labels.tolist()


def test_missing_file_columns_and_nonsense(tmp_path):
    assert refusal(tmp_path / "absent.csv") == "no such file; give a predictions.csv"
    path = written(tmp_path)
    assert refusal(path, "mild_as") == (
        "no column mild_as, mild_as_score; found patient_id, study_id, split, severe_as, severe_as_score"
    )
    path.write_bytes(b"")
    assert refusal(path).startswith("not a CSV table")
    path.write_bytes(b"\xff\xfe\x00\x80")
    assert refusal(path).startswith("not a CSV table")


def test_splits(tmp_path):
    predictions = read_predictions(written(tmp_path), "severe_as")
    assert predictions.only("val").patients.tolist() == ["011", "012"]
    with pytest.raises(UserError, match="no labelled study in split 'train'; found test, val"):
        predictions.only("train")


def test_evaluate_is_by_split_and_by_study(tmp_path):
    rows = evaluate(read_predictions(written(tmp_path), "severe_as"), CONFIG)
    assert [(row.split, row.metric) for row in rows] == [
        (split, metric) for split in ("test", "val") for metric in ("auroc", "auprc", "prevalence")
    ]
    auroc, auprc, prevalence = rows[:3]
    labels, scores = [1, 1, 0, 0], [2.5, 1.5, 1.75, -0.3]
    assert auroc.value == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert auprc.value == pytest.approx(metrics.average_precision_score(labels, scores))
    assert prevalence.value == 0.5
    # three patients stand behind the four studies; one of them is positive, with two studies
    assert {(row.num_patients, row.num_positive) for row in rows[:3]} == {(3, 1)}
    assert auroc.low <= auroc.value <= auroc.high
    assert prevalence.low is None
    assert rows[3].value == 0.0


def test_evaluate_refuses_one_class(tmp_path):
    path = written(tmp_path, ["1,a,test,1,2", "2,a,test,1,3"])
    with pytest.raises(UserError, match="every severe_as of split 'test' is 1, expected both 0 and 1"):
        evaluate(read_predictions(path), CONFIG)


def test_results_csv(tmp_path):
    blank = ResultRow(split="test", metric="prevalence", value=0.25, num_patients=40, num_positive=10)
    pooled = ResultRow(
        split="test",
        metric="auroc",
        value=1 / 3,
        low=0.2,
        high=float("nan"),
        num_patients=40,
        num_positive=10,
        arm='odd, "name"',
        fraction=0.01,
        draw="all",
        seed=3,
        num_labelled_patients=6,
    )
    path = tmp_path / "new" / "results.csv"
    write_results([blank, pooled], path)
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == COLUMNS
    assert first["low"] == first["arm"] == first["draw"] == ""
    assert (second["arm"], second["draw"], second["seed"], second["high"]) == ('odd, "name"', "all", "3", "")
    table = pd.read_csv(path)
    assert table["value"].tolist() == pytest.approx([0.25, 1 / 3], abs=1e-6)
    assert table["fraction"][1] == 0.01


def test_rows_of_a_difference():
    blank = ResultRow(split="test", metric="", value=0, num_patients=40, num_positive=10, arm="a - b")
    difference = Difference(0.1, -0.05, 0.2, 2000, 0, 0.95, 0.3)
    value, p_value = blank.with_difference("auroc", difference)
    assert (value.metric, value.value, value.low, value.high) == ("auroc", 0.1, -0.05, 0.2)
    assert (p_value.metric, p_value.value, p_value.low) == ("auroc_p_value", 0.3, None)
    assert p_value.arm == "a - b"


def test_figures_as_a_person_reads_them():
    assert format_interval(Interval(0.8182, 0.794, 0.8404, 2000, 0, 0.95)) == "0.818 (0.794-0.840)"
    assert format_interval(Interval(0.5, 0.25, 0.75, 2000, 0, 0.95), digits=2) == "0.50 (0.25-0.75)"
    difference = Difference(0.174, -0.0212, 0.228, 2000, 0, 0.95, 2 / 2001)
    assert format_difference(difference) == "+0.174 (-0.021 to +0.228), p < 0.001"
    assert format_p_value(0.0123) == "p = 0.012"
    assert format_p_value(1.0) == "p = 1.000"
