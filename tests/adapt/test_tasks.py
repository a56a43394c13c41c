import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.metrics import mean_absolute_error, roc_auc_score

from echossl.adapt.tasks import build_task, resolve_task
from echossl.config.adapt import LabelBudget
from echossl.config.base import load_config
from echossl.config.task import TaskSettings
from echossl.errors import UserError

GRADES = ("none", "mild", "moderate", "severe")


@pytest.mark.parametrize(
    ("settings", "name", "classes"),
    [
        ({}, "binary", ()),
        ({"column": "as_grade"}, "ordinal", GRADES),
        ({"column": "as_grade", "task": "multiclass"}, "multiclass", GRADES),
        ({"column": "as_acc_aha_2020", "classes": GRADES}, "ordinal", GRADES),
        ({"column": "view", "classes": ("PLAX", "A4C")}, "multiclass", ("PLAX", "A4C")),
        (
            {"column": "stage", "classes": ("i", "ii", "iii"), "task": "ordinal"},
            "ordinal",
            ("i", "ii", "iii"),
        ),
        ({"column": "anything"}, "binary", ()),
        ({"column": "velocity", "task": "regression"}, "regression", ()),
        ({"columns": ("a", "b")}, "multilabel", ()),
    ],
)
def test_auto_takes_the_kind_of_the_class_map(settings, name, classes):
    found = resolve_task(LabelBudget(**settings)).settings
    assert (found.name, found.classes) == (name, classes)
    assert found.columns == settings.get("columns", (settings.get("column", "severe_as"),))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"column": "as_grade", "task": "binary"}, "as_grade is ordinal by its name"),
        ({"column": "as_grade", "task": "regression"}, "cannot be learned as regression"),
        ({"column": "severe_as", "task": "ordinal"}, "severe_as is binary by its name"),
        ({"column": "as_grade", "classes": ("a", "b")}, "the classes of as_grade are none, mild"),
        ({"column": "view", "task": "multiclass"}, "not the name of a class map; give its classes"),
        ({"column": "view", "classes": ("A 4C", "a_4c")}, "two classes of view have the same name"),
    ],
)
def test_task_that_the_column_cannot_be_is_refused(settings, words):
    with pytest.raises(UserError, match=words):
        resolve_task(LabelBudget(**settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"column": "a", "columns": ("b", "c")}, "column has no effect beside columns"),
        ({"columns": ("b", "b")}, "name one twice"),
        ({"columns": ("b", "c"), "task": "ordinal"}, "not of ordinal"),
        ({"task": "multilabel"}, "needs columns"),
        ({"classes": ("a", "b"), "task": "regression"}, "classes have no effect"),
        ({"classes": ("a", "b"), "columns": ("c", "d")}, "classes have no effect"),
    ],
)
def test_settings_without_effect_are_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        LabelBudget(**settings)


def test_settings_of_a_finished_run_can_be_read_again():
    labels = LabelBudget(columns=("a", "b"))
    assert load_config(LabelBudget, None, ["columns=[a, b]"]) == labels
    assert LabelBudget.model_validate(labels.model_dump(mode="json")) == labels


def _table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "severe_as": [1.0, 0.0, np.nan],
            "other": [np.nan, 1.0, 0.0],
            "as_grade": ["severe", "none", np.nan],
            "view": ["a4c", np.nan, "PLAX"],
            "velocity": [4.5, 1.5, np.nan],
        }
    )


@pytest.mark.parametrize(
    ("settings", "targets", "scores"),
    [
        ({}, [[1], [0], [np.nan]], ["severe_as_score"]),
        (
            {"column": "as_grade"},
            [[3], [0], [np.nan]],
            [f"as_grade_score_{name}" for name in (*GRADES, *(f"at_least_{name}" for name in GRADES[1:]))],
        ),
        (
            {"column": "view", "classes": ("PLAX", "A4C", "sub costal")},
            [[1], [np.nan], [0]],
            ["view_score_PLAX", "view_score_A4C", "view_score_sub_costal"],
        ),
        (
            {"columns": ("severe_as", "other")},
            [[1, np.nan], [0, 1], [np.nan, 0]],
            ["severe_as_score", "other_score"],
        ),
        ({"column": "velocity", "task": "regression"}, [[4.5], [1.5], [np.nan]], ["velocity_score"]),
    ],
)
def test_trap_15_targets_names_and_labels(settings, targets, scores):
    task = resolve_task(LabelBudget(**settings))
    found = task.targets(_table())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(targets, dtype=np.float32))
    assert list(task.score_names) == scores
    written = task.labels(found)
    assert list(written.columns) == list(task.settings.columns)
    np.testing.assert_array_equal(task.targets(written), found)


def test_regression_refuses_what_is_no_number():
    task = resolve_task(LabelBudget(column="velocity", task="regression"))
    with pytest.raises(UserError, match="no label column 'velocity'"):
        task.targets(pd.DataFrame({"other": [1]}))
    with pytest.raises(UserError, match="velocity holds no numbers"):
        task.targets(pd.DataFrame({"velocity": ["fast"]}))
    with pytest.raises(UserError, match="velocity holds an infinite number"):
        task.targets(pd.DataFrame({"velocity": [1.0, np.inf]}))
    with pytest.raises(UserError, match="does not vary among the labelled patients"):
        task.fitted(np.array([[2.0], [2.0], [np.nan]]))


def test_strata_of_classes_quartiles_and_findings():
    grades = build_task(TaskSettings(name="ordinal", columns=("g",), classes=GRADES))
    assert grades.strata(np.array([[2.0], [0.0]])).tolist() == [2, 0]
    numbers = build_task(TaskSettings(name="regression", columns=("v",)))
    codes = numbers.strata(np.arange(40.0)[:, None])
    assert np.bincount(codes).tolist() == [10, 10, 10, 10]
    assert (np.diff(codes) >= 0).all()
    findings = build_task(TaskSettings(name="multilabel", columns=("a", "b", "c")))
    # c has one positive alone, too few to keep in every draw; b is the rarest of the others
    targets = np.zeros((10, 3))
    targets[:5, 0], targets[3:6, 1], targets[0, 2] = 1, 1, 1
    targets[9] = np.nan
    assert findings.strata(targets).tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]
    for task, most in ((grades, 4), (numbers, 4), (findings, 2)):
        assert len(task.stratum_names) == most


def test_merits_equal_scikit_learn():
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, 60).astype(float)
    outputs = generator.normal(size=(60, 4)) + np.eye(4)[codes.astype(int)]
    several = build_task(TaskSettings(name="multiclass", columns=("g",), classes=GRADES))
    each = [roc_auc_score(codes == code, outputs[:, code]) for code in range(4)]
    assert several.merit(codes[:, None], outputs) == pytest.approx(np.mean(each))
    present = codes != 2
    each = [roc_auc_score(codes[present] == code, outputs[present, code]) for code in (0, 1, 3)]
    assert several.merit(codes[present, None], outputs[present]) == pytest.approx(np.mean(each))
    grades = build_task(TaskSettings(name="ordinal", columns=("g",), classes=GRADES))
    score = codes + generator.normal(size=60)
    pairs = [(i, j) for i in range(60) for j in range(60) if codes[i] > codes[j]]
    concordance = np.mean([score[i] > score[j] for i, j in pairs])
    assert grades.merit(codes[:, None], score[:, None] - [0, 1, 3]) == pytest.approx(concordance)
    number = build_task(TaskSettings(name="regression", columns=("v",), mean=2, deviation=3))
    expected = -mean_absolute_error(codes, 2 + 3 * score)
    assert number.merit(codes[:, None], score[:, None]) == pytest.approx(expected)


def test_merit_of_several_findings_is_the_mean_over_those_with_both_answers():
    task = build_task(TaskSettings(name="multilabel", columns=("a", "b", "c")))
    targets = np.array([[0, 1, 1], [1, 0, 1], [1, np.nan, 1], [0, 1, 1]], dtype=float)
    outputs = np.array([[0.1, 2, 0], [0.3, 1, 0], [0.2, 9, 0], [0.25, 3, 0]])
    first = roc_auc_score([0, 1, 1, 0], outputs[:, 0])
    assert task.merit(targets, outputs) == pytest.approx((first + 1.0) / 2)
    assert task.merit(targets[:1], outputs[:1]) == 0.5


@pytest.mark.parametrize("name", ["binary", "multiclass", "ordinal"])
def test_merit_where_nothing_can_be_ranked_is_chance(name):
    task = build_task(TaskSettings(name=name, columns=("g",), classes=() if name == "binary" else GRADES))
    assert task.merit(np.ones((3, 1)), np.zeros((3, task.num_outputs))) == 0.5


def test_scores_of_grades_are_probabilities_that_fit_together():
    task = build_task(TaskSettings(name="ordinal", columns=("g",), classes=GRADES))
    outputs = np.sort(np.random.default_rng(1).normal(size=(9, 3)), axis=1)[:, ::-1]
    scores = task.scores(outputs)
    assert scores.shape == (9, len(task.score_names))
    assert np.allclose(scores[:, :4].sum(axis=1), 1)
    assert (scores >= 0).all()
    for cut in range(1, 4):
        assert np.allclose(scores[:, 3 + cut], scores[:, cut:4].sum(axis=1))
    assert np.allclose(scores[:, 4:], 1 / (1 + np.exp(-outputs)))


def test_other_scores():
    outputs = np.array([[0.5], [-1.0]], dtype=np.float32)
    assert build_task(TaskSettings(name="binary", columns=("a",))).scores(outputs).tolist() == [[0.5], [-1.0]]
    number = build_task(TaskSettings(name="regression", columns=("v",)))
    fitted = number.fitted(np.array([[1.0], [3.0], [np.nan]], dtype=np.float32))
    assert (fitted.settings.mean, fitted.settings.deviation) == (2.0, 1.0)
    assert fitted.scores(outputs).tolist() == [[2.5], [1.0]]
    several = build_task(TaskSettings(name="multiclass", columns=("g",), classes=("a", "b")))
    assert np.allclose(several.scores(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]])
