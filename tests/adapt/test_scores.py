import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from echossl.adapt.scores import balanced_log_loss, study_scores
from echossl.errors import EchosslError


def _videos() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": ["b", "a", "b", "b", "a"],
            "study_id": ["b1", "a1", "b2", "b1", "a1"],
            "label": [1.0, 0.0, 0.0, 1.0, 0.0],
        }
    )


def test_trap_30_score_is_the_mean_over_the_videos_of_a_study() -> None:
    logits = np.array([1.0, -2.0, 0.5, 3.0, -1.0], dtype=np.float32)
    studies = study_scores(_videos(), logits)
    assert studies["study_id"].tolist() == ["b1", "a1", "b2"]
    assert studies["patient_id"].tolist() == ["b", "a", "b"]
    assert studies["score"].tolist() == [2.0, -1.5, 0.5]
    assert studies["label"].tolist() == [1.0, 0.0, 0.0]


def test_labels_are_not_needed_for_scores() -> None:
    studies = study_scores(_videos().drop(columns="label"), np.arange(5.0))
    assert list(studies.columns) == ["patient_id", "study_id", "score"]


def test_score_does_not_depend_on_the_order_of_the_videos() -> None:
    generator = np.random.default_rng(0)
    videos = pd.DataFrame({"patient_id": "p", "study_id": generator.integers(0, 5, 60).astype(str)})
    logits = generator.normal(size=60).astype(np.float32)
    order = generator.permutation(60)
    first = study_scores(videos, logits).set_index("study_id")["score"]
    second = study_scores(videos.iloc[order], logits[order]).set_index("study_id")["score"]
    assert np.allclose(first, second[first.index], rtol=0, atol=1e-15)


def test_score_that_is_no_number_stops_the_run() -> None:
    with pytest.raises(EchosslError, match="1 of 5 videos got no finite logit"):
        study_scores(_videos(), np.array([1.0, np.nan, 0.0, 0.0, 0.0]))


def test_log_loss_equals_scikit_learn_with_balanced_weights() -> None:
    generator = np.random.default_rng(1)
    labels = (np.arange(30) % 5 == 0).astype(int)
    logits = generator.normal(size=30)
    probabilities = 1 / (1 + np.exp(-logits))
    weights = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
    expected = log_loss(labels, probabilities, sample_weight=weights)
    assert balanced_log_loss(labels, logits) == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_saying_nothing_is_one_bit() -> None:
    assert balanced_log_loss(np.array([0, 1, 0]), np.zeros(3)) == pytest.approx(np.log(2))


def test_log_loss_of_huge_logits_is_finite() -> None:
    assert balanced_log_loss(np.array([0, 1]), np.array([1e4, 1e4])) == pytest.approx(5e3)
