"""The paired permutation test against all swaps, and the adjustment of families against worked examples."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation import weighted_auroc
from echossl.evaluation.multiplicity import Family
from echossl.evaluation.permutation import permutation_test

# Benjamini and Hochberg 1995, section 4.1: thrombolysis, fifteen endpoints
BENJAMINI_HOCHBERG_1995 = (
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
)


def studies(*, num_patients, seed=0):
    generator = np.random.default_rng(seed)
    patients = np.repeat(np.arange(num_patients), generator.integers(1, 4, size=num_patients))
    labels = (np.arange(num_patients) % 2)[patients]
    return labels, labels + generator.normal(size=(2, patients.size)), patients


def test_approaches_the_share_of_all_swaps():
    labels, scores, patients = studies(num_patients=9)
    scores[1] -= 0.9 * labels
    ranks = stats.rankdata(scores, axis=1)
    observed = metrics.roc_auc_score(labels, scores[0]) - metrics.roc_auc_score(labels, scores[1])
    as_large = []
    for coins in product([False, True], repeat=9):
        swap = np.array(coins)[patients]
        first, second = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        difference = metrics.roc_auc_score(labels, first) - metrics.roc_auc_score(labels, second)
        as_large.append(abs(difference) >= abs(observed) - 1e-12)
    found = permutation_test(labels, *scores, patients, weighted_auroc, BootstrapConfig(resamples=20000))
    assert found.value == pytest.approx(observed, abs=1e-12)
    assert found.p_value == pytest.approx(np.mean(as_large), abs=0.01)
    assert found.permutations == 20000


def test_the_scale_of_a_score_is_no_matter_for_ranks_but_is_for_values():
    labels, scores, patients = studies(num_patients=30)
    config = BootstrapConfig(resamples=500)
    plain = permutation_test(labels, *scores, patients, weighted_auroc, config)
    stretched = permutation_test(labels, np.exp(scores[0]), scores[1], patients, weighted_auroc, config)
    assert plain == stretched

    def brier(truth, scores, weights):
        return (weights * (np.asarray(scores) - truth) ** 2).sum(axis=1) / np.asarray(weights).sum(axis=1)

    shifted = permutation_test(labels, scores[0], scores[0] + 0.2, patients, brier, config, scale="values")
    assert shifted.value == pytest.approx(
        np.mean((scores[0] - labels) ** 2) - np.mean((scores[0] + 0.2 - labels) ** 2)
    )


def test_trap_28_p_is_never_zero_and_the_same_score_gives_one():
    labels, scores, patients = studies(num_patients=40)
    config = BootstrapConfig(resamples=999)
    far = permutation_test(
        labels, scores[0] + 9 * labels, -scores[0] - 9 * labels, patients, weighted_auroc, config
    )
    assert far.p_value == 1 / 1000
    assert permutation_test(labels, scores[0], scores[0], patients, weighted_auroc, config).p_value == 1.0


def test_trap_26_rows_of_a_patient_swap_together():
    labels, scores, patients = studies(num_patients=14)
    config = BootstrapConfig(resamples=4000)
    once = permutation_test(labels, *scores, patients, weighted_auroc, config)
    five = [np.repeat(column, 5) for column in (labels, *scores, patients)]
    assert permutation_test(*five, weighted_auroc, config).p_value == pytest.approx(once.p_value, abs=0.03)
    apart = permutation_test(*five[:3], np.arange(five[0].size), weighted_auroc, config)
    assert apart.p_value < once.p_value


def test_benjamini_and_hochbergs_own_example():
    names = tuple(f"endpoint {number}" for number in range(15))
    family = Family("thrombolysis", names)
    p_values = dict(zip(names, BENJAMINI_HOCHBERG_1995, strict=True))
    by_rate = family.adjust(p_values, "benjamini_hochberg")
    assert sum(value <= 0.05 for value in by_rate.values()) == 4
    assert sum(value <= 0.05 for value in family.adjust(p_values).values()) == 3
    expected = stats.false_discovery_control(BENJAMINI_HOCHBERG_1995, method="bh")
    assert list(by_rate.values()) == pytest.approx(expected.tolist(), abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_follow_the_definitions(seed):
    generator = np.random.default_rng(seed)
    raw = generator.random(7).round(1).clip(0.05)  # with ties
    names = tuple("abcdefg")
    family = Family("seven", names)
    p_values = dict(zip(names, raw.tolist(), strict=True))
    rising = np.sort(raw)
    for name, value in family.adjust(p_values).items():
        rank = np.searchsorted(rising, p_values[name], side="right")
        slow = min(1.0, max((7 - place) * rising[place] for place in range(rank)))
        assert value >= p_values[name]
        assert value == pytest.approx(slow) or np.sum(raw == p_values[name]) > 1
    expected = stats.false_discovery_control(raw, method="bh")
    assert list(family.adjust(p_values, "benjamini_hochberg").values()) == pytest.approx(expected.tolist())


def test_holm_by_hand():
    family = Family("three arms", ("a - b", "a - c", "b - c"))
    found = family.adjust({"b - c": 0.03, "a - b": 0.01, "a - c": 0.04})
    assert found == pytest.approx({"a - b": 0.03, "a - c": 0.06, "b - c": 0.06})
    assert list(found) == ["a - b", "a - c", "b - c"]


def test_trap_28_a_family_is_adjusted_as_a_whole():
    with pytest.raises(UserError, match="holds 1 comparison, expected all that are judged together"):
        Family("one at a time", ("a - b",))
    with pytest.raises(UserError, match="there twice"):
        Family("double", ("a - b", "a - b"))
    family = Family("arms", ("a - b", "a - c"))
    with pytest.raises(UserError, match="p-values missing for a - c, not declared none; give all 2 members"):
        family.adjust({"a - b": 0.01})
    with pytest.raises(UserError, match="missing for none, not declared b - c"):
        family.adjust({"a - b": 0.01, "a - c": 0.02, "b - c": 0.03})
    for wrong in (0.0, float("nan"), 1.5):
        with pytest.raises(UserError, match="expected above 0, at most 1"):
            family.adjust({"a - b": 0.01, "a - c": wrong})
