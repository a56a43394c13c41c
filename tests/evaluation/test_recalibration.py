"""Recalibration is learnt on one split, used on another, and equals scikit-learn's."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression

from echossl.errors import UserError
from echossl.evaluation import Predictions
from echossl.evaluation.calibration import calibration_figures
from echossl.evaluation.recalibration import recalibrate


def predictions(split, *, first_patient=0, n=150, decimals=3, seed=0):
    """Scores three times as bold as they should be, and shifted."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=n)
    labels = (generator.random(n) < special.expit(1.5 * truth - 1)).astype(np.int64)
    names = np.arange(first_patient, first_patient + n).astype(str)
    return Predictions(
        source="predictions.csv",
        column="severe_as",
        patients=names,
        studies=names,
        splits=np.full(n, split),
        labels=labels,
        scores=(4.5 * truth - 1).round(decimals),
    )


def targets(labels):
    positives, negatives = labels.sum(), (1 - labels).sum()
    return np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))


def test_platt_equals_scikit_learn():
    table = predictions("val")
    found = recalibrate(table, "platt")
    slope, intercept = _sigmoid_calibration(table.scores, table.labels)
    assert (found.slope, found.intercept) == (
        pytest.approx(-slope, abs=1e-3),
        pytest.approx(-intercept, abs=1e-3),
    )
    assert found.probabilities([1.5]) == pytest.approx(special.expit(found.slope * 1.5 + found.intercept))


def test_temperature_has_the_least_loss():
    table = predictions("val")

    def loss(temperature):
        log_odds = table.scores / temperature
        return np.sum(np.logaddexp(0, log_odds) - targets(table.labels) * log_odds)

    best = optimize.minimize_scalar(loss, bounds=(0.01, 50), method="bounded", options={"xatol": 1e-10}).x
    found = recalibrate(table, "temperature")
    assert 1 / found.slope == pytest.approx(best, abs=1e-5)
    assert found.intercept == 0.0


@pytest.mark.parametrize("decimals", [3, 0])
def test_isotonic_equals_scikit_learn(decimals):
    table = predictions("val", decimals=decimals)
    other = predictions("test", first_patient=1000, seed=1, decimals=decimals)
    model = IsotonicRegression(out_of_bounds="clip").fit(table.scores, table.labels)
    found = recalibrate(table, "isotonic").apply(other)
    np.testing.assert_allclose(found, model.predict(other.scores), atol=1e-12)


@pytest.mark.parametrize("name", ["temperature", "platt", "isotonic"])
def test_probabilities_mend_on_the_other_split(name):
    table = predictions("val", n=1500)
    other = predictions("test", first_patient=5000, n=1500, seed=1)
    once = np.ones((1, 1500))
    before = calibration_figures(other.labels, special.expit(other.scores))(once)[:, 0]
    after = calibration_figures(other.labels, recalibrate(table, name).apply(other))(once)[:, 0]
    assert before[1] < 0.45
    assert after[2] < before[2] - 0.01
    if name == "platt":
        assert after[:2] == pytest.approx([0, 1], abs=0.2)


def test_parted_classes_still_have_a_finite_fit():
    table = predictions("val", n=8)
    parted = replace(table, labels=(table.scores > np.median(table.scores)).astype(np.int64))
    for name in ("temperature", "platt"):
        assert 0 < recalibrate(parted, name).slope < 50


def test_trap_27_nothing_is_fitted_where_it_is_judged():
    table = predictions("val")
    fitted = recalibrate(table, "platt")
    with pytest.raises(
        UserError, match="platt recalibration comes from split 'val', which shares 150 patients"
    ):
        fitted.apply(table)
    with pytest.raises(UserError, match="shares 50 patients"):
        fitted.apply(predictions("test", first_patient=100))
    mixed = replace(table, splits=np.where(table.labels == 1, "test", "val"))
    with pytest.raises(UserError, match="holds the splits test, val, expected the validation split alone"):
        recalibrate(mixed, "platt")


def test_scores_that_fall_with_the_label_are_refused():
    table = predictions("val")
    turned = replace(table, scores=-table.scores)
    with pytest.raises(
        UserError, match="severe_as does not rise with its score on split 'val' by platt; check"
    ):
        recalibrate(turned, "platt")
    shifted = replace(table, scores=table.scores + 50)
    with pytest.raises(UserError, match="or take platt, which also shifts it"):
        recalibrate(shifted, "temperature")
    with pytest.raises(UserError, match="expected both 0 and 1"):
        recalibrate(replace(table, labels=np.ones_like(table.labels)), "isotonic")
