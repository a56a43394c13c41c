"""Tables as other tools write them: names of columns, marks between them, several classes, faults once."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.recalibration import recalibrate
from echossl.evaluation.spoken import as_text, write_answers
from echossl.evaluation.study import predictions_of
from echossl.evaluation.tables import TableColumns, read_manifest_table, read_table

CONFIG = EvaluationConfig(resamples=100)
NAMES = TableColumns(patient="subject", study="exam", label="y", score="prob")
ROWS = 120


@pytest.fixture
def table() -> pd.DataFrame:
    noise = np.random.default_rng(0).normal(size=ROWS)
    sick = np.arange(ROWS) % 3 == 0
    return pd.DataFrame(
        {
            "subject": [f"S{row // 2}" for row in range(ROWS)],
            "exam": np.arange(ROWS),
            "y": sick.astype(int),
            "prob": special.expit(noise + sick - 0.5),
            "split": np.where(np.arange(ROWS) < ROWS // 2, "val", "test"),
        }
    )


def _saved(table: pd.DataFrame, path, **how):
    table.to_csv(path, index=False, **how)
    return path


def _refusal(path, names=NAMES, config=CONFIG) -> str:
    with pytest.raises(UserError) as error:
        evaluate_file(path, config, columns=names)
    return str(error.value).replace(f"{path}: ", "")


def test_semicolons_tabs_excel_and_other_letters_are_told_apart(tmp_path, table) -> None:
    semicolons = _saved(table, tmp_path / "a.csv", sep=";", decimal=",")
    assert _refusal(semicolons).startswith("its columns are parted by semicolons, expected commas")
    tabs = _saved(table, tmp_path / "b.csv", sep="\t")
    assert "parted by tabs, expected commas" in _refusal(tabs)
    commas = _saved(table, tmp_path / "c.tsv")
    assert "parted by commas, expected tabs" in _refusal(commas)
    book = tmp_path / "d.csv"
    book.write_bytes(b"PK\x03\x04\x14\x00\xf9\x00")
    assert _refusal(book) == "not a CSV table (it looks like a file of Excel; save it as CSV)"
    latin = _saved(table.assign(exam="é"), tmp_path / "e.csv", encoding="latin-1")
    assert _refusal(latin) == "not a CSV table (its letters are not in UTF-8; save it as CSV UTF-8)"


def test_messages_hold_the_columns_and_names_of_the_file(tmp_path, table) -> None:
    path = _saved(table, tmp_path / "a.csv")
    found = "found subject, exam, y, prob, split"
    only_label = TableColumns(patient="subject", study="exam", label="y")
    assert _refusal(path, only_label).startswith(f"no column y_score; {found}; name its score")
    no_label = TableColumns(patient="subject", study="exam")
    assert f"{found}; name yours" in _refusal(path, no_label)
    table.loc[[3, 7], "prob"], table.loc[5, "subject"] = np.nan, None
    assert _refusal(_saved(table, path)).splitlines() == [
        "row 5 and 1 row more: prob is '', expected a finite number",
        "row 7: subject is empty",
    ]


def test_classes_by_what_their_columns_start_with(tmp_path, table) -> None:
    grades = np.array(["none", "mild", "severe"])
    shares = np.random.default_rng(1).dirichlet(np.ones(3), ROWS)
    table = table.assign(grade=grades[np.arange(ROWS) % 3])
    named = table.assign(**{f"prob_{name}": shares[:, place] for place, name in enumerate(grades)})
    ours = named.rename(columns={"subject": "patient_id", "exam": "study_id"}).rename(
        columns=lambda name: name.replace("prob_", "grade_score_")
    )
    names = TableColumns(patient="subject", study="exam", label="grade", score="prob")
    found = evaluate_file(_saved(named.drop(columns="prob"), tmp_path / "a.csv"), CONFIG, columns=names)
    expected = evaluate_file(_saved(ours, tmp_path / "b.csv"), CONFIG, columns=TableColumns(label="grade"))
    assert [one.column for one in found] == [one.column for one in expected]
    assert [one.figures for one in found] == [one.figures for one in expected]
    same = named.drop(columns="prob").rename(columns=lambda name: name.replace("prob_", "grade_"))
    both = TableColumns(patient="subject", study="exam", label="grade", score="grade")
    again = evaluate_file(_saved(same, tmp_path / "c.csv"), CONFIG, columns=both)
    assert [one.figures for one in again] == [one.figures for one in expected]


def test_a_manifest_may_use_the_names_of_the_table(tmp_path, table) -> None:
    others = _saved(table[["subject", "exam"]].assign(sex="F"), tmp_path / "m.csv")
    with pytest.raises(UserError, match="no column patient_id; found subject, exam, sex"):
        read_manifest_table(others)
    manifest = read_manifest_table(others, NAMES)
    assert manifest["patient_id"].tolist() == table["subject"].tolist()
    config = EvaluationConfig(resamples=100, subgroups=("sex",))
    path = _saved(table, tmp_path / "a.csv")
    found, _ = evaluate_file(path, config, columns=NAMES, manifest=manifest)
    assert [(one.group, one.studies) for one in found.subgroups] == [("F", ROWS // 2)]


def test_the_scale_is_named_or_what_was_assumed_is_said(tmp_path, table) -> None:
    path = _saved(table, tmp_path / "a.csv")
    odds = _saved(table.assign(prob=special.logit(table["prob"])), tmp_path / "b.csv")
    assumed, _ = evaluate_file(path, CONFIG, columns=NAMES)
    named, _ = evaluate_file(path, CONFIG.model_copy(update={"scale": "probabilities"}), columns=NAMES)
    logistic, _ = evaluate_file(odds, CONFIG.model_copy(update={"scale": "log_odds"}), columns=NAMES)
    assert "as all lie within 0 to 1 they are taken for probabilities; scale=" in as_text(assumed)
    assert named.calibration.probabilities == "as given"
    assert logistic.calibration.probabilities.startswith("the logistic function of the scores")
    for one in (assumed, logistic):
        for name, figure in named.calibration.figures.items():
            assert one.calibration.figures[name].value == pytest.approx(figure.value, abs=1e-9)
    unknown, _ = evaluate_file(odds, CONFIG, columns=NAMES)
    assert "say scale=log_odds if they are log odds" in unknown.missing["calibration"]
    ranks, _ = evaluate_file(path, CONFIG.model_copy(update={"scale": "ranks"}), columns=NAMES)
    assert ranks.calibration is None
    assert ranks.missing["decision"].startswith("scale=ranks says")
    wrong = CONFIG.model_copy(update={"scale": "probabilities"})
    assert "expected 0 to 1, say scale=log_odds" in _refusal(odds, config=wrong)


def test_a_temperature_is_of_log_odds_whatever_the_table_holds(tmp_path, table) -> None:
    path = _saved(table, tmp_path / "a.csv")
    odds = _saved(table.assign(prob=special.logit(table["prob"])), tmp_path / "b.csv")
    config = EvaluationConfig(resamples=100, recalibrate="temperature")
    of_shares, of_odds = (evaluate_file(one, config, columns=NAMES)[-1] for one in (path, odds))
    assert of_shares.calibration.probabilities.startswith("temperature on split 'val' (as all lie within")
    assert of_odds.calibration.probabilities == "temperature on split 'val'"
    for name, figure in of_odds.calibration.figures.items():
        assert of_shares.calibration.figures[name].value == pytest.approx(figure.value, abs=1e-9)
    both = predictions_of(odds, read_table(odds, NAMES), "y")
    plain = special.expit(recalibrate(both.only("val"), "temperature").slope * both.only("test").scores)
    assert of_odds.calibration.figures["brier"].value == pytest.approx(
        np.mean((plain - both.only("test").labels) ** 2)
    )


def test_the_scale_has_no_effect_on_numbers_and_says_so(tmp_path) -> None:
    rows = np.arange(30)
    path = _saved(
        pd.DataFrame({"patient_id": rows, "split": "test", "ef": rows + 30, "ef_score": rows + 31.5}),
        tmp_path / "a.csv",
    )
    (found,) = evaluate_file(path, CONFIG.model_copy(update={"scale": "log_odds"}))
    assert "scale=log_odds is for the calibration of a single yes or no" in found.notes[0]


def test_a_file_is_no_folder_for_the_answers(tmp_path, table) -> None:
    path = _saved(table, tmp_path / "a.csv")
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"a.csv: is a file; give a folder with -o"):
        write_answers(evaluate_file(path, CONFIG, columns=NAMES), path)
    assert path.read_bytes() == before
