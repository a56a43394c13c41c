"""Tables of any tool: which questions their columns ask, what is said of each, what is written."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation.assessment import Assessment
from echossl.evaluation.files import evaluate_file
from echossl.evaluation.spoken import as_text, write_answers
from echossl.evaluation.study import read_predictions
from echossl.evaluation.summaries import Summary
from echossl.evaluation.tables import TableColumns, read_table

CONFIG = EvaluationConfig(resamples=100)
GRADES = ("none", "mild", "severe")
ROWS = 90


def _keys(split="test") -> pd.DataFrame:
    patients = np.arange(ROWS) // 2
    return pd.DataFrame(
        {"patient_id": [f"p{number:02d}" for number in patients], "study_id": np.arange(ROWS), "split": split}
    )


def _noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape or ROWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of each kind."""
    place = tmp_path_factory.mktemp("tables")
    codes = np.arange(ROWS) % 3
    cuts = 1 / (1 + np.exp(-(codes[:, None] - [0.5, 1.5] + _noise(0, ROWS, 1))))
    classes = np.stack([1 - cuts[:, 0], cuts[:, 0] - cuts[:, 1], cuts[:, 1]], axis=1)
    graded = _keys().assign(grade=np.array(GRADES)[codes])
    graded = graded.assign(**{f"grade_score_{name}": classes[:, i] for i, name in enumerate(GRADES)})
    graded.to_csv(place / "classes.csv", index=False)
    graded = graded.assign(grade_score_at_least_mild=cuts[:, 0], grade_score_at_least_severe=cuts[:, 1])
    graded.to_csv(place / "grades.csv", index=False)
    several = _keys().assign(ar=(codes > 0).astype(int), mr=(codes > 1).astype(int).astype(object))
    several = several.assign(ar_score=codes + _noise(1), mr_score=codes + _noise(2))
    several.loc[4, "mr"] = ""
    several.to_csv(place / "findings.csv", index=False)
    measured = _keys().assign(velocity=2 + codes + _noise(3) / 5)
    measured["velocity_score"] = measured["velocity"] + 0.3 + _noise(4) / 5
    measured.to_csv(place / "measurement.csv", index=False)
    other = pd.DataFrame({"MRN": np.arange(ROWS), "y": codes > 1, "p": classes[:, 2]})
    other.astype({"y": int}).to_csv(place / "other.csv", index=False)
    return place


def test_grades(folder) -> None:
    summary, *cuts = evaluate_file(folder / "grades.csv", CONFIG)
    table = pd.read_csv(folder / "grades.csv")
    codes = np.arange(ROWS) % 3
    chances = table[[f"grade_score_{name}" for name in GRADES]].to_numpy()
    calls = chances.argmax(axis=1)
    values = {name: figure.value for name, figure in summary.figures.items()}
    assert summary.kind == "grades"
    assert values["macro_auroc"] == pytest.approx(metrics.roc_auc_score(codes, chances, multi_class="ovr"))
    assert values["accuracy"] == pytest.approx(np.mean(calls == codes))
    kappa = metrics.cohen_kappa_score(codes, calls, weights="quadratic")
    assert values["quadratic_kappa"] == pytest.approx(kappa)
    expected = stats.somersd(codes, chances @ np.arange(3)).statistic
    assert values["concordance"] == pytest.approx((1 + expected) / 2)
    assert np.array_equal(summary.confusion, metrics.confusion_matrix(codes, calls))
    assert summary.groups == dict.fromkeys(GRADES, ROWS // 3)
    assert [one.column for one in cuts] == ["grade_at_least_mild", "grade_at_least_severe"]
    assert all(isinstance(one, Assessment) for one in cuts)


def test_classes_without_an_order_have_no_kappa(folder) -> None:
    summary, *questions = evaluate_file(folder / "classes.csv", CONFIG, columns=TableColumns(label="grade"))
    assert summary.kind == "classes"
    assert "quadratic_kappa" not in summary.figures
    assert [one.column for one in questions] == [f"grade_is_{name}" for name in GRADES]
    (alone,) = evaluate_file(folder / "classes.csv", CONFIG, columns=TableColumns(label="grade_is_mild"))
    assert alone.column == "grade_is_mild"


def test_a_class_that_is_not_there_is_said(folder, tmp_path) -> None:
    table = pd.read_csv(folder / "grades.csv")
    table[table["grade"] != "mild"].to_csv(tmp_path / "p.csv", index=False)
    summary, *cuts = evaluate_file(tmp_path / "p.csv", CONFIG)
    assert [one.column for one in cuts] == ["grade_at_least_mild", "grade_at_least_severe"]
    assert summary.notes == ("no row is mild; the macro AUROC is over the others",)
    plain = pd.read_csv(folder / "classes.csv")
    plain[plain["grade"] != "mild"].to_csv(tmp_path / "p.csv", index=False)
    _, *questions = evaluate_file(tmp_path / "p.csv", CONFIG)
    assert [one.column for one in questions] == ["grade_is_none", "grade_is_severe"]
    with pytest.raises(UserError, match="every grade_is_mild of split 'test' is 0"):
        evaluate_file(tmp_path / "p.csv", CONFIG, columns=TableColumns(label="grade_is_mild"))
    table.assign(grade="tiny").to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(UserError, match="row 2 and 89 rows more: grade is 'tiny', expected none, mild"):
        evaluate_file(tmp_path / "p.csv", CONFIG)


def test_findings_and_their_mean(folder) -> None:
    summary, *each = evaluate_file(folder / "findings.csv", CONFIG)
    assert summary.kind == "findings"
    table = pd.read_csv(folder / "findings.csv")
    aurocs = []
    for name, one in zip(("ar", "mr"), each, strict=True):
        known = table[table[name].notna()]
        aurocs.append(metrics.roc_auc_score(known[name].astype(int), known[f"{name}_score"]))
        assert one.figures["auroc"].value == pytest.approx(aurocs[-1])
        assert summary.figures[f"auroc_{name}"].value == pytest.approx(aurocs[-1])
        assert summary.figures[f"auroc_{name}"].low == pytest.approx(one.figures["auroc"].low, abs=0.02)
    assert summary.figures["mean_auroc"].value == pytest.approx(np.mean(aurocs))
    assert each[1].counts.unlabelled == 1


def test_measurement(folder) -> None:
    (summary,) = evaluate_file(folder / "measurement.csv", CONFIG)
    assert isinstance(summary, Summary)
    table = pd.read_csv(folder / "measurement.csv")
    values = {name: figure.value for name, figure in summary.figures.items()}
    true, called = table["velocity"], table["velocity_score"]
    assert values["mae"] == pytest.approx(metrics.mean_absolute_error(true, called))
    assert values["r2"] == pytest.approx(metrics.r2_score(true, called))
    assert values["pearson"] == pytest.approx(stats.pearsonr(true, called).statistic)
    assert values["bias"] == pytest.approx(np.mean(called - true))
    assert len(summary.measured) == len(summary.predicted) == ROWS


def test_a_table_of_another_tool_by_its_column_names(folder) -> None:
    names = TableColumns(patient="MRN", label="y", score="p")
    (found,) = evaluate_file(folder / "other.csv", CONFIG, columns=names)
    table = pd.read_csv(folder / "other.csv")
    assert found.figures["auroc"].value == pytest.approx(metrics.roc_auc_score(table["y"], table["p"]))
    assert found.split == "all"
    assert found.counts.studies == found.counts.patients == ROWS
    assert found.calibration.probabilities.startswith("as given (as all lie within 0 to 1 they are taken")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (TableColumns(), "no column patient_id; found MRN, y, p; name yours with --patient"),
        (TableColumns(patient="mrn"), "no column mrn; found MRN, y, p"),
        (TableColumns(patient="MRN"), "name yours with --label and --score"),
        (TableColumns(patient="MRN", score="p"), "add --label"),
        (TableColumns(patient="MRN", label="y"), "no column y_score"),
    ],
)
def test_columns_that_are_not_there(folder, names, message) -> None:
    with pytest.raises(UserError, match=message):
        evaluate_file(folder / "other.csv", CONFIG, columns=names)


def test_without_a_study_a_patient_is_one_study(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("patient_id,a,a_score\n1,0,0.2\n2,1,0.4\n1,0,0.3\n")
    with pytest.raises(UserError, match="row 4: patient '1' is there already, and no column says which"):
        read_predictions(path)
    path.write_text("patient_id\ta\ta_score\n1\t0\t0.2\n2\t1\t0.4\n")
    assert read_predictions(path.rename(tmp_path / "p.tsv")).studies.tolist() == ["1", "2"]


def test_trap_30_videos_are_called_videos(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "patient_id,study_id,path,split,a,a_score\n"
        + "".join(f"{row // 2},s,{row}.mp4,test,{row % 2},{row % 3}\n" for row in range(8))
    )
    (found,) = evaluate_file(path, CONFIG)
    assert "4 patients, 8 videos" in as_text(found)
    assert read_table(path).attrs["unit"] == "videos"


def test_validation_in_a_table_of_its_own(folder, tmp_path) -> None:
    table = pd.read_csv(folder / "findings.csv")
    before = table.assign(patient_id="v" + table["patient_id"], split="whatever")
    before.to_csv(tmp_path / "val.csv", index=False)
    names = TableColumns(label="ar")
    (found,) = evaluate_file(folder / "findings.csv", CONFIG, columns=names, validation=tmp_path / "val.csv")
    assert {point.chosen_on for point in found.points} == {"val"}
    with pytest.raises(UserError, match="which shares 45 patients"):
        evaluate_file(folder / "findings.csv", CONFIG, columns=names, validation=folder / "findings.csv")


def test_what_is_written_and_said(folder, tmp_path) -> None:
    answers = evaluate_file(folder / "grades.csv", CONFIG)
    results, whole, summary = write_answers(answers, tmp_path / "out")
    rows = pd.read_csv(results)
    named = rows.set_index("metric")["value"]
    assert named["macro_auroc_grade"] == pytest.approx(answers[0].figures["macro_auroc"].value, abs=1e-6)
    assert named["auroc_grade_at_least_mild"] == pytest.approx(answers[1].figures["auroc"].value, abs=1e-6)
    assert [part["kind"] for part in json.loads(whole.read_text())] == ["grades", "binary", "binary"]
    text = summary.read_text()
    assert "## grade_at_least_mild, split test" in text
    assert "no operating points: no split 'val'" in text
    said = as_text(answers[1])
    for part in ("45 patients, 90 studies", "100 resamples of patients (seed 0)", "lacked a class"):
        assert part in said
