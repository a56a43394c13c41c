"""Operating points, what their calls are worth, and intervals of proportions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation import Predictions
from echossl.evaluation.operating import OPERATING_FIGURES, operating_figures
from echossl.evaluation.proportions import clopper_pearson, wilson
from echossl.evaluation.thresholds import OperatingPoint, choose, judge

CONFIG = BootstrapConfig(resamples=400)


def predictions(split, *, first_patient=0, num_patients=60, decimals=2, seed=0):
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(num_patients), generator.integers(1, 4, size=num_patients))
    labels = (np.arange(num_patients) % 4 == 0).astype(np.int64)[patients]
    scores = (generator.normal(size=patients.size) + 1.3 * labels).round(decimals)
    return Predictions(
        source="predictions.csv",
        column="severe_as",
        patients=np.array([f"p{first_patient + number}" for number in patients]),
        studies=np.arange(patients.size).astype(str),
        splits=np.full(patients.size, split),
        labels=labels,
        scores=scores,
    )


@pytest.mark.parametrize("decimals", [2, 0])
@pytest.mark.parametrize("target", [0.9, 0.75])
@pytest.mark.parametrize("rule", ["sensitivity", "specificity", "youden"])
def test_a_threshold_is_the_best_of_all(rule, target, decimals):
    table = predictions("val", decimals=decimals)
    point = choose(table, rule, target)
    found = {}
    for threshold in [*sorted(set(table.scores.tolist())), np.inf]:
        called = table.scores >= threshold
        found[threshold] = (called[table.labels == 1].mean(), 1 - called[table.labels == 0].mean())
    if rule == "sensitivity":
        expected = max(key for key, (sensitivity, _) in found.items() if sensitivity >= target)
    elif rule == "specificity":
        expected = min(key for key, (_, specificity) in found.items() if specificity >= target)
    else:
        expected = max(found, key=lambda key: (round(sum(found[key]), 12), key))
    assert point.threshold == expected
    assert point.split == "val"
    assert point.rule == (rule if rule == "youden" else f"{rule} {target:.0%}".replace("%", " %"))


def test_a_specificity_out_of_reach_calls_nothing():
    table = predictions("val")
    table.scores[table.labels == 0] += 100
    point = choose(table, "specificity")
    assert point.threshold > table.scores[table.labels == 1].max()
    table.scores[:] = 0.0
    assert choose(table, "specificity").threshold == np.inf
    assert choose(table, "sensitivity").threshold == 0.0


def test_trap_27_a_threshold_is_not_judged_where_it_was_chosen():
    point = choose(predictions("test"), "youden")
    with pytest.raises(UserError, match="threshold for youden comes from split 'test', which shares 60 pat"):
        judge(point, predictions("test"), CONFIG)
    with pytest.raises(UserError, match="shares 10 patients with the studies it would be judged by"):
        judge(choose(predictions("val"), "youden"), predictions("test", first_patient=50), CONFIG)
    table = predictions("val")
    both = replace(table, splits=np.where(table.labels == 1, "test", "val"))
    with pytest.raises(UserError, match="holds the splits test, val, expected the validation split alone"):
        choose(both, "youden")


def test_judged_on_the_other_split_with_a_patients_interval():
    point = choose(predictions("val"), "sensitivity")
    test = predictions("test", first_patient=1000, seed=1)
    found = judge(point, test, CONFIG, prevalence=0.015)
    assert tuple(found) == OPERATING_FIGURES
    called = test.scores >= point.threshold
    assert found["sensitivity"].value == pytest.approx(metrics.recall_score(test.labels, called))
    assert all(one.low <= one.value <= one.high for one in found.values())
    by_study = OperatingPoint(point.rule, point.threshold, "val", frozenset())
    alone = replace(test, patients=test.studies)
    assert tuple(judge(by_study, alone, CONFIG)) == OPERATING_FIGURES[:-2]


def test_figures_equal_scikit_learn_on_repeated_rows():
    generator = np.random.default_rng(3)
    labels, called = generator.integers(2, size=50), generator.integers(2, size=50)
    weights = generator.integers(0, 4, size=(20, 50))
    found = dict(
        zip(OPERATING_FIGURES, operating_figures(labels, called, prevalence=0.1)(weights), strict=True)
    )
    for place, row in enumerate(weights):
        rows = np.repeat(np.arange(50), row)
        true, yes = labels[rows], called[rows]
        expected = {
            "sensitivity": metrics.recall_score(true, yes),
            "specificity": metrics.recall_score(true, yes, pos_label=0),
            "ppv": metrics.precision_score(true, yes),
            "npv": metrics.precision_score(true, yes, pos_label=0),
            "f1": metrics.f1_score(true, yes),
            "mcc": metrics.matthews_corrcoef(true, yes),
            "balanced_accuracy": metrics.balanced_accuracy_score(true, yes),
        }
        plus, minus = metrics.class_likelihood_ratios(true, yes)
        expected |= {"positive_likelihood_ratio": plus, "negative_likelihood_ratio": minus}
        for name, value in expected.items():
            assert found[name][place] == pytest.approx(value, abs=1e-12), name


def test_predictive_values_at_a_prevalence_are_those_of_such_a_sample():
    labels, called = np.repeat([1, 1, 0, 0], [9, 1, 2, 8]), np.repeat([1, 0, 1, 0], [9, 1, 2, 8])
    found = operating_figures(labels, called, prevalence=0.015)(np.ones((1, 20)))[:, 0]
    # 1000 people, 15 ill: 13.5 found and 1.5 missed; 985 well: 197 called and 788 not
    assert found[-2:] == pytest.approx([13.5 / (13.5 + 197), 788 / (788 + 1.5)])
    same = operating_figures(labels, called, prevalence=0.5)(np.ones((1, 20)))[:, 0]
    assert same[-2:] == pytest.approx(same[2:4])
    with pytest.raises(ValueError, match="expected between 0 and 1"):
        operating_figures(labels, called, prevalence=1.5)


def test_trap_29_figures_without_rows_are_nan():
    found = dict(
        zip(OPERATING_FIGURES, operating_figures([1, 1, 0], [0, 0, 0])(np.eye(3)[[0, 2]]), strict=False)
    )
    assert np.isnan(found["sensitivity"]).tolist() == [False, True]
    assert np.isnan(found["specificity"]).tolist() == [True, False]
    assert np.isnan([found["ppv"], found["mcc"], found["f1"], found["balanced_accuracy"]]).all()
    constant = operating_figures([1, 0, 0], [0, 0, 0])(np.ones((1, 3)))[:, 0]
    assert (constant[6], constant[7]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("successes", "trials", "by_score", "exact"),
    [
        # Newcombe, Statistics in Medicine 1998, table I: methods 3 (score) and 5 (exact)
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_newcombes_worked_examples(successes, trials, by_score, exact):
    assert wilson(successes, trials) == pytest.approx(by_score, abs=5e-5)
    assert clopper_pearson(successes, trials) == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_proportions_equal_scipy(confidence):
    for trials in (1, 5, 30):
        for successes in range(trials + 1):
            test = stats.binomtest(successes, trials)
            for function, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
                expected = test.proportion_ci(confidence, method=method)
                found = function(successes, trials, confidence)
                assert found == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_proportions_of_nothing_and_of_nonsense():
    for function in (wilson, clopper_pearson):
        assert np.isnan(function(0, 0)).all()
        with pytest.raises(ValueError, match="5 successes of 4 trials"):
            function(5, 4)
