"""R2 under many weightings equals scikit-learn's on copied rows."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from echossl.evaluation.regression import weighted_r2


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_weights_are_repeated_rows(offset: float) -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=40) + offset
    predicted = truth + generator.normal(size=40)
    counts = generator.multinomial(40, np.full(40, 1 / 40), size=30)
    found = weighted_r2(truth, predicted, counts)
    expected = [r2_score(np.repeat(truth, own), np.repeat(predicted, own)) for own in counts]
    assert found == pytest.approx(expected, abs=1e-7 if offset else 1e-12)


def test_the_truth_itself_its_mean_and_worse() -> None:
    truth, once = np.arange(10.0), np.ones((1, 10))
    assert weighted_r2(truth, truth, once)[0] == 1
    assert weighted_r2(truth, np.full(10, 4.5), once)[0] == pytest.approx(0, abs=1e-12)
    assert weighted_r2(truth, truth[::-1], once)[0] < 0


def test_trap_29_a_resample_of_one_value_is_marked_and_not_a_crash() -> None:
    truth = np.array([0.1, 0.1, 0.7])
    weights = np.array([[1, 2, 0], [0, 0, 3], [1, 1, 1]])
    found = weighted_r2(truth, truth + 0.2, weights)
    assert np.isnan(found).tolist() == [True, True, False]
    assert np.isnan(weighted_r2(np.full(3, 2.0), truth, weights)).all()
