"""One threshold that is fixed beforehand, judged by every setting of the intervals."""

import numpy as np
import pytest
from scipy import stats

from echossl.config.evaluation import EvaluationConfig
from echossl.errors import UserError
from echossl.evaluation import Predictions
from echossl.evaluation.discrimination import clusters_of
from echossl.evaluation.points import judged_point
from echossl.evaluation.thresholds import OperatingPoint, judge

HALF = OperatingPoint("probability 50 %", 0.5, "none", frozenset())
CONFIG = EvaluationConfig(resamples=100, prevalence=0.1)


def _predictions(*, studies_each: int) -> Predictions:
    patients = np.repeat(np.arange(40), studies_each)
    labels = (patients % 4 == 0).astype(np.int64)
    scores = np.clip(0.3 + 0.3 * labels + np.random.default_rng(0).normal(size=patients.size) / 4, 0, 1)
    names = [values.astype(str) for values in (patients, np.arange(patients.size))]
    return Predictions("p.csv", "ill", *names, np.full(patients.size, "test"), labels, scores)


def _judged(predictions, config=CONFIG):
    return judged_point(HALF, predictions, clusters_of(predictions, config), config)


def test_plain_settings_are_the_percentile_bootstrap() -> None:
    table = _predictions(studies_each=2)
    found, plain = _judged(table), judge(HALF, table, CONFIG, prevalence=0.1)
    assert list(found.figures) == list(plain)
    for name, figure in found.figures.items():
        assert (figure.low, figure.high, figure.method) == (plain[name].low, plain[name].high, "percentile")


@pytest.mark.parametrize("setting", [{"method": "bca"}, {"stratified": True}])
def test_method_and_strata_have_their_effect(setting) -> None:
    table = _predictions(studies_each=2)
    found = _judged(table, CONFIG.model_copy(update=setting)).figures["mcc"]
    plain = _judged(table).figures["mcc"]
    assert found.value == plain.value
    assert (found.low, found.high) != (plain.low, plain.high)
    assert found.method == setting.get("method", "percentile")


def test_intervals_from_counts_need_a_study_per_patient() -> None:
    config = CONFIG.model_copy(update={"proportions": "clopper_pearson"})
    point = _judged(_predictions(studies_each=1), config)
    hits, misses = point.counts["true_positives"], point.counts["false_negatives"]
    expected = stats.binomtest(hits, hits + misses).proportion_ci(method="exact")
    figure = point.figures["sensitivity"]
    assert (figure.low, figure.high) == pytest.approx((expected.low, expected.high))
    assert figure.method == "clopper_pearson"
    with pytest.raises(UserError, match="80 studies are of 40 patients; take proportions=bootstrap"):
        _judged(_predictions(studies_each=2), config)
