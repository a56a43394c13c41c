"""Pairs within the folds of a cross-validation: compared with every pair one by one."""

import numpy as np

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation import weighted_auroc
from echossl.evaluation.folds import within_folds
from echossl.evaluation.resampling import Clusters, of_sample, resampled


def made_up(repeats: int = 2, count: int = 60):
    generator = np.random.default_rng(5)
    labels = (generator.random(count) < 0.4).astype(int)
    folds = np.stack([generator.permutation(np.arange(count) % 4) for _ in range(repeats)])
    scores = labels + generator.normal(size=(repeats, count)).round(1) + 10.0 * folds
    return labels, scores, folds


def by_pairs(labels, scores, folds, weights) -> float:
    """Slow and plain: one repeat after the other, pair by pair."""
    shares = []
    for own, part in zip(scores, folds, strict=True):
        ordered = pairs = 0.0
        for i in np.flatnonzero(labels == 1):
            for j in np.flatnonzero((labels == 0) & (part == part[i])):
                pairs += weights[i] * weights[j]
                ordered += weights[i] * weights[j] * (float(own[i] > own[j]) + 0.5 * float(own[i] == own[j]))
        shares.append(ordered / pairs)
    return float(np.mean(shares))


def test_as_pair_by_pair_for_any_weights() -> None:
    labels, scores, folds = made_up()
    weights = np.random.default_rng(6).integers(0, 4, (8, labels.size))
    found = within_folds(labels, scores, folds)(weights)
    assert found.shape == (1, 8)
    expected = [by_pairs(labels, scores, folds, own) for own in weights]
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-12)


def test_levels_of_the_folds_do_not_matter() -> None:
    labels, scores, folds = made_up()
    once = np.ones((1, labels.size))
    found = within_folds(labels, scores, folds)(once)
    np.testing.assert_allclose(within_folds(labels, scores - 10 * folds, folds)(once), found, atol=1e-12)
    assert found[0, 0] > weighted_auroc(labels, scores[0], once)[0] + 0.05


def test_one_fold_is_the_plain_auroc() -> None:
    labels, scores, _ = made_up()
    weights = np.random.default_rng(7).integers(0, 3, (5, labels.size))
    found = within_folds(labels, scores[0], np.zeros(labels.size))(weights)
    np.testing.assert_allclose(found[0], weighted_auroc(labels, scores[0], weights), atol=1e-12)


def test_without_a_pair_it_is_undefined() -> None:
    found = within_folds([1, 0, 1], [0.3, 0.1, 0.2], [0, 1, 1])(np.array([[1, 1, 0], [1, 1, 1]]))
    assert np.isnan(found[0, 0])
    assert found[0, 1] == 1


def test_resampled_by_patient() -> None:
    labels, scores, folds = made_up()
    figures, clusters = within_folds(labels, scores, folds), Clusters.of(np.arange(labels.size) // 2)
    samples = resampled(figures, clusters, BootstrapConfig(resamples=300))
    assert samples.shape == (1, 300)
    low, high = np.nanquantile(samples, [0.025, 0.975])
    assert low < of_sample(figures, clusters)[0] < high
