import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from echossl.adapt.linear import fit_head
from echossl.adapt.tasks import build_task
from echossl.config.task import TaskSettings


def _data(rows: int = 60, dim: int = 5):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(rows, dim))
    score = features @ generator.normal(size=dim) + generator.normal(size=rows)
    return features, score


@pytest.mark.parametrize("name", ["binary", "multiclass"])
def test_optimum_is_that_of_scikit_learn(name) -> None:
    features, score = _data()
    codes = np.digitize(score, [0.0] if name == "binary" else [-1.0, 1.0]).astype(np.float32)
    classes = () if name == "binary" else ("a", "b", "c")
    task = build_task(TaskSettings(name=name, columns=("y",), classes=classes))
    head = fit_head(task, features, codes[:, None], inverse_regularisation=0.1)
    plain = LogisticRegression(C=0.1, tol=1e-10, max_iter=5000).fit(features, codes)
    assert np.allclose(head.weight.numpy(), plain.coef_, atol=1e-5)


def test_regression_is_ridge_on_standardised_labels() -> None:
    features, score = _data()
    targets = (100 + 7 * score).astype(np.float32)[:, None]
    task = build_task(TaskSettings(name="regression", columns=("y",))).fitted(targets)
    head = fit_head(task, features, targets, inverse_regularisation=0.1)
    standard = (targets[:, 0] - targets.mean(dtype=float)) / targets.std(dtype=float)
    # C x squares + |w|^2 / 2 is squares + |w|^2 / 2C
    plain = Ridge(alpha=5.0).fit(features, standard)
    assert np.allclose(head.weight.numpy()[0], plain.coef_, atol=1e-5)
    assert task.scores(head(_tensor(features)).numpy())[:, 0].mean() == pytest.approx(
        targets.mean(), rel=1e-4
    )


def test_grades_have_one_direction_and_rising_thresholds_and_empty_cells_play_no_part() -> None:
    features, score = _data()
    codes = np.digitize(score, [-1.0, 0.0, 1.0]).astype(np.float32)[:, None]
    task = build_task(TaskSettings(name="ordinal", columns=("y",), classes=("a", "b", "c", "d")))
    head = fit_head(task, features[:50], codes[:50], inverse_regularisation=1.0)
    assert (head.thresholds().diff() > 0).all()
    assert task.merit(codes[50:], head(_tensor(features[50:])).numpy()) > 0.7
    codes[50:] = np.nan
    again = fit_head(task, features, codes, inverse_regularisation=1.0)
    assert np.allclose(again.weight.numpy(), head.weight.numpy(), atol=1e-4)


def _tensor(values):
    return torch.tensor(values)
