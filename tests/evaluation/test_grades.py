"""Several classes, graded agreement and partial areas against scikit-learn, SciPy and every pair."""

import numpy as np
import plain_statistics
import pytest
from scipy import stats
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation import auroc, weighted_auroc
from echossl.evaluation.grades import one_against_rest, weighted_concordance, weighted_quadratic_kappa
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.partial import partial_auroc
from echossl.evaluation.resampling import Clusters


def graded(*, n=70, decimals=6, seed=0):
    """Four grades and a score per grade; weights of some redraws."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=n)
    labels[:4] = range(4)
    scores = (generator.normal(size=(n, 4)) + 1.5 * np.eye(4)[labels]).round(decimals)
    weights = generator.integers(0, 4, size=(12, n))
    weights[:, :4] += 1
    return labels, scores, weights


@pytest.mark.parametrize("decimals", [6, 0])
def test_one_against_rest_equals_scikit_learn(decimals):
    labels, scores, weights = graded(decimals=decimals)
    found = one_against_rest(labels, scores, 4)(weights)
    assert found.shape == (5, 12)
    for column, row in zip(found.T, weights, strict=True):
        rows = np.repeat(np.arange(labels.size), row)
        each = [metrics.roc_auc_score(labels[rows] == number, scores[rows, number]) for number in range(4)]
        assert column == pytest.approx([*each, np.mean(each)], abs=1e-12)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    macro = metrics.roc_auc_score(labels, shares, multi_class="ovr", average="macro")
    once = one_against_rest(labels, shares, 4)(np.ones((1, labels.size)))
    assert once[4, 0] == pytest.approx(macro, abs=1e-12)


def test_trap_29_a_missing_class_is_nan_and_counted():
    labels, scores, _ = graded()
    figures = one_against_rest(np.minimum(labels, 2), scores, 4)(np.ones((1, labels.size)))
    assert np.isfinite(figures[:3]).all()
    assert np.isnan(figures[3:]).all()
    rare = np.where(np.arange(70) == 5, 3, np.minimum(labels, 2))
    found = figure_intervals(one_against_rest(rare, scores, 4), Clusters.of(np.arange(70)), BootstrapConfig())
    assert found[0].unusable == 0
    assert found[3].unusable == found[4].unusable > 500


def test_quadratic_kappa_equals_scikit_learn():
    labels, scores, weights = graded()
    calls = scores.argmax(axis=1)
    found = weighted_quadratic_kappa(labels, calls, weights)
    for value, row in zip(found, weights, strict=True):
        expected = metrics.cohen_kappa_score(labels, calls, weights="quadratic", sample_weight=row)
        assert value == pytest.approx(expected, abs=1e-12)
        rows = np.repeat(np.arange(labels.size), row)
        assert value == pytest.approx(plain_statistics.quadratic_kappa(labels[rows], calls[rows]), abs=1e-12)
    once = np.ones((1, 4))
    assert weighted_quadratic_kappa([0, 1, 2, 3], [0, 1, 2, 3], once)[0] == 1.0
    assert weighted_quadratic_kappa([0, 0, 1, 1], [0, 1, 0, 1], once)[0] == 0.0
    assert np.isnan(weighted_quadratic_kappa([2, 2, 2, 2], [2, 2, 2, 2], once)[0])


@pytest.mark.parametrize("decimals", [6, 0])
def test_concordance_equals_every_pair_and_somers_d(decimals, monkeypatch):
    labels, scores, weights = graded(decimals=decimals)
    velocity = (labels + np.random.default_rng(1).normal(size=labels.size)).round(decimals)
    for truth in (labels, velocity):
        found = weighted_concordance(truth, scores[:, 3], weights)
        for value, row in zip(found[:3], weights, strict=False):
            rows = np.repeat(np.arange(labels.size), row)
            expected = plain_statistics.concordance(truth[rows], scores[rows, 3])
            assert value == pytest.approx(expected, abs=1e-12)
            somers = stats.somersd(truth[rows], scores[rows, 3]).statistic
            assert value == pytest.approx((1 + somers) / 2, abs=1e-12)
        monkeypatch.setattr("echossl.evaluation.grades.ENTRIES_PER_BLOCK", 1000)
        np.testing.assert_allclose(weighted_concordance(truth, scores[:, 3], weights), found, atol=1e-14)


def test_concordance_of_two_grades_is_the_auroc():
    labels, scores, weights = graded()
    found = weighted_concordance(labels > 1, scores[:, 3], weights)
    np.testing.assert_allclose(found, weighted_auroc(labels > 1, scores[:, 3], weights), atol=1e-12)
    assert np.isnan(weighted_concordance([1, 1], [0.0, 1.0], np.ones((1, 2)))[0])


@pytest.mark.parametrize("decimals", [6, 0])
@pytest.mark.parametrize("highest", [0.1, 0.25, 1.0])
def test_partial_area_equals_scikit_learn(decimals, highest):
    labels, scores, weights = graded(decimals=decimals)
    severe = (labels == 3).astype(int)
    found = partial_auroc(highest=highest)(severe, scores[:, 3], weights)
    for value, row in zip(found, weights, strict=True):
        limit = None if highest == 1 else highest
        expected = metrics.roc_auc_score(severe, scores[:, 3], sample_weight=row, max_fpr=limit)
        assert value == pytest.approx(expected, abs=1e-12)


def test_partial_area_between_two_rates():
    labels, scores, _ = graded()
    severe, once = (labels == 3).astype(int), np.ones((1, labels.size))
    false_rate, true_rate, _ = metrics.roc_curve(severe, scores[:, 3], drop_intermediate=False)
    fine = np.linspace(0.2, 0.4, 200001)
    area = np.trapezoid(np.interp(fine, false_rate, true_rate), fine)
    expected = (1 + (area - 0.06) / (0.2 - 0.06)) / 2
    found = partial_auroc(lowest=0.2, highest=0.4)(severe, scores[:, 3], once)[0]
    assert found == pytest.approx(expected, abs=1e-5)
    assert partial_auroc(highest=1.0)(severe, scores[:, 3], once)[0] == pytest.approx(
        auroc(severe, scores[:, 3])
    )
    assert np.isnan(partial_auroc(highest=0.1)([1, 1], [0.0, 1.0], np.ones((1, 2)))[0])
    with pytest.raises(ValueError, match="expected 0 <= lowest < highest <= 1"):
        partial_auroc(lowest=0.3, highest=0.2)
