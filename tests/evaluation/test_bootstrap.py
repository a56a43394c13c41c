"""Intervals and p-values against resampling done the slow way, and against simulated truth."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation import (
    METRICS,
    bootstrap_interval,
    paired_difference,
    weighted_auroc,
    weighted_average_precision,
)
from echossl.evaluation.bootstrap import patient_counts, resampled_metric, two_sided_p_value

REFERENCES = {"auroc": metrics.roc_auc_score, "auprc": metrics.average_precision_score}


def clustered(*, num_patients=40, studies=3, effect=1.0, seed=0):
    """Labels, scores and patients; studies of a patient share label and most of the noise."""
    generator = np.random.default_rng(seed)
    positive = generator.random(num_patients) < 0.4
    positive[:2] = [False, True]
    of_patient = generator.normal(size=num_patients) + effect * positive
    patients = np.repeat(np.arange(num_patients), generator.integers(1, studies + 1, size=num_patients))
    scores = of_patient[patients] + generator.normal(scale=0.5, size=patients.size)
    return positive[patients].astype(int), scores, patients


def slow_samples(labels, scores, patients, reference, config):
    """Copy the rows of every drawn patient and score them again."""
    names = np.unique(patients)
    figures = []
    for counts in np.concatenate(list(patient_counts(len(names), config))):
        drawn_names = np.repeat(names, counts)
        drawn = np.concatenate([np.flatnonzero(patients == name) for name in drawn_names])
        both = len(set(labels[drawn])) == 2
        figures.append(reference(labels[drawn], scores[drawn]) if both else np.nan)
    return np.array(figures)


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("decimals", [8, 0])
def test_equals_resample_and_rescore(name, decimals):
    labels, scores, patients = clustered(num_patients=12)
    scores, config = scores.round(decimals), BootstrapConfig(resamples=150, seed=3)
    expected = slow_samples(labels, scores, patients, REFERENCES[name], config)
    found = resampled_metric(labels, scores[None], patients, METRICS[name], config)[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    interval = bootstrap_interval(labels, scores, patients, METRICS[name], config)
    low, high = np.nanpercentile(expected, [2.5, 97.5])
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert interval.value == pytest.approx(REFERENCES[name](labels, scores), abs=1e-12)


def test_counts_are_draws_with_replacement():
    config = BootstrapConfig(resamples=4000)
    counts = np.concatenate(list(patient_counts(10, config)))
    assert counts.shape == (4000, 10)
    assert (counts.sum(axis=1) == 10).all()
    # multinomial: mean 1, variance 1 - 1/10
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.06)
    np.testing.assert_allclose(counts.var(axis=0), 0.9, atol=0.08)


def test_chunks_change_nothing(monkeypatch):
    config = BootstrapConfig(resamples=333, seed=5)
    whole = np.concatenate(list(patient_counts(17, config)))
    monkeypatch.setattr("echossl.evaluation.bootstrap.ENTRIES_PER_CHUNK", 100)
    np.testing.assert_array_equal(np.concatenate(list(patient_counts(17, config))), whole)


def test_deterministic_from_the_seed_and_blind_to_names_and_row_order():
    labels, scores, patients = clustered()
    one = bootstrap_interval(labels, scores, patients, weighted_auroc, BootstrapConfig(seed=1))
    assert one == bootstrap_interval(labels, scores, patients, weighted_auroc, BootstrapConfig(seed=1))
    other = bootstrap_interval(labels, scores, patients, weighted_auroc, BootstrapConfig(seed=2))
    assert (one.low, one.high) != (other.low, other.high)
    names = np.array([f"patient {number:03d}" for number in patients])
    order = np.random.default_rng(0).permutation(len(labels))
    again = bootstrap_interval(
        labels[order], scores[order], names[order], weighted_auroc, BootstrapConfig(seed=1)
    )
    assert (again.low, again.high) == (pytest.approx(one.low), pytest.approx(one.high))


def test_trap_26_the_interval_is_the_middle_95_percent():
    labels, scores, patients = clustered()
    config = BootstrapConfig(resamples=1000)
    samples = resampled_metric(labels, scores[None], patients, weighted_auroc, config)[0]
    interval = bootstrap_interval(labels, scores, patients, weighted_auroc, config)
    assert (interval.low, interval.high) == pytest.approx(np.percentile(samples, [2.5, 97.5]), abs=1e-12)
    assert interval.confidence == 0.95
    narrow = bootstrap_interval(labels, scores, patients, weighted_auroc, BootstrapConfig(confidence=0.5))
    assert interval.low < narrow.low < narrow.value < narrow.high < interval.high


def test_trap_26_rows_of_one_patient_are_no_new_evidence():
    labels, scores, patients = clustered(studies=1)
    config = BootstrapConfig(resamples=500)
    once = bootstrap_interval(labels, scores, patients, weighted_auroc, config)
    nine = [np.repeat(column, 9) for column in (labels, scores, patients)]
    clustered_interval = bootstrap_interval(*nine, weighted_auroc, config)
    assert clustered_interval.low == pytest.approx(once.low, abs=1e-12)
    assert clustered_interval.high == pytest.approx(once.high, abs=1e-12)
    by_video = bootstrap_interval(nine[0], nine[1], np.arange(len(nine[0])), weighted_auroc, config)
    assert by_video.high - by_video.low < 0.5 * (once.high - once.low)


def test_trap_29_resamples_without_a_class_are_counted_and_left_out():
    labels, scores = np.array([1, 0, 0, 0, 0, 0]), np.array([3.0, 1.0, 2.0, 3.5, 0.0, 1.0])
    config = BootstrapConfig(resamples=3000)
    for metric in METRICS.values():
        interval = bootstrap_interval(labels, scores, np.arange(6), metric, config)
        # the one positive patient is missed by (5/6)^6 of the resamples, and drawn alone by almost none
        assert interval.unusable / 3000 == pytest.approx((5 / 6) ** 6, abs=0.03)
        assert np.isfinite([interval.low, interval.high]).all()
        difference = paired_difference(labels, scores, -scores, np.arange(6), metric, config)
        assert difference.unusable == interval.unusable


def test_trap_28_p_is_never_zero():
    labels, scores, patients = clustered(effect=8.0)
    difference = paired_difference(
        labels, scores, -scores, patients, weighted_auroc, BootstrapConfig(resamples=500)
    )
    assert difference.low > 0.9
    assert difference.p_value == pytest.approx(2 / 501)
    assert two_sided_p_value(np.zeros(100)) == 1.0
    assert two_sided_p_value(np.full(100, 1e-17)) == 1.0
    assert two_sided_p_value(np.array([-1.0, 1.0, 2.0, 3.0, np.nan])) == pytest.approx(2 * 2 / 5)


def test_trap_28_the_difference_is_paired():
    labels, scores, patients = clustered()
    better = scores + 0.15 * labels
    config = BootstrapConfig(resamples=1000)
    difference = paired_difference(labels, better, scores, patients, weighted_auroc, config)
    apart = [
        bootstrap_interval(labels, column, patients, weighted_auroc, config) for column in (better, scores)
    ]
    assert difference.value == pytest.approx(apart[0].value - apart[1].value)
    unpaired_width = np.hypot(*[interval.high - interval.low for interval in apart])
    assert difference.high - difference.low < unpaired_width / 3
    swapped = paired_difference(labels, scores, better, patients, weighted_auroc, config)
    assert (swapped.value, swapped.low, swapped.high) == pytest.approx(
        (-difference.value, -difference.high, -difference.low)
    )
    assert swapped.p_value == difference.p_value


def test_the_same_score_twice_differs_by_nothing():
    labels, scores, patients = clustered()
    same = paired_difference(labels, scores, scores, patients, weighted_average_precision, BootstrapConfig())
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_p_value_agrees_with_the_interval():
    labels, scores, patients = clustered(num_patients=60)
    noise = np.random.default_rng(9).normal(size=scores.size)
    for share in np.linspace(0, 2, 15):
        found = paired_difference(
            labels, scores, scores + share * noise, patients, weighted_auroc, BootstrapConfig()
        )
        outside = found.low > 0 or found.high < 0
        assert outside == (found.p_value < 0.05) or abs(found.p_value - 0.05) < 0.005


def test_coverage_on_clustered_studies():
    """200 data sets of 80 patients with 1 to 3 correlated studies: about 95 % of intervals hold the truth."""
    truth = stats.norm.cdf(1 / np.sqrt(2 * (1 + 0.25)))  # positives and negatives are different patients
    config = BootstrapConfig(resamples=400)
    held = 0
    for seed in range(200):
        labels, scores, patients = clustered(num_patients=80, seed=seed)
        interval = bootstrap_interval(labels, scores, patients, weighted_auroc, config)
        held += interval.low <= truth <= interval.high
    assert 0.90 <= held / 200 <= 0.98


def test_ten_thousand_resamples_fit_in_200_megabytes():
    generator = np.random.default_rng(0)
    labels = (generator.random(2000) < 0.1).astype(int)
    scores = generator.normal(size=2000) + labels
    tracemalloc.start()
    for metric in METRICS.values():
        bootstrap_interval(labels, scores, np.arange(2000), metric, BootstrapConfig(resamples=10000))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 200e6
