"""Every row of the table of differences stays below its bar, and the committed table is of these rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from statistics_samples import samples
from statistics_table import COMPARISONS, as_markdown, as_page, largest_differences

COMMITTED = Path(__file__).parents[2] / "experiments" / "results" / "statistics"


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda one: one.statistic)
def test_stays_below_its_bar(comparison):
    for sample in samples(2):
        found, expected = comparison.both(sample)
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_allclose(found, expected, atol=comparison.bar, rtol=0)


def test_samples_hold_ties_and_both_classes():
    for sample, has_ties in zip(samples(4), (True, False, True, False), strict=True):
        assert (np.unique(sample.scores[0]).size < sample.labels.size) == has_ties
        assert set(sample.grades.tolist()) == {0, 1, 2, 3}


def test_the_committed_table_is_of_these_statistics():
    rows = json.loads((COMMITTED / "statistics.json").read_text())
    assert [(row["statistic"], row["reference"]) for row in rows] == [
        (one.statistic, one.reference) for one in COMPARISONS
    ]
    assert all(row["largest"] <= row["bar"] for row in rows)
    assert (COMMITTED / "statistics.md").read_text() == as_markdown(rows)
    assert (COMMITTED / "REFERENCE.md").read_text() == as_page(rows)


def test_a_row_has_the_largest_difference():
    (row,) = largest_differences(3, COMPARISONS[:1])
    pairs = [COMPARISONS[0].both(sample) for sample in samples(3)]
    assert row["largest"] == max(abs(found - expected) for found, expected in pairs)
    assert len({one.statistic for one in COMPARISONS}) == len(COMPARISONS)
