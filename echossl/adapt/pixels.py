"""The control that knows nothing of hearts: logistic regression on 16 x 16 pixels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

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
        videos: ``row, patient_id, study_id`` and perhaps ``label``.

    Returns:
        One row per study (its first video's), and (studies, 512) in the same order.
    """
    features = pixel_features(store, videos["row"].tolist())
    codes, _ = pd.factorize(videos["study_id"])
    means = pd.DataFrame(features).groupby(codes).mean().to_numpy()
    return videos.drop_duplicates("study_id").reset_index(drop=True), means


def fit_pixels(store: ClipStore, videos: pd.DataFrame, recipe: PixelRecipe) -> Pipeline:
    """Logistic regression on the studies of the whole budget; nothing is chosen, so nothing is held out.

    Args:
        store: the clip store.
        videos: the labelled videos: ``row, patient_id, study_id, label``.
        recipe: strength of the regularisation.

    Returns:
        Standardisation with the budget's own mean and deviation, then the regression.
    """
    studies, features = study_features(store, videos)
    regression = LogisticRegression(C=recipe.inverse_regularisation, max_iter=1000)
    return make_pipeline(StandardScaler(), regression).fit(features, studies["label"].to_numpy())
