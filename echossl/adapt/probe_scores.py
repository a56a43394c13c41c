"""From frozen features to scores of studies: logistic regression of labels, ridge regression of numbers.

Nothing is drawn but the labelled patients, and nothing is chosen but the strength of the ridge, by leaving
out one training unit at a time: the same features give the same scores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from echossl.adapt.logistic import standardised_logistic
from echossl.config.probe import ProbeConfig
from echossl.data.splits import label_subset
from echossl.errors import UserError

Floats = npt.NDArray[np.float64]
RIDGE_STRENGTHS = np.logspace(-2, 5, 15)
KEYS = ["patient_id", "study_id"]


@dataclass(frozen=True)
class Units:
    """What is predicted: studies, or videos where the videos of a study differ in it.

    Attributes:
        table: ``patient_id, unit, split, truth``; the unit is the name of the study or the path of the video.
        features: (units, dim).
    """

    table: pd.DataFrame
    features: Floats

    @classmethod
    def studies(cls, videos: pd.DataFrame, features: npt.NDArray[np.floating], column: str) -> "Units":
        """Studies with a value in the column: the mean of their features, the largest of their values."""
        known = videos[column].notna().to_numpy()
        own = videos[known].assign(unit=videos["study_id"], truth=videos[column])
        codes = own.groupby(KEYS, sort=False).ngroup().to_numpy()
        means = pd.DataFrame(features[known].astype(np.float64)).groupby(codes).mean().to_numpy()
        columns = {"unit": "first", "split": "first", "truth": "max"}
        table = own.groupby(KEYS, sort=False, as_index=False).agg(columns)
        return cls(table[["patient_id", "unit", "split", "truth"]], means)

    @classmethod
    def videos(cls, videos: pd.DataFrame, features: npt.NDArray[np.floating], column: str) -> "Units":
        """Videos with a value in the column."""
        known = videos[column].notna().to_numpy()
        own = videos[known].assign(unit=videos["path"], truth=videos[column]).reset_index(drop=True)
        return cls(own[["patient_id", "unit", "split", "truth"]], features[known].astype(np.float64))

    def in_split(self, splits: tuple[str, ...]) -> "Units":
        """Those of some splits."""
        chosen = self.table["split"].isin(splits).to_numpy()
        return Units(self.table[chosen].reset_index(drop=True), self.features[chosen])


@dataclass(frozen=True)
class Scores:
    """What one arm with one seed says of one thing.

    Attributes:
        table: ``patient_id, unit, split, truth`` and a column of scores for each run,
            ``fraction0.01-draw0`` and so on.
        labelled: ``fraction, draw, patient_id`` of every patient whose label a run has read.
    """

    table: pd.DataFrame
    labelled: pd.DataFrame


def label_runs(config: ProbeConfig) -> Iterator[tuple[float, int]]:
    """Fraction and draw of every run; of all labels there is but one draw."""
    for fraction in config.fractions:
        for draw in range(1 if fraction == 1 else config.draws):
            yield fraction, draw


def run_name(fraction: float, draw: int) -> str:
    """The column of a run's scores."""
    return f"fraction{fraction:g}-draw{draw}"


def label_scores(
    config: ProbeConfig,
    videos: pd.DataFrame,
    features: npt.NDArray[np.floating],
    column: str,
    splits: tuple[str, ...],
) -> Scores:
    """Standardised logistic regression on the labelled patients of every draw.

    Args:
        config: fractions, draws, regularisation.
        videos: ``row, path, patient_id, study_id, split`` and the column.
        features: (videos, dim).
        column: label column of 0, 1 and NaN.
        splits: splits that are scored.

    Raises:
        UserError: if a fraction leaves fewer than two patients of a class.
    """
    units = Units.studies(videos, features, column)
    training, scored = units.in_split((config.train_split,)), units.in_split(splits)
    pool = videos[videos["split"] == config.train_split]
    columns, labelled = {}, []
    for fraction, draw in label_runs(config):
        patients = label_subset(pool, column=column, fraction=fraction, draw=draw).patients
        own = training.table["patient_id"].isin(patients).to_numpy()
        model = standardised_logistic(config.inverse_regularisation)
        model.fit(training.features[own], training.table["truth"][own].astype(int))
        columns[run_name(fraction, draw)] = model.decision_function(scored.features)
        labelled.append(pd.DataFrame({"fraction": fraction, "draw": draw, "patient_id": patients}))
    return Scores(scored.table.assign(**columns), pd.concat(labelled, ignore_index=True))


def number_scores(
    config: ProbeConfig,
    videos: pd.DataFrame,
    features: npt.NDArray[np.floating],
    column: str,
    splits: tuple[str, ...],
) -> Scores:
    """Standardised ridge regression of a number, fitted on all training patients that have it.

    Args:
        config: the training split.
        videos: ``row, path, patient_id, study_id, split`` and the column.
        features: (videos, dim).
        column: a column of numbers and NaN. Where the videos of a study differ in it, videos are the units.
        splits: splits that are scored.

    Raises:
        UserError: if the column holds no numbers, or none in the training split.
    """
    if not pd.api.types.is_numeric_dtype(videos[column]):
        raise UserError(f"targets: the column {column} of the manifest holds no numbers")
    of_study = videos.groupby(KEYS)[column]
    differs = bool((of_study.max() > of_study.min()).any())
    units = (Units.videos if differs else Units.studies)(videos, features, column)
    training, scored = units.in_split((config.train_split,)), units.in_split(splits)
    if training.table["truth"].nunique() < 2:
        raise UserError(f"targets: {column} does not vary in the split {config.train_split!r}")
    model = make_pipeline(StandardScaler(), RidgeCV(RIDGE_STRENGTHS))
    model.fit(training.features, training.table["truth"])
    table = scored.table.assign(**{run_name(1.0, 0): model.predict(scored.features)})
    patients = training.table["patient_id"].drop_duplicates()
    return Scores(table, pd.DataFrame({"fraction": 1.0, "draw": 0, "patient_id": patients}))


def one_thread() -> Any:
    """A context in which scikit-learn's arithmetic takes one thread: faster here, and the same everywhere."""
    return import_module("threadpoolctl").threadpool_limits(limits=1)
