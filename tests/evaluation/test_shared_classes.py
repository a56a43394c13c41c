"""Figures on shared classes against scikit-learn; the penalty index against its formula and by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from echossl.errors import UserError
from echossl.evaluation.shared_classes import (
    SHARED_FIGURES,
    penalty_index,
    read_shared_scores,
    shared_figures,
)

COLUMN = "oct_class"


def graded(n: int = 60, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    codes = generator.integers(classes, size=n)
    codes[:classes] = range(classes)
    logits = generator.normal(size=(n, classes)) + 1.2 * np.eye(classes)[codes]
    weights = generator.integers(0, 4, size=(9, n))
    weights[:, :classes] += 1
    shares = np.exp(logits)
    return codes, (shares / shares.sum(axis=1, keepdims=True)).round(2), weights


def table_of(path: Path, classes: list[str], labels: list[str], probabilities: np.ndarray) -> Path:
    scores = {f"{COLUMN}_score_{name}": probabilities[:, place] for place, name in enumerate(classes)}
    ids = [f"p{number}" for number in range(len(labels))]
    pd.DataFrame({"patient_id": ids, "study_id": ids, "split": "test", COLUMN: labels, **scores}).to_csv(
        path, index=False
    )
    return path


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_every_figure_equals_scikit_learn_on_repeated_rows(classes: int) -> None:
    codes, shares, weights = graded(classes=classes)
    found = shared_figures(codes, shares)(weights)
    assert found.shape == (len(SHARED_FIGURES), len(weights))
    for column, row in zip(found.T, weights, strict=True):
        rows = np.repeat(np.arange(codes.size), row)
        truth, own = codes[rows], shares[rows]
        called = own.argmax(axis=1)
        one_hot = truth[:, None] == np.arange(classes)
        expected = [
            metrics.roc_auc_score(one_hot, own, average="macro"),
            metrics.average_precision_score(one_hot, own, average="macro"),
            metrics.f1_score(truth, called, average="macro", labels=range(classes), zero_division=0),
            metrics.balanced_accuracy_score(truth, called),
        ]
        assert column == pytest.approx(expected, abs=1e-12)


def test_a_redraw_without_a_class_has_no_figure() -> None:
    codes, shares, _ = graded()
    weights = np.stack([np.ones(codes.size), codes != 1]).astype(int)
    found = shared_figures(codes, shares)(weights)
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()


def test_penalty_index_by_hand_and_by_its_formula() -> None:
    # three test sets with .9, .8 and .4: (10 + 20 + 60) / 3
    assert penalty_index([0.9, 0.8, 0.4]) == pytest.approx(30.0)
    assert penalty_index([1.0, 1.0]) == 0
    scores = np.random.default_rng(1).random((3, 50))
    by_formula = [sum(1 - score for score in column) / 3 * 100 for column in scores.T]
    assert penalty_index(scores) == pytest.approx(by_formula, abs=1e-12)
    # the published row "ours, SwinV2" on DS1: AUC-ROC .97, .99, .56
    assert penalty_index([0.97, 0.99, 0.56]) == pytest.approx(16.0)


@pytest.mark.parametrize("scores", [[], [1.2, 0.5], [-0.1]])
def test_scores_that_are_none_have_no_penalty(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        penalty_index(scores)


def test_sister_trap_03_perfect_predictions_score_one_whatever_the_order_of_classes(tmp_path: Path) -> None:
    """By place, this perfect model would be right in a quarter of the studies of the other source."""
    first, second = ["AMD", "DME", "NORMAL"], ["NORMAL", "DR", "CNV", "AMD"]
    generator = np.random.default_rng(0)
    shared = ("AMD", "NORMAL")
    for place, (own, order) in enumerate([(first, second), (second, first), (first, first)]):
        labels = [own[number] for number in generator.integers(len(own), size=80)]
        # a model that names classes in the order of the other source, and knows those alone
        right = np.array([[float(label == name) for name in order] for label in labels])
        path = table_of(tmp_path / f"{place}.csv", order, labels, right)
        found = read_shared_scores(path, COLUMN, shared)
        once = np.ones((1, len(found.codes)))
        assert shared_figures(found.codes, found.probabilities)(once)[:, 0] == pytest.approx([1.0] * 4)
        assert len(found.codes) == sum(label in shared for label in labels)


def test_scores_are_shared_out_among_the_shared_classes(tmp_path: Path) -> None:
    shares = np.array([[0.2, 0.6, 0.2], [0.0, 1.0, 0.0], [0.1, 0.2, 0.7]])
    path = table_of(tmp_path / "scores.csv", ["a", "b", "c"], ["a", "c", "b"], shares)
    found = read_shared_scores(path, COLUMN, ("c", "a"))
    assert found.codes.tolist() == [1, 0]
    assert found.patients.tolist() == ["p0", "p1"]
    # of the second nothing is known but that it is b
    assert found.probabilities == pytest.approx(np.array([[0.5, 0.5], [0.5, 0.5]]))


def test_tables_that_cannot_be_are_refused(tmp_path: Path) -> None:
    shares = np.array([[0.2, 0.8], [1.0, 0.0]])
    path = table_of(tmp_path / "scores.csv", ["a", "b"], ["a", "a"], shares)
    with pytest.raises(UserError, match="no study whose oct_class is b"):
        read_shared_scores(path, COLUMN, ("a", "b"))
    with pytest.raises(UserError, match="no column oct_class_score_c; found patient_id"):
        read_shared_scores(path, COLUMN, ("a", "c"))
    path = table_of(tmp_path / "odds.csv", ["a", "b"], ["a", "b"], np.array([[0.2, 0.8], [0.5, 1.5]]))
    with pytest.raises(UserError, match=r"odds.csv: row 3: a score is no probability"):
        read_shared_scores(path, COLUMN, ("a", "b"))
