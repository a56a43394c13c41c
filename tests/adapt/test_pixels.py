import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from echossl.adapt.budget import draw_budget
from echossl.adapt.pixels import fit_pixels, pixel_features, study_features
from echossl.adapt.tasks import resolve_task
from echossl.config.adapt import LabelBudget, PixelRecipe


def test_features_equal_a_loop_over_cells(toy) -> None:
    frames = toy.store.frames(4) / 255.0
    features = pixel_features(toy.store, [4])[0]
    cell = toy.store.size // 16
    for row, column in [(0, 0), (3, 7), (15, 15)]:
        block = frames[:, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        over_time = block.mean(axis=(1, 2))
        position = row * 16 + column
        assert features[position] == pytest.approx(over_time.mean(), abs=1e-6)
        assert features[256 + position] == pytest.approx(over_time.std(), abs=1e-6)


def test_study_is_the_mean_of_its_videos(toy) -> None:
    videos = toy.table.iloc[:7]
    studies, features = study_features(toy.store, videos)
    assert studies["study_id"].tolist() == list(dict.fromkeys(videos["study_id"]))
    for study, found in zip(studies["study_id"], features, strict=True):
        own = videos.loc[videos["study_id"] == study, "row"].tolist()
        assert np.allclose(found, pixel_features(toy.store, own).mean(axis=0), atol=1e-6)


def test_standardisation_knows_the_budget_only(toy) -> None:
    budget = draw_budget(toy.table, LabelBudget(fraction=0.3), split="train")
    model = fit_pixels(toy.store, budget.videos, resolve_task(LabelBudget()), PixelRecipe())
    studies, features = study_features(toy.store, budget.videos)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    plain = LogisticRegression(C=0.1, max_iter=1000)
    plain.fit((features - mean) / deviation, studies["label"])
    _, others = study_features(toy.store, toy.table.iloc[:10])
    expected = plain.decision_function((others - mean) / deviation)
    assert np.allclose(model(others)[:, 0], expected, atol=1e-4)
