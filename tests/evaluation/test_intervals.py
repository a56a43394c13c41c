"""Redraws of patients, their three kinds of interval, and paired differences, against slow ones and SciPy."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation import bootstrap_interval, paired_difference, weighted_auroc
from echossl.evaluation.intervals import INNER, INNER_DRAWS, difference_intervals, figure_intervals
from echossl.evaluation.resampling import (
    Clusters,
    difference_of,
    figure_of,
    resampled,
    without_each_patient,
)

CONFIG = BootstrapConfig(resamples=300, seed=2)


def studies(*, num_patients=24, seed=0):
    """Labels, two scores and patients of one to three studies."""
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(num_patients), generator.integers(1, 4, size=num_patients))
    labels = (np.arange(num_patients) % 3 == 0).astype(int)[patients]
    shared = generator.normal(size=num_patients)[patients] + 0.8 * labels
    return labels, shared + generator.normal(scale=0.7, size=(2, patients.size)), patients


def rows_of(patients, counts):
    return np.concatenate(
        [np.flatnonzero(patients == name) for name in np.repeat(range(len(counts)), counts)]
    )


def test_plain_draws_are_those_of_the_percentile_bootstrap():
    labels, scores, patients = studies()
    clusters = Clusters.of(patients)
    (found,) = figure_intervals(figure_of(weighted_auroc, labels, scores[0]), clusters, CONFIG)
    assert found == bootstrap_interval(labels, scores[0], patients, weighted_auroc, CONFIG)
    (found,) = difference_intervals(difference_of(weighted_auroc, labels, *scores), clusters, CONFIG)
    assert found == paired_difference(labels, *scores, patients, weighted_auroc, CONFIG)


def test_stratified_draws_keep_the_number_of_positive_patients():
    labels, scores, patients = studies()
    mixed = np.maximum(
        labels, np.arange(labels.size) == 1
    )  # patient 0 or 1 has a positive study among others
    clusters = Clusters.of(patients, strata=mixed)
    counts = np.concatenate(list(clusters.draws(CONFIG)))
    has_positive = np.array([mixed[patients == name].max() for name in range(24)])
    assert (counts[:, has_positive == 1].sum(axis=1) == has_positive.sum()).all()
    assert (counts.sum(axis=1) == 24).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.25)
    rare = (patients == 0).astype(int)
    figure = figure_of(weighted_auroc, rare, scores[0])
    assert figure_intervals(figure, Clusters.of(patients, strata=rare), CONFIG)[0].unusable == 0
    assert figure_intervals(figure, Clusters.of(patients), CONFIG)[0].unusable > 50


def test_leaving_one_patient_out_is_leaving_out_its_rows():
    labels, scores, patients = studies()
    found = without_each_patient(figure_of(weighted_auroc, labels, scores[0]), Clusters.of(patients))[0]
    for name in range(24):
        kept = patients != name
        expected = metrics.roc_auc_score(labels[kept], scores[0][kept])
        assert found[name] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_bca_equals_scipy_on_the_same_redraws(confidence):
    labels, scores, patients = studies()
    config = BootstrapConfig(resamples=500, confidence=confidence)
    clusters, figure = Clusters.of(patients), figure_of(weighted_auroc, labels, scores[0])
    (found,) = figure_intervals(figure, clusters, config, method="bca")

    def auroc_of(drawn):
        rows = rows_of(patients, np.bincount(drawn, minlength=24))
        return metrics.roc_auc_score(labels[rows], scores[0][rows])

    drawn = type("Drawn", (), {"bootstrap_distribution": resampled(figure, clusters, config)[0]})
    expected = stats.bootstrap(
        (np.arange(24),),
        auroc_of,
        n_resamples=0,
        confidence_level=confidence,
        method="BCa",
        vectorized=False,
        bootstrap_result=drawn,
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)
    plain = figure_intervals(figure, clusters, config)[0]
    assert found.value == plain.value
    assert (found.low, found.high) != (plain.low, plain.high)


def test_studentised_equals_a_bootstrap_within_the_bootstrap():
    labels, scores, patients = studies(num_patients=9)
    config = BootstrapConfig(resamples=100)
    clusters, figure = Clusters.of(patients), figure_of(weighted_auroc, labels, scores[0])
    (found,) = figure_intervals(figure, clusters, config, method="studentised")
    generator = np.random.default_rng([config.seed, INNER])
    outer = np.concatenate(list(clusters.draws(config)))
    places = generator.integers(9, size=(100, INNER_DRAWS, 9))
    figures, errors = [], []
    for counts, chosen in zip(outer, places, strict=True):
        drawn = np.repeat(np.arange(9), counts)
        inner = [
            score_again(labels, scores[0], patients, np.bincount(drawn[row], minlength=9)) for row in chosen
        ]
        figures.append(score_again(labels, scores[0], patients, counts))
        errors.append(np.nanstd(inner, ddof=1) if np.isfinite(inner).sum() > 1 else np.nan)
    figures, errors = np.array(figures), np.array(errors)
    usable = ~np.isnan(figures) & (errors > 1e-12)
    steps = (figures[usable] - found.value) / errors[usable]
    ends = found.value - np.quantile(steps, [0.975, 0.025]) * figures[usable].std(ddof=1)
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-12)
    assert found.unusable == 100 - usable.sum()


def score_again(labels, scores, patients, counts):
    rows = rows_of(patients, counts)
    positive, negative = scores[rows][labels[rows] == 1], scores[rows][labels[rows] == 0]
    if not positive.size or not negative.size:
        return np.nan
    return np.mean((np.sign(positive[:, None] - negative) + 1) / 2)


def test_redraws_are_draws_of_what_was_drawn():
    labels, _, patients = studies()
    clusters = Clusters.of(patients, strata=labels)
    outer = next(clusters.draws(BootstrapConfig(resamples=100)))[:2]
    again = clusters.redraws(outer, 4000, np.random.default_rng(0)).reshape(2, 4000, 24)
    np.testing.assert_allclose(again.mean(axis=1), outer, atol=0.12)
    assert (again[:, :, clusters.strata == 1].sum(axis=2) == 8).all()
    assert (again.transpose(0, 2, 1)[outer == 0] == 0).all()


@pytest.mark.parametrize("method", ["percentile", "bca", "studentised"])
def test_trap_29_redraws_without_a_class_are_counted(method):
    labels, scores = np.array([1, 1, 0, 0, 0, 0]), np.array([3.0, 1.5, 2.0, 3.5, 0.0, 1.0])
    config = BootstrapConfig(resamples=2000)
    (found,) = figure_intervals(
        figure_of(weighted_auroc, labels, scores), Clusters.of(np.arange(6)), config, method=method
    )
    missing = (4 / 6) ** 6 + (2 / 6) ** 6
    assert found.unusable / 2000 >= missing - 0.03
    assert np.isfinite([found.low, found.high]).all()


def test_where_a_method_has_no_answer_it_says_nan():
    labels, patients = np.array([0, 0, 0, 1, 1, 1]), np.arange(6)
    perfect = figure_of(weighted_auroc, labels, np.arange(6.0))
    for method, ends in {"percentile": (1.0, 1.0), "bca": (1.0, 1.0)}.items():
        (found,) = figure_intervals(perfect, Clusters.of(patients), CONFIG, method=method)
        assert (found.low, found.high) == ends
    (found,) = figure_intervals(perfect, Clusters.of(patients), CONFIG, method="studentised")
    assert np.isnan([found.low, found.high]).all()
    assert found.unusable == CONFIG.resamples
    lonely = figure_of(weighted_auroc, patients == 5, np.array([1.0, 2, 3, 4, 9, 5]))
    (found,) = figure_intervals(lonely, Clusters.of(patients), CONFIG, method="bca")
    assert np.isnan([found.low, found.high]).all()


def test_trap_26_the_default_is_two_thousand_redraws():
    assert BootstrapConfig().resamples >= 2000
    assert BootstrapConfig().confidence == 0.95
