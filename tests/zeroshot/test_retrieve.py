"""R@K both ways, compared with sorted lists; equal reports are one answer, patients are resampled."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from aligned_samples import FAST

from echossl.config.evaluation import BootstrapConfig
from echossl.config.zeroshot import RetrieveConfig
from echossl.data import ClipStore, read_manifest
from echossl.errors import UserError
from echossl.evaluation.retrieval import chance_at, first_ranks, recall_at
from echossl.text import normalised
from echossl.zeroshot import retrieve
from echossl.zeroshot.studies import Aligned

QUICK = BootstrapConfig(resamples=200)


def test_the_rank_is_the_place_of_the_first_right_answer() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        values, right = generator.normal(size=(7, 9)), generator.random((7, 9)) < 0.3
        right[np.arange(7), generator.integers(9, size=7)] = True
        orders = [sorted(range(9), key=lambda place, own=own: -own[place]) for own in values]
        expected = [
            1 + next(rank for rank, place in enumerate(order) if good[place])
            for order, good in zip(orders, right, strict=True)
        ]
        assert first_ranks(values, right).tolist() == expected
    with pytest.raises(ValueError, match="no right answer"):
        first_ranks(values, np.zeros((7, 9), dtype=bool))


def test_a_model_to_which_all_is_alike_finds_nothing() -> None:
    right = np.eye(6, dtype=bool)
    assert first_ranks(np.zeros((6, 6)), right).tolist() == [6] * 6
    assert first_ranks(np.zeros((2, 3)), np.ones((2, 3), dtype=bool)).tolist() == [1, 1]


def test_chance_is_that_of_random_similarities() -> None:
    generator = np.random.default_rng(1)
    right = np.zeros((4, 12), dtype=bool)
    for query, count in enumerate((1, 2, 5, 12)):
        right[query, :count] = True
    for most in (1, 5, 10, 20):
        drawn = [(first_ranks(generator.normal(size=(4, 12)), right) <= most).mean() for _ in range(3000)]
        assert chance_at(right, most) == pytest.approx(np.mean(drawn), abs=0.02)


def test_intervals_are_over_patients() -> None:
    ranks = np.repeat([1, 9], 40)
    own = recall_at(ranks, 5, np.arange(80), BootstrapConfig(resamples=2000))
    of_eight = recall_at(ranks, 5, np.repeat(np.arange(8), 10), BootstrapConfig(resamples=2000))
    assert own.value == of_eight.value == 0.5
    assert of_eight.high - of_eight.low > 2 * (own.high - own.low)
    generator = np.random.default_rng(5)
    hits = [generator.choice(np.repeat([1, 0], 40), 80).mean() for _ in range(2000)]
    assert own.low == pytest.approx(np.quantile(hits, 0.025), abs=0.02)


def config_of(pictures: dict[str, Path], run: Path, out: Path, **changes: object) -> RetrieveConfig:
    settings = {"run": run, "data": pictures, "out": out, "hardware": FAST, "bootstrap": QUICK}
    return RetrieveConfig.model_validate(settings | changes)


def test_both_directions_are_those_of_sorted_lists(
    pictures: dict[str, Path], run: Path, tmp_path: Path
) -> None:
    config = config_of(pictures, run, tmp_path / "out", ranks=(1, 3))
    summary = retrieve(config).read_text()
    manifest = read_manifest(pictures["manifest"])
    manifest = manifest[manifest["split"] == "test"]
    store, aligned = ClipStore.open(pictures["store"]), Aligned(config)
    studies = aligned.studies(store.rows_for(manifest), store)
    texts = manifest.groupby("study_id")["report"].first()[studies.table["study_id"]].map(normalised).tolist()
    different = sorted(set(texts))
    assert len(different) == len(texts) - 1
    assert f"{len(texts)} studies of {len(texts)} patients with {len(different)} different reports" in summary
    cosines = studies.pictures @ aligned.words(different).T
    found = pd.read_csv(tmp_path / "out" / "results.csv").set_index("metric")["value"]
    for most in (1, 3):
        to_report, to_picture = [], []
        for number, text in enumerate(texts):
            best = sorted(range(len(different)), key=lambda place, own=number: -cosines[own, place])
            to_report.append(text in [different[place] for place in best[:most]])
            column = cosines[:, different.index(text)]
            nearest = sorted(range(len(texts)), key=lambda place, own=column: -own[place])
            to_picture.append(text in [texts[place] for place in nearest[:most]])
        assert found[f"picture_to_report_r{most}"] == pytest.approx(np.mean(to_report), abs=1e-6)
        assert found[f"report_to_picture_r{most}"] == pytest.approx(np.mean(to_picture), abs=1e-6)
    ranks = pd.read_csv(tmp_path / "out" / "ranks.csv")
    assert (ranks["picture_to_report"] <= 3).mean() == pytest.approx(found["picture_to_report_r3"], abs=1e-6)
    assert found["picture_to_report_r3_chance"] == pytest.approx(3 / len(different), abs=1e-6)
    assert retrieve(config).read_text() == summary


def test_what_does_not_fit_is_refused(pictures: dict[str, Path], run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="report_column: no column 'befund'"):
        retrieve(config_of(pictures, run, tmp_path / "a", report_column="befund"))
    with pytest.raises(ValueError, match="different whole numbers from 1"):
        config_of(pictures, run, tmp_path / "b", ranks=(0, 5))
