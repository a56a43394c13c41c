import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.cuts import cuts_of, questions
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.spoken import as_text
from echossl.evaluation.study import read_all_predictions, read_predictions

GRADES = ["none", "mild to moderate", "severe"]


def _graded(path, rows: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    codes = np.arange(rows) % 3
    scores = 1 / (1 + np.exp(-(codes[:, None] + generator.normal(size=(rows, 1)) - [0.5, 1.5])))
    names = [f"p{number}" for number in range(rows)]
    table = pd.DataFrame({"patient_id": names, "study_id": names, "split": "test"})
    table["tmed"] = np.array(GRADES)[codes]
    table["tmed_score_none"] = 1 - scores[:, 0]
    table["tmed_score_mild_to_moderate"] = scores[:, 0] - scores[:, 1]
    table["tmed_score_severe"] = scores[:, 1]
    table["tmed_score_at_least_mild_to_moderate"] = scores[:, 0]
    table["tmed_score_at_least_severe"] = scores[:, 1]
    table.loc[5, "tmed"] = ""
    table.to_csv(path, index=False)
    return table.assign(code=codes).drop(index=5)


def test_every_cut_of_grades_is_read(tmp_path) -> None:
    table = _graded(tmp_path / "p.csv")
    found = read_all_predictions(tmp_path / "p.csv")
    assert [one.column for one in found] == ["tmed_at_least_mild_to_moderate", "tmed_at_least_severe"]
    for cut, one in enumerate(found, start=1):
        assert one.labels.tolist() == (table["code"] >= cut).astype(int).tolist()
        assert one.num_unlabelled == 1
        score = table[one.column.replace("tmed_", "tmed_score_")]
        assert np.allclose(one.scores, score)


def test_evaluate_reports_each_cut(tmp_path) -> None:
    table = _graded(tmp_path / "p.csv")
    _, *answers = evaluate_file(tmp_path / "p.csv", EvaluationConfig(resamples=100))
    assert len(answers) == 2
    for cut, answer in enumerate(answers, start=1):
        score = table[answer.column.replace("tmed_", "tmed_score_")]
        expected = roc_auc_score(table["code"] >= cut, score)
        assert answer.figures["auroc"].value == pytest.approx(expected)
        assert answer.column in as_text(answer)


def test_classes_without_an_order_are_read_one_against_the_rest(tmp_path) -> None:
    table = pd.DataFrame({"patient_id": list("abc"), "study_id": list("abc"), "split": "test"})
    table["view"] = ["PLAX", "A4C", ""]
    table["view_score_PLAX"], table["view_score_A4C"] = [0.9, 0.2, 0.5], [0.1, 0.8, 0.5]
    table.to_csv(tmp_path / "p.csv", index=False)
    found = read_predictions(tmp_path / "p.csv", "view_is_A4C")
    assert (found.labels.tolist(), found.scores.tolist()) == ([0, 1], [0.1, 0.8])
    with pytest.raises(UserError, match="found view_is_PLAX, view_is_A4C; name the label column"):
        read_predictions(tmp_path / "p.csv")
    table["view"] = ["PLAX", "other", ""]
    table.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(UserError, match="row 3: view is 'other', expected PLAX, A4C or empty"):
        read_predictions(tmp_path / "p.csv", "view_is_A4C")


def test_names_of_binary_columns_stay_what_they_were() -> None:
    columns = ["patient_id", "severe_as", "severe_as_score"]
    assert questions(columns) == ["severe_as"]
    assert cuts_of(columns) == {}
    assert questions(["a", "b", "a_score", "b_score"]) == ["a", "b"]
