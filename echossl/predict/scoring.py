"""Scores of studies and of their videos, exactly as fine-tuning makes them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from echossl.adapt.embed import embed, mean_logits
from echossl.adapt.predictions import scored_studies
from echossl.adapt.study_pooling import pooled_outputs
from echossl.predict.model import Model
from echossl.predict.videos import Prepared
from echossl.training.hardware import Hardware

NEW_SPLIT = "new"


@dataclass(frozen=True)
class Scored:
    """What the model says.

    Attributes:
        studies: ``patient_id, study_id`` and the score columns of the task, in the order of the videos.
        videos: the videos that were scored, with the same score columns of their own, ``weight`` (their share
            of the study's answer, 1 in total) and ``place`` (1 for the one that carried it most).
    """

    studies: pd.DataFrame
    videos: pd.DataFrame


def score(model: Model, prepared: Prepared, hardware: Hardware) -> Scored:
    """Score the videos and pool them over studies.

    Raises:
        EchosslError: if a score is not finite.
    """
    names = list(model.task.score_names)
    keys = ["patient_id", "study_id"]
    if prepared.store is None or prepared.videos.empty:
        empty = pd.DataFrame(columns=[*prepared.videos.columns, *names, "weight", "place"])
        return Scored(pd.DataFrame(columns=[*keys, *names]), empty)
    features = embed(
        hardware.place(model.encoder),
        prepared.store,
        prepared.videos["row"].tolist(),
        clips_per_video=model.use.clips_per_video,
        hardware=hardware,
        policy=model.use.clip_policy,
        seed=model.use.seed,
    )
    pooling = model.pooling
    studies, outputs = pooled_outputs(
        prepared.videos, features, model.head, pooling=pooling.name, attention=pooling.attention
    )
    own = model.task.scores(mean_logits(model.head, features))
    videos = pd.concat([prepared.videos, pd.DataFrame(own, columns=names)], axis=1)
    videos["weight"] = _weights(model, videos, features)
    return Scored(scored_studies(model.task, studies, outputs), _ranked(videos, names[0]))


def _weights(
    model: Model, videos: pd.DataFrame, features: list[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float64]:
    """The share of each video in its study's answer: (videos,)."""
    studies = videos["study_id"]
    if model.pooling.attention is not None:
        means = torch.from_numpy(np.stack([clips.mean(axis=0) for clips in features]))
        with torch.inference_mode():
            energies = pd.Series(model.pooling.attention.energies(means).numpy().astype(np.float64))
        shares = (energies - energies.groupby(studies).transform("max")).map(np.exp)
    elif model.pooling.name == "max":
        first = videos[model.task.score_names[0]]
        shares = (first == first.groupby(studies).transform("max")).astype(float)
    else:
        shares = pd.Series(1.0, index=videos.index)
    weights: npt.NDArray[np.float64] = (shares / shares.groupby(studies).transform("sum")).to_numpy()
    return weights


def _ranked(videos: pd.DataFrame, score_name: str) -> pd.DataFrame:
    """By weight, and among equal ones by the score: the video that spoke most for it comes first."""
    order = videos.sort_values(["weight", score_name], ascending=False, kind="stable")
    places = order.groupby("study_id", sort=False).cumcount() + 1
    return videos.assign(place=places.reindex(videos.index))
