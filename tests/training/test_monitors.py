"""Every figure beside a slow, plain version of its formula, and on vectors whose answer is known."""

import logging
import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ortho_group
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from echossl.config.monitors import MonitorConfig
from echossl.errors import UserError
from echossl.training.monitors import MONITORS, Embeddings, build_monitors
from echossl.training.monitors.base import Studies, group_means, unit
from echossl.training.monitors.collapse import Collapse
from echossl.training.monitors.leak import Leak, column_values, grouped_accuracy
from echossl.training.monitors.neighbours import NearestNeighbours, auroc_or_nan, neighbour_scores
from echossl.training.monitors.probe import LinearProbe, patient_folds, probe_scores, scores_in_turn
from echossl.training.monitors.rank import EffectiveRank, effective_rank
from echossl.training.monitors.spread import Spread, alignment, embedding_std, uniformity

DIM = 6
LABELLED = MonitorConfig(every=1, column="severe_as", leak_columns=("source",))


def make_videos(patients: int = 40, *, seed: int = 0) -> pd.DataFrame:
    """One to three videos of one or two studies of each patient; half of the patients to fit on."""
    generator = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        for video in range(generator.integers(1, 4)):
            rows.append(
                {
                    "patient_id": f"p{patient}",
                    "study_id": f"s{video % 2}",  # the same names for every patient
                    "split": "train" if patient % 2 else "val",
                    "label": -1 if patient % 9 == 8 else int(patient % 3 == 0),
                    "source": f"hospital {patient % 4 // 2}",
                }
            )
    return pd.DataFrame(rows)


def make_embeddings(
    *, signal: float = 0.0, leak: float = 0.0, patients: int = 40, seed: int = 0
) -> Embeddings:
    """Normal vectors; the first coordinate tells the label, the second the source."""
    videos = make_videos(patients, seed=seed)
    features = np.random.default_rng(seed + 1).normal(size=(len(videos), DIM))
    features[:, 0] += signal * videos["label"]
    features[:, 1] += leak * (videos["source"] == "hospital 1")
    return Embeddings(videos, features)


def figures(config: MonitorConfig, embeddings: Embeddings) -> dict[str, float]:
    monitors = build_monitors(config, embeddings.videos)
    return {name: value for monitor in monitors for name, value in monitor.run(embeddings)}


def test_every_monitor_yields_named_figures() -> None:
    found = figures(LABELLED, make_embeddings())
    assert set(found) == {
        *("knn_auroc", "probe_auroc", "effective_rank", "effective_rank_centred"),
        *("embedding_std", "uniformity", "alignment", "collapsed", "leak_source", "leak_source_chance"),
    }
    assert all(math.isfinite(value) for value in found.values())
    assert {name for kind in MONITORS for name in kind.chooses} <= set(found)
    without_labels = set(figures(MonitorConfig(every=1), make_embeddings()))
    assert not any(name.startswith(("knn", "probe", "leak")) for name in without_labels)


def test_means_of_groups() -> None:
    groups = pd.Series(["b", "a", "b", "c", "a", "b"])
    features = np.random.default_rng(0).normal(size=(6, DIM))
    names, means = group_means(features, groups)
    assert list(names) == ["b", "a", "c"]
    for name, mean in zip(names, means, strict=True):
        np.testing.assert_allclose(
            mean, np.mean([features[i] for i in range(6) if groups[i] == name], axis=0)
        )


def test_studies_are_those_of_their_patient_and_positive_if_any_video_is() -> None:
    videos = pd.DataFrame(
        {
            "patient_id": ["p", "q", "p", "p", "r"],
            "study_id": ["1", "1", "1", "2", "1"],
            "split": "val",
            "label": [0, 0, 1, 0, -1],
        }
    )
    features = np.arange(10.0).reshape(5, 2)
    studies = Embeddings(videos, features).labelled_studies()
    assert studies.patients.tolist() == ["p", "q", "p"]
    assert studies.labels.tolist() == [1, 0, 0]
    assert studies.features.tolist() == [[2.0, 3.0], [2.0, 3.0], [6.0, 7.0]]


def test_effective_rank_is_the_published_formula() -> None:
    features = np.random.default_rng(0).normal(size=(30, DIM)) * np.arange(1, DIM + 1)
    values = np.linalg.svd(features)[1]
    entropy = 0.0
    for value in values:
        share = value / sum(values) + 1e-7
        entropy -= share * math.log(share)
    assert effective_rank(features) == pytest.approx(math.exp(entropy), rel=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_effective_rank_of_equal_directions_is_their_number(rank: int) -> None:
    turned = ortho_group.rvs(8, random_state=0)[:rank]
    assert effective_rank(turned * 3) == pytest.approx(rank, rel=1e-4)
    assert effective_rank(np.zeros((4, 3))) == 1.0


def test_the_rank_is_that_of_patients_with_and_without_their_mean() -> None:
    embeddings = make_embeddings()
    shifted = Embeddings(embeddings.videos, embeddings.features + 100)
    found = dict(EffectiveRank(LABELLED, embeddings.videos).run(shifted))
    assert found["effective_rank"] < 1.5  # the mean is nearly all there is
    expected = dict(EffectiveRank(LABELLED, embeddings.videos).run(embeddings))["effective_rank_centred"]
    assert found["effective_rank_centred"] == pytest.approx(expected, rel=1e-6)
    assert expected > 4


def test_std_uniformity_and_alignment_are_their_formulas() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(9, DIM)))
    deviations = [math.sqrt(np.mean((column - np.mean(column)) ** 2)) for column in vectors.T]
    assert embedding_std(vectors) == pytest.approx(np.mean(deviations) * math.sqrt(DIM), rel=1e-12)
    energies = [math.exp(-2 * math.dist(first, second) ** 2) for first, second in combinations(vectors, 2)]
    assert uniformity(vectors) == pytest.approx(math.log(np.mean(energies)), rel=1e-12)
    groups = [vectors[:2], vectors[2:6], vectors[6:]]
    means = [np.mean([math.dist(a, b) ** 2 for a, b in combinations(group, 2)]) for group in groups]
    assert alignment(groups) == pytest.approx(np.mean(means), rel=1e-12)


def test_spread_of_random_and_of_equal_vectors() -> None:
    random = unit(np.random.default_rng(0).normal(size=(2000, 64)))
    assert embedding_std(random) == pytest.approx(1, abs=0.01)
    assert uniformity(random) == pytest.approx(-4 + 8 / 64, abs=0.02)  # their cosines deviate by 1 / 8
    same = np.ones((5, 4)) / 2
    assert embedding_std(same) == 0
    assert uniformity(same) == pytest.approx(0, abs=1e-12)
    assert alignment([same, same]) == 0


def test_spread_is_grouped_by_patient() -> None:
    embeddings = make_embeddings()
    found = dict(Spread(LABELLED, embeddings.videos).run(embeddings))
    seen = embeddings.videos["split"] == "val"
    patients = [
        embeddings.features[(embeddings.videos["patient_id"] == patient).to_numpy()]
        for patient in embeddings.videos["patient_id"][seen].unique()
    ]
    means = unit(np.array([own.mean(axis=0) for own in patients]))
    assert found["embedding_std"] == pytest.approx(embedding_std(means))
    assert found["uniformity"] == pytest.approx(uniformity(means))
    assert found["alignment"] == pytest.approx(alignment([unit(own) for own in patients if len(own) > 1]))
    single = embeddings.where(~embeddings.videos["patient_id"].duplicated().to_numpy())
    assert "alignment" not in dict(Spread(LABELLED, single.videos).run(single))


def random_studies(count: int, patients: int, *, seed: int) -> Studies:
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % 3 == 0).astype(np.int64)
    features = generator.normal(size=(count, DIM)) + labels[:, None]
    return Studies(features, labels, np.array([f"p{i % patients}" for i in range(count)]))


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_neighbours_equal_a_plain_search_and_are_never_of_the_same_patient(most: int) -> None:
    known, asked = random_studies(30, 9, seed=0), random_studies(17, 9, seed=1)
    found = neighbour_scores(known, asked, most=most)
    for score, vector, patient in zip(found, asked.features, asked.patients, strict=True):
        others = []
        for other, label, owner in zip(known.features, known.labels, known.patients, strict=True):
            if owner != patient:
                cosine = vector @ other / np.linalg.norm(vector) / np.linalg.norm(other)
                others.append((cosine, label))
        nearest = sorted(others, reverse=True)[:most]
        assert score == pytest.approx(np.mean([label for _, label in nearest]))


def test_a_copy_of_ones_own_study_is_no_help() -> None:
    labels = np.array([0, 1] * 20)
    features = np.random.default_rng(0).normal(size=(40, DIM))
    owners = np.array([f"p{i}" for i in range(40)])
    twice = Studies(np.tile(features, (2, 1)), np.tile(labels, 2), np.tile(owners, 2))
    peeking = Studies(twice.features, twice.labels, np.array([f"p{i}" for i in range(80)]))
    assert auroc_or_nan(twice.labels, neighbour_scores(peeking, peeking, most=1)) == 1
    assert auroc_or_nan(twice.labels, neighbour_scores(twice, twice, most=1)) < 0.75
    alone = Studies(features[:2], labels[:2], np.array(["p", "p"]))
    assert neighbour_scores(alone, alone).tolist() == [0.5, 0.5]


def test_figures_of_labels_are_an_auroc_and_follow_the_signal() -> None:
    embeddings = make_embeddings(signal=4, patients=120)
    known, asked = (embeddings.of_split(split).labelled_studies() for split in ("train", "val"))
    knn = dict(NearestNeighbours(LABELLED, embeddings.videos).run(embeddings))["knn_auroc"]
    assert knn == pytest.approx(roc_auc_score(asked.labels, neighbour_scores(known, asked)))
    probe = dict(LinearProbe(LABELLED, embeddings.videos).run(embeddings))["probe_auroc"]
    mean, std = known.features.mean(axis=0), known.features.std(axis=0)
    plain = LogisticRegression(max_iter=1000).fit((known.features - mean) / std, known.labels)
    scores = plain.decision_function((asked.features - mean) / std)
    assert probe == pytest.approx(roc_auc_score(asked.labels, scores))
    assert min(knn, probe) > 0.95
    none = figures(LABELLED, make_embeddings(patients=120))
    assert all(0.25 < none[name] < 0.75 for name in ("knn_auroc", "probe_auroc"))


def test_one_split_is_scored_by_fits_on_other_patients() -> None:
    studies = random_studies(60, 30, seed=0)
    scores = scores_in_turn(studies)
    for fit, rest in patient_folds(studies.labels, studies.patients):
        assert not set(studies.patients[fit]) & set(studies.patients[rest])
        part = Studies(studies.features[fit], studies.labels[fit], studies.patients[fit])
        np.testing.assert_allclose(scores[rest], probe_scores(part, studies.features[rest]))
    config = LABELLED.model_copy(update={"fit_split": "val", "column": "severe_as"})
    embeddings = make_embeddings(signal=4, patients=120)
    found = dict(LinearProbe(config, embeddings.videos).run(embeddings))["probe_auroc"]
    own = embeddings.of_split("val").labelled_studies()
    assert found == pytest.approx(roc_auc_score(own.labels, scores_in_turn(own)))


def test_a_missing_class_is_no_figure_and_no_error() -> None:
    studies = random_studies(6, 6, seed=0)
    ones = Studies(studies.features, np.ones(6, dtype=np.int64), studies.patients)
    assert np.isnan(probe_scores(ones, studies.features)).all()
    assert math.isnan(auroc_or_nan(studies.labels, probe_scores(ones, studies.features)))
    assert math.isnan(auroc_or_nan(ones.labels, neighbour_scores(ones, ones)))


def test_a_leak_is_seen_where_there_is_one() -> None:
    none = figures(LABELLED, make_embeddings(patients=160))
    told = figures(LABELLED, make_embeddings(patients=160, leak=8))
    assert none["leak_source_chance"] == told["leak_source_chance"] == 0.5
    assert 0.3 < none["leak_source"] < 0.7
    assert told["leak_source"] > 0.98


def test_memory_of_a_patient_is_no_leak() -> None:
    generator = np.random.default_rng(0)
    patients = np.repeat([f"p{i}" for i in range(40)], 4)
    values = np.repeat(generator.permutation(["a", "b"] * 20), 4)
    own = np.repeat(generator.normal(size=(40, 60)), 4, axis=0)  # tells who it is, and nothing else
    assert grouped_accuracy(own, values, patients) < 0.75


def test_every_patient_weighs_the_same_in_a_leak() -> None:
    patients = np.array([f"p{i}" for i in range(20)] + ["p0"] * 30)
    values = np.array(["a", "b"] * 10 + ["a"] * 30)
    features = np.where(values == "a", 1.0, -1.0)[:, None].repeat(2, axis=1)
    features[patients == "p0"] *= -1  # one patient of ten is told wrong, however many videos it has
    assert grouped_accuracy(features, values, patients) == pytest.approx((0.9 + 1) / 2)


def test_values_of_few_patients_and_empty_cells_are_left_out() -> None:
    videos = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(16)] + ["p0"] * 9,
            "split": "val",
            "source": ["a"] * 5 + ["b"] * 5 + ["c"] * 4 + ["", None] + ["c"] * 9,
        }
    )
    assert sorted(set(column_values(videos, "source"))) == ["a", "b", "c"]
    videos.loc[videos["patient_id"] == "p0", "source"] = "a"
    assert sorted(set(column_values(videos, "source"))) == ["a", "b"]
    Leak(LABELLED, videos)
    with pytest.raises(UserError, match=r"leak_columns: source has 1 values with 5 or more patients"):
        Leak(LABELLED, videos[videos["source"] != "b"])


def test_collapse_is_said_in_words_and_once(caplog: pytest.LogCaptureFixture) -> None:
    embeddings = make_embeddings()
    generator = np.random.default_rng(5)
    point = np.ones(DIM) + 1e-4 * generator.normal(size=embeddings.features.shape)
    line = generator.normal(size=(len(point), 1)) * np.ones(DIM) + 1e-3 * generator.normal(size=point.shape)
    for collapsed in (point, line, np.zeros_like(point)):
        monitor = Collapse(LABELLED, embeddings.videos)
        with caplog.at_level(logging.WARNING):
            seen = Embeddings(embeddings.videos, collapsed)
            assert [dict(monitor.run(seen)) for _ in range(3)] == [{"collapsed": 1.0}] * 3
        assert [record.message.startswith("the embeddings have collapsed") for record in caplog.records] == [
            True
        ]
        caplog.clear()


@pytest.mark.parametrize("patients", [6, 40])
def test_no_collapse_is_seen_where_there_is_none(patients: int, caplog: pytest.LogCaptureFixture) -> None:
    embeddings = make_embeddings(patients=patients)
    monitor = Collapse(LABELLED, embeddings.videos)
    # after a rectifier all vectors point much the same way: cosine 0.999
    narrow = Embeddings(embeddings.videos, 1 + 0.05 * embeddings.features)
    for seen in (embeddings, narrow):
        assert dict(monitor.run(seen)) == {"collapsed": 0.0}
    assert not caplog.records
