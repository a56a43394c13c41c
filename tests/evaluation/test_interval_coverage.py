"""A small run of the coverage study: patients' intervals hold the truth, videos' do not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from interval_coverage import SHARED, Setting, as_markdown, shares, simulate, true_auroc

from echossl.evaluation import auroc

COMMITTED = Path(__file__).parents[2] / "experiments" / "results" / "statistics" / "coverage.json"
SMALL = Setting(data_sets=50, resamples=300)


def test_the_simulated_truth_is_true():
    many = replace(SMALL, patients=20000)
    labels, scores, patients = simulate(many, 0)
    assert [auroc(labels, row) for row in scores] == pytest.approx([true_auroc()] * 2, abs=0.01)
    assert np.bincount(np.bincount(patients))[1:].tolist() == pytest.approx([5000] * 4, rel=0.06)
    pairs = np.flatnonzero((patients[1:] == patients[:-1]) & (labels[1:] == 0))
    assert np.corrcoef(scores[0][pairs], scores[0][pairs + 1])[0, 1] == pytest.approx(SHARED, abs=0.02)


def test_trap_26_patients_intervals_hold_and_videos_do_not():
    found = shares(SMALL)
    assert 0.88 <= found["coverage"]["bootstrap over patients, percentile"] <= 1.0
    assert found["coverage"]["bootstrap over videos, percentile"] < 0.9
    assert found["coverage"]["DeLong by video, logit"] < 0.9
    for name in ("paired bootstrap over patients", "permutation by patient", "DeLong by patient"):
        assert found["rejection"][name] <= 0.14
    assert found["rejection"]["paired bootstrap over videos"] > 0.1
    assert "bootstrap over patients, percentile" in as_markdown(SMALL, found)


def test_the_committed_run_is_within_its_bars():
    found = json.loads(COMMITTED.read_text())
    assert found["setting"]["data_sets"] == 1000
    assert found["setting"]["resamples"] >= 2000
    for name, share in found["coverage"].items():
        assert (0.93 <= share <= 0.97) == ("video" not in name), name
    for name, share in found["rejection"].items():
        assert (0.03 <= share <= 0.07) == ("video" not in name), name
