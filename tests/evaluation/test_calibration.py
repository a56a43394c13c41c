"""Calibration and decision curves against scikit-learn and plain loops."""

import numpy as np
import plain_statistics
import pytest
from scipy import special
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.brier import BRIER_FIGURES, brier_figures, equal_mass_bins
from echossl.evaluation.calibration import (
    CALIBRATION_FIGURES,
    calibration_bins,
    calibration_figures,
    chance_calibration_error,
)
from echossl.evaluation.decision import net_benefit, net_benefit_of_all
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.logistic import fit_logistic
from echossl.evaluation.resampling import Clusters
from echossl.evaluation.smooth import smooth_calibration


def forecasts(*, n=120, slope=0.6, intercept=-0.4, decimals=6, seed=0):
    """Labels whose log odds are ``slope`` times those that are said, plus ``intercept``; redraws' weights."""
    generator = np.random.default_rng(seed)
    said = generator.normal(scale=1.5, size=n)
    labels = (generator.random(n) < special.expit(slope * said + intercept)).astype(int)
    return labels, special.expit(said).round(decimals), generator.integers(0, 4, size=(8, n))


def calibration(labels, probabilities, weights, **settings):
    figures = calibration_figures(labels, probabilities, **settings)(weights)
    return dict(zip(CALIBRATION_FIGURES, figures, strict=True))


def test_intercept_and_slope_equal_scikit_learn():
    labels, chances, weights = forecasts()
    found = calibration(labels, chances, weights)
    log_odds = special.logit(chances)
    for place, row in enumerate(weights):
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(log_odds[:, None], labels, row)
        assert found["calibration_slope"][place] == pytest.approx(model.coef_[0, 0], abs=1e-6)
        # scikit-learn has no offset: the intercept is where expected and observed positives agree
        shifted = special.expit(log_odds + found["calibration_intercept"][place])
        assert np.sum(row * shifted) == pytest.approx(np.sum(row * labels), abs=1e-8)


def test_intercept_and_slope_find_what_was_simulated():
    labels, chances, _ = forecasts(n=40000)
    in_the_large, slope, _, _ = calibration_figures(labels, chances)(np.ones((1, 40000)))[:, 0]
    assert slope == pytest.approx(0.6, abs=0.04)
    assert in_the_large == pytest.approx(-0.45, abs=0.1)
    labels, chances, _ = forecasts(n=40000, slope=1.0, intercept=0.0)
    in_the_large, slope, _, error = calibration_figures(labels, chances)(np.ones((1, 40000)))[:, 0]
    assert (slope, in_the_large, error) == (
        pytest.approx(1, abs=0.04),
        pytest.approx(0, abs=0.04),
        pytest.approx(0, abs=0.01),
    )


def test_trap_29_where_no_line_fits_it_is_nan_and_counted():
    labels, log_odds = np.array([0, 0, 1, 1]), np.array([-2.0, -1.0, 1.0, 2.0])
    found = calibration(labels, special.expit(log_odds), np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 2, 2, 0]]))
    assert np.isnan(found["calibration_slope"]).all()
    assert np.isnan(found["calibration_intercept"]).tolist() == [False, True, False]
    assert np.isfinite([found["brier"], found["ece"]]).all()
    labels, chances, _ = forecasts(n=12)
    intervals = figure_intervals(
        calibration_figures(labels, chances), Clusters.of(np.arange(12)), BootstrapConfig()
    )
    assert intervals[1].unusable > 0
    assert intervals[2].unusable == 0


def test_newton_with_halved_steps_comes_home_from_far():
    generator = np.random.default_rng(0)
    far = generator.choice([-40.0, 35.0], size=200)
    labels = generator.integers(2, size=200).astype(float)
    found = fit_logistic(np.ones((1, 200)), labels, np.ones((1, 200)), far)[0, 0]
    assert special.expit(far + found).sum() == pytest.approx(labels.sum(), abs=1e-6)


@pytest.mark.parametrize("decimals", [6, 1])
def test_brier_and_its_parts(decimals):
    labels, chances, weights = forecasts(decimals=decimals)
    found = dict(zip(BRIER_FIGURES, brier_figures(labels, chances, num_bins=7)(weights), strict=True))
    for place, row in enumerate(weights):
        expected = metrics.brier_score_loss(labels, chances, sample_weight=row)
        assert found["brier"][place] == pytest.approx(expected, abs=1e-12)
        rows = np.repeat(np.arange(labels.size), row)
        codes = equal_mass_bins(chances, 7)[rows]
        parts = plain_statistics.brier_parts(labels[rows], chances[rows], codes)
        names = ("reliability", "resolution", "uncertainty")
        assert [found[name][place] for name in names] == pytest.approx(parts, abs=1e-12)
    total = found["reliability"] - found["resolution"] + found["uncertainty"] + found["within_bins"]
    np.testing.assert_allclose(total, found["brier"], atol=1e-14)
    if decimals == 1:
        own = brier_figures(labels, chances, num_bins=200)(weights)
        np.testing.assert_allclose(own[4], 0, atol=1e-12)  # a bin per probability: Murphy's three parts


def test_calibration_error_by_hand_and_by_loop():
    labels, chances, weights = forecasts()
    found = calibration(labels, chances, weights, num_bins=5)["ece"]
    codes = equal_mass_bins(chances, 5)
    assert np.bincount(codes).tolist() == [24] * 5
    for value, row in zip(found, weights, strict=True):
        rows = np.repeat(np.arange(labels.size), row)
        expected = plain_statistics.calibration_error(labels[rows], chances[rows], codes[rows])
        assert value == pytest.approx(expected, abs=1e-12)
    bins = calibration_bins(labels, chances, num_bins=5)
    assert sum(rows for _, _, rows in bins) == 120
    by_hand = sum(abs(mean * rows - positives) for mean, positives, rows in bins) / 120
    once = calibration(labels, chances, np.ones((1, 120)), num_bins=5)["ece"][0]
    assert by_hand == pytest.approx(once, abs=1e-12)


def test_the_bias_of_the_calibration_error_is_said():
    chances = forecasts(n=60)[1]
    found = chance_calibration_error(chances, draws=4000)
    generator = np.random.default_rng(5)
    errors = [
        calibration(generator.random(60) < chances, chances, np.ones((1, 60)))["ece"][0] for _ in range(400)
    ]
    assert found == pytest.approx(np.mean(errors), abs=0.01)
    assert found > 0.08  # a perfect model of 60 studies
    assert chance_calibration_error(forecasts(n=20000)[1], draws=100) < 0.01


def test_equal_probabilities_share_a_bin():
    codes = equal_mass_bins([0.1] * 50 + [0.2, 0.3], 10)
    assert len(set(codes[:50].tolist())) == 1
    assert equal_mass_bins([0.5, 0.5], 10).tolist() == [0, 0]


@pytest.mark.parametrize("span", [0.3, 0.75, 1.0])
def test_smooth_curve_equals_a_weighted_line_at_every_place(span):
    labels, chances, weights = forecasts()
    places = np.quantile(chances, [0.05, 0.3, 0.6, 0.95])
    found = smooth_calibration(labels, chances, places, span=span)(weights)
    for place, at in enumerate(places):
        for number, row in enumerate(weights):
            expected = plain_statistics.local_line(labels, chances, row, at, round(span * 120))
            assert found[place, number] == pytest.approx(np.clip(expected, 0, 1), abs=1e-9)


def test_smooth_curve_finds_what_was_simulated_and_bears_ties():
    labels, chances, _ = forecasts(n=5000)
    places = np.array([0.2, 0.5, 0.8])
    found = smooth_calibration(labels, chances, places, span=0.2)(np.ones((1, 5000)))[:, 0]
    assert found == pytest.approx(special.expit(0.6 * special.logit(places) - 0.4), abs=0.05)
    tied = smooth_calibration([0, 1, 1, 0], [0.5, 0.5, 0.5, 0.9], [0.5, 0.9], span=0.5)(np.ones((1, 4)))
    assert tied[0, 0] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="expected above 0, at most 1"):
        smooth_calibration([0, 1], [0.1, 0.2], [0.1], span=0)


def test_net_benefit_equals_its_definition():
    labels, chances, weights = forecasts()
    thresholds = np.array([0.0, 0.05, 0.1, 0.5, 0.9])
    found, of_all = (
        net_benefit(labels, chances, thresholds)(weights),
        net_benefit_of_all(labels, thresholds)(weights),
    )
    for place, row in enumerate(weights):
        rows = np.repeat(np.arange(labels.size), row)
        for number, threshold in enumerate(thresholds):
            expected = plain_statistics.net_benefit(labels[rows], chances[rows], threshold)
            assert found[number, place] == pytest.approx(expected, abs=1e-12)
            expected = plain_statistics.net_benefit(labels[rows], np.ones(rows.size), threshold)
            assert of_all[number, place] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(found[0], of_all[0])
    with pytest.raises(ValueError, match="expected 0 to below 1"):
        net_benefit(labels, chances, [1.0])
