"""Correlation and agreement against SciPy, scikit-learn and Bland and Altman's own data."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.evaluation.agreement import AGREEMENT_FIGURES, agreement_figures
from echossl.evaluation.correlation import weighted_pearson, weighted_spearman
from echossl.evaluation.intervals import figure_intervals
from echossl.evaluation.resampling import Clusters, figure_of

# peak expiratory flow of 17 people, first reading of the large and of the mini Wright meter (l/min)
LARGE = (494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427)
MINI = (512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451)


def measured(*, decimals=6, seed=0):
    """A peak velocity in m/s, a score and the weights of some redraws."""
    generator = np.random.default_rng(seed)
    velocity = generator.gamma(6, 0.4, size=50).round(decimals)
    score = (velocity**2 + generator.normal(scale=4, size=50)).round(decimals)
    return velocity, score, generator.integers(0, 4, size=(10, 50))


@pytest.mark.parametrize("decimals", [6, 0])
def test_correlations_equal_scipy_on_repeated_rows(decimals):
    velocity, score, weights = measured(decimals=decimals)
    pearson, spearman = (metric(velocity, score, weights) for metric in (weighted_pearson, weighted_spearman))
    for place, row in enumerate(weights):
        rows = np.repeat(np.arange(50), row)
        assert pearson[place] == pytest.approx(stats.pearsonr(velocity[rows], score[rows])[0], abs=1e-12)
        assert spearman[place] == pytest.approx(stats.spearmanr(velocity[rows], score[rows])[0], abs=1e-12)


def test_correlation_of_large_numbers_and_of_constant_ones():
    velocity, score, weights = measured()
    far = weighted_pearson(velocity + 1e9, score, weights)
    np.testing.assert_allclose(far, weighted_pearson(velocity, score, weights), atol=1e-6)
    for metric in (weighted_pearson, weighted_spearman):
        assert np.isnan(metric([2.0, 2.0, 2.0], [1.0, 2.0, 3.0], np.ones((1, 3)))[0])
        assert np.isnan(metric([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [[4, 0, 0]])[0])


def test_trap_26_correlation_has_a_patients_interval():
    velocity, score, _ = measured()
    nine = [np.repeat(column, 9) for column in (velocity, score, np.arange(50))]
    widths = []
    for patients in (nine[2], np.arange(450)):
        figure = figure_of(weighted_spearman, nine[0], nine[1])
        (found,) = figure_intervals(figure, Clusters.of(patients), BootstrapConfig(resamples=500))
        widths.append(found.high - found.low)
    assert widths[1] < 0.5 * widths[0]


def test_errors_equal_scikit_learn_on_repeated_rows():
    velocity, score, weights = measured()
    found = dict(zip(AGREEMENT_FIGURES, agreement_figures(velocity, score)(weights), strict=True))
    for place, row in enumerate(weights):
        rows = np.repeat(np.arange(50), row)
        pair = velocity[rows], score[rows]
        assert found["mae"][place] == pytest.approx(metrics.mean_absolute_error(*pair), abs=1e-12)
        assert found["r2"][place] == pytest.approx(metrics.r2_score(*pair), abs=1e-10)
        apart = pair[1] - pair[0]
        limits = apart.mean() + np.array([-1, 1]) * 1.959963984540054 * apart.std(ddof=1)
        assert [found["lower_limit"][place], found["upper_limit"][place]] == pytest.approx(limits, abs=1e-10)


def test_bland_and_altmans_own_example():
    """Lancet 1986: mean -2.1 l/min, standard deviation 38.8, limits -79.7 and 75.5 (2 of it)."""
    found = agreement_figures(MINI, LARGE)(np.ones((1, 17)))[:, 0]
    _, _, bias, low, high = found
    deviation = (high - low) / 2 / 1.959963984540054
    assert (bias, deviation) == (pytest.approx(-2.1, abs=0.05), pytest.approx(38.8, abs=0.05))
    assert round(bias, 1) - 2 * round(deviation, 1) == pytest.approx(-79.7)
    assert round(bias, 1) + 2 * round(deviation, 1) == pytest.approx(75.5)


def test_one_row_has_no_limits_and_no_spread():
    found = agreement_figures([2.0, 3.0], [2.5, 3.0])(np.array([[1, 0]]))[:, 0]
    assert found[[0, 2]].tolist() == [0.5, 0.5]
    assert np.isnan(found[[1, 3, 4]]).all()
