"""DeLong's variance against every pair, a published worked example and simulated spread."""

import numpy as np
import plain_statistics
import pytest
from scipy import stats

from echossl.errors import UserError
from echossl.evaluation import auroc
from echossl.evaluation.delong import delong


def studies(*, num_patients=25, seed=0, decimals=8):
    """Labels that may differ within a patient, two correlated scores, patients of 1 to 4 studies."""
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(num_patients), generator.integers(1, 5, size=num_patients))
    labels = (generator.random(patients.size) < 0.4).astype(int)
    labels[:2] = [0, 1]
    shared = generator.normal(size=num_patients)[patients]
    columns = labels + shared + generator.normal(size=(2, patients.size))
    return labels, columns.round(decimals), patients


@pytest.mark.parametrize("decimals", [8, 0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("by_patient", [False, True])
def test_equals_every_pair(decimals, seed, by_patient):
    labels, columns, patients = studies(seed=seed, decimals=decimals)
    found = delong(labels, columns, patients if by_patient else None)
    areas, covariance = plain_statistics.u_statistic_covariance(
        labels, columns, patients if by_patient else None
    )
    np.testing.assert_allclose(found.aurocs, areas, atol=1e-14)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-15, rtol=1e-10)


def test_hanley_and_mcneil_1982_as_the_stata_manual_works_it():
    """109 computed tomograms in five grades (Radiology 143:29, table I).

    Stata's manual, entry ``roctab``: area 0.8932, standard error 0.0307, plain interval 0.83295-0.95339.
    """
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    labels = np.repeat([0, 1], [sum(normal), sum(abnormal)])
    scores = np.concatenate([np.repeat(range(1, 6), normal), np.repeat(range(1, 6), abnormal)])
    found = delong(labels, scores)
    error = np.sqrt(found.covariance[0, 0])
    assert found.aurocs[0] == pytest.approx(0.8932, abs=5e-5)
    assert error == pytest.approx(0.0307, abs=5e-5)
    plain = found.aurocs[0] + stats.norm.ppf([0.025, 0.975]) * error
    assert plain == pytest.approx([0.83295, 0.95339], abs=5e-6)
    low, high = found.interval()
    assert 0.80 < low < plain[0]
    assert found.aurocs[0] < high < plain[1]


def test_the_logit_interval_by_hand():
    labels, columns, _ = studies()
    found = delong(labels, columns)
    area, error = found.aurocs[1], np.sqrt(found.covariance[1, 1])
    centre = np.log(area / (1 - area))
    reach = 1.6448536269514722 * error / (area * (1 - area))
    expected = [1 / (1 + np.exp(-(centre - reach))), 1 / (1 + np.exp(-(centre + reach)))]
    assert found.interval(1, confidence=0.9) == pytest.approx(expected, abs=1e-12)


def test_trap_26_studies_of_one_patient_are_no_new_evidence():
    labels, columns, _ = studies()
    nine = delong(np.repeat(labels, 9), np.repeat(columns, 9, axis=1), np.repeat(np.arange(labels.size), 9))
    once = delong(labels, columns)
    np.testing.assert_allclose(nine.covariance, once.covariance, rtol=1e-10)
    by_study = delong(np.repeat(labels, 9), np.repeat(columns, 9, axis=1))
    assert by_study.covariance[0, 0] < 0.2 * once.covariance[0, 0]


def test_trap_28_the_test_is_paired_and_p_is_never_zero():
    labels, columns, _ = studies(num_patients=60)
    near = np.stack([columns[0], columns[0] + 0.05 * columns[1]])
    found = delong(labels, near)
    contrast = found.covariance[0, 0] + found.covariance[1, 1] - 2 * found.covariance[0, 1]
    z, p_value = found.test()
    assert z == pytest.approx((found.aurocs[0] - found.aurocs[1]) / np.sqrt(contrast))
    assert p_value == pytest.approx(2 * stats.norm.cdf(-abs(z)))
    assert found.test(1, 0) == pytest.approx((-z, p_value))
    unpaired = (found.aurocs[0] - found.aurocs[1]) / np.sqrt(found.covariance.trace())
    assert abs(z) > 2 * abs(unpaired)
    far = np.repeat(labels, 500) + np.random.default_rng(0).normal(scale=0.3, size=500 * labels.size)
    assert 0 < delong(np.repeat(labels, 500), [far, -far]).test()[1] < 1e-100


def test_the_same_score_twice_and_a_perfect_one():
    labels, columns, _ = studies()
    assert delong(labels, [columns[0], columns[0]]).test() == (0.0, 1.0)
    perfect = delong([0, 0, 1, 1], [[1.0, 2, 3, 4], [4.0, 3, 2, 1]])
    assert np.isnan([*perfect.interval(), *perfect.test()]).all()


def test_one_class_is_refused():
    with pytest.raises(UserError, match="0 positive and 3 negative rows"):
        delong([0, 0, 0], [1.0, 2.0, 3.0])


def test_the_clustered_error_is_the_spread_of_simulated_areas():
    found, areas, plain = [], [], []
    for seed in range(400):
        labels, columns, patients = studies(num_patients=80, seed=seed)
        areas.append(auroc(labels, columns[0]))
        found.append(delong(labels, columns[0], patients).covariance[0, 0])
        plain.append(delong(labels, columns[0]).covariance[0, 0])
    assert np.mean(found) == pytest.approx(np.var(areas), rel=0.15)
