"""The control that knows nothing of hearts: a linear model of 16 x 16 pixels."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from echossl.adapt.budget import targets_of
from echossl.adapt.linear import fit_head
from echossl.adapt.tasks import Task
from echossl.config.adapt import PixelRecipe
from echossl.data.store import ClipStore

SIDE = 16


def pixel_features(store: ClipStore, rows: Sequence[int]) -> npt.NDArray[np.float32]:
    """Mean and standard deviation over a whole video of each cell of a 16 x 16 grid.

    Args:
        store: the clip store.
        rows: its videos.

    Returns:
        (videos, 512): 256 means, then 256 deviations, of the range 0-1.
    """
    features = np.empty((len(rows), 2 * SIDE**2), dtype=np.float32)
    for place, row in zip(features, rows, strict=True):
        frames = torch.from_numpy(store.frames(row) / np.float32(255))
        cells = F.adaptive_avg_pool2d(frames[:, None], SIDE).flatten(1).numpy()  # (frames, 256)
        place[:] = np.concatenate([cells.mean(axis=0), cells.std(axis=0)])
    return features


def study_features(store: ClipStore, videos: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.float32]]:
    """Mean of the pixel features over the videos of each study.

    Args:
        store: the clip store.
        videos: ``row, patient_id, study_id`` and perhaps the targets.

    Returns:
        One row per study (its first video's), and (studies, 512) in the same order.
    """
    features = pixel_features(store, videos["row"].tolist())
    codes, _ = pd.factorize(videos["study_id"])
    means = pd.DataFrame(features).groupby(codes).mean().to_numpy()
    return videos.drop_duplicates("study_id").reset_index(drop=True), means


def fit_pixels(
    store: ClipStore, videos: pd.DataFrame, task: Task, recipe: PixelRecipe
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]]:
    """Logistic or ridge regression on the studies of the whole budget; nothing is chosen or held out.

    Args:
        store: the clip store.
        videos: the labelled videos of the budget.
        task: with what it takes from their labels.
        recipe: strength of the regularisation.

    Returns:
        From features (studies, 512), standardised with the budget's own mean and deviation, to outputs of
        the task (studies, outputs).
    """
    studies, features = study_features(store, videos)
    scaler = StandardScaler().fit(features)
    strength, targets = recipe.inverse_regularisation, targets_of(studies)
    if task.settings.name == "binary":
        regression = LogisticRegression(C=strength, max_iter=1000)
        regression.fit(scaler.transform(features), targets[:, 0])
        return lambda own: regression.decision_function(scaler.transform(own))[:, None]
    head = fit_head(task, scaler.transform(features), targets, inverse_regularisation=strength)
    return lambda own: head(torch.tensor(scaler.transform(own)).double()).numpy()
