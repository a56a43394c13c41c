"""Areas under curves against plain definitions and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from echossl.errors import UserError
from echossl.evaluation import (
    METRICS,
    auroc,
    average_precision,
    mean_roc_curve,
    roc_curve,
    weighted_auroc,
    weighted_average_precision,
)

REFERENCES = {"auroc": metrics.roc_auc_score, "auprc": metrics.average_precision_score}


def sample(*, n=60, levels=None, seed=0):
    """Labels and scores; ``levels`` different score values make ties."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < 0.3).astype(int)
    labels[:2] = [0, 1]
    scores = generator.normal(size=n) + labels
    if levels:
        scores = np.digitize(scores, np.linspace(-2, 3, levels - 1)).astype(float)
    return labels, scores


def slow_auroc(labels, scores):
    wins = [
        1.0 if positive > negative else 0.5 if positive == negative else 0.0
        for positive in scores[labels == 1]
        for negative in scores[labels == 0]
    ]
    return sum(wins) / len(wins)


def slow_average_precision(labels, scores):
    area, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        called = scores >= threshold
        recall = labels[called].sum() / labels.sum()
        area += (recall - recall_before) * labels[called].mean()
        recall_before = recall
    return area


@pytest.mark.parametrize("levels", [None, 2, 4, 20])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition_and_scikit_learn(levels, seed):
    labels, scores = sample(levels=levels, seed=seed)
    assert auroc(labels, scores) == pytest.approx(slow_auroc(labels, scores), abs=1e-14)
    assert auroc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    found = average_precision(labels, scores)
    assert found == pytest.approx(slow_average_precision(labels, scores), abs=1e-12)
    assert found == pytest.approx(metrics.average_precision_score(labels, scores), abs=1e-12)


def test_known_values():
    labels = [1, 0, 1, 0]
    assert auroc(labels, [4, 3, 2, 1]) == 0.75
    assert average_precision(labels, [4, 3, 2, 1]) == pytest.approx((1 + 2 / 3) / 2)
    assert auroc(labels, [1, 1, 1, 1]) == 0.5
    assert average_precision(labels, [1, 1, 1, 1]) == 0.5


def test_symmetry_and_order_of_rows():
    labels, scores = sample(levels=8)
    assert auroc(1 - labels, -scores) == pytest.approx(auroc(labels, scores), abs=1e-15)
    assert auroc(labels, -scores) == pytest.approx(1 - auroc(labels, scores), abs=1e-15)
    assert auroc(labels, np.exp(scores)) == auroc(labels, scores)
    shuffled = np.random.default_rng(1).permutation(len(labels))
    for metric in (auroc, average_precision):
        assert metric(labels[shuffled], scores[shuffled]) == pytest.approx(metric(labels, scores), abs=1e-15)


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("levels", [None, 5])
def test_weights_equal_repeated_rows_and_sample_weight(name, levels):
    labels, scores = sample(levels=levels)
    weights = np.random.default_rng(1).integers(0, 4, size=(30, len(labels)))
    found = METRICS[name](labels, scores, weights)
    for row, value in zip(weights, found, strict=True):
        repeated = np.repeat(np.arange(len(labels)), row)
        assert value == pytest.approx(REFERENCES[name](labels[repeated], scores[repeated]), abs=1e-12)
        assert value == pytest.approx(REFERENCES[name](labels, scores, sample_weight=row), abs=1e-12)


@pytest.mark.parametrize("name", list(METRICS))
def test_fractional_weights(name):
    labels, scores = sample(levels=6)
    weights = np.random.default_rng(2).random((5, len(labels)))
    expected = [REFERENCES[name](labels, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(METRICS[name](labels, scores, weights), expected, atol=1e-12)


@pytest.mark.parametrize("name", list(METRICS))
def test_chunks_change_nothing(name, monkeypatch):
    labels, scores = sample(levels=10)
    weights = np.random.default_rng(3).integers(0, 3, size=(101, len(labels)))
    whole = METRICS[name](labels, scores, weights)
    monkeypatch.setattr("echossl.evaluation.auc.ENTRIES_PER_CHUNK", 7 * len(labels))
    np.testing.assert_array_equal(METRICS[name](labels, scores, weights), whole)


def test_trap_29_a_weighting_without_a_class_is_nan_not_a_crash():
    labels, scores = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    weights = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0]])
    for metric in (weighted_auroc, weighted_average_precision):
        with np.errstate(all="raise"):
            found = metric(labels, scores, weights)
        np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 1.0])


def test_one_class_is_refused_in_words():
    for metric in (auroc, average_precision, roc_curve):
        with pytest.raises(UserError, match="0 positive and 3 negative rows, expected both"):
            metric([0, 0, 0], [1.0, 2.0, 3.0])


def test_weights_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"expected \(resamples, 3\)"):
        weighted_auroc([0, 1, 1], [1.0, 2.0, 3.0], np.ones((2, 4)))


@pytest.mark.parametrize("levels", [None, 3, 12])
def test_roc_curve_has_the_area_and_scikit_learns_points(levels):
    labels, scores = sample(levels=levels)
    curve = roc_curve(labels, scores)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(auroc(labels, scores), abs=1e-12)
    false_rate, true_rate, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, false_rate, atol=1e-15)
    np.testing.assert_allclose(curve.true_positive_rate, true_rate, atol=1e-15)


def test_mean_roc_curve():
    perfect, useless = roc_curve([0, 1], [0.0, 1.0]), roc_curve([0, 1], [1.0, 1.0])
    mean = mean_roc_curve([perfect, useless], num_points=5)
    np.testing.assert_allclose(mean.false_positive_rate, [0, 0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(mean.true_positive_rate, [0, 0.5, 0.625, 0.75, 0.875, 1])
    labels, scores = sample(n=200)
    one = mean_roc_curve([roc_curve(labels, scores)], num_points=2001)
    area = np.trapezoid(one.true_positive_rate, one.false_positive_rate)
    assert area == pytest.approx(auroc(labels, scores), abs=1e-3)
