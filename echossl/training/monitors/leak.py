"""Shortcuts: how well the embeddings tell what they should not, such as the scanner or the hospital."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.monitors import MonitorConfig
from echossl.errors import UserError
from echossl.training.monitors.base import Embeddings, Floats, Monitor
from echossl.training.monitors.probe import FOLDS, classifier, patient_folds


class Leak(Monitor):
    """Balanced accuracy of a logistic regression from the videos' vectors to the value of each leak column.

    In five parts of the patients of ``split``, each told by a fit on the others; every patient counts the
    same. Values of fewer than five patients are left out.
    """

    @staticmethod
    def is_wanted(config: MonitorConfig) -> bool:
        """If columns are named."""
        return bool(config.leak_columns)

    def check(self, videos: pd.DataFrame) -> None:
        """Each column must tell patients apart.

        Raises:
            UserError: naming a column that does not.
        """
        seen = videos[videos["split"] == self.config.split]
        for column in self.config.leak_columns:
            found = len(set(column_values(seen, column)))
            if found < 2:
                raise UserError(
                    f"monitor.leak_columns: {column} has {found} values with {FOLDS} or more patients "
                    f"among the {seen['patient_id'].nunique()} looked at of split {self.config.split!r}, "
                    "expected 2 or more; leave it out, or raise monitor.most_patients"
                )

    def run(self, embeddings: Embeddings) -> Iterator[tuple[str, float]]:
        """Yield ``leak_NAME``, 0 to 1, and ``leak_NAME_chance``, that of a guess, for each column."""
        seen = embeddings.of_split(self.config.split)
        for column in self.config.leak_columns:
            cells = column_values(seen.videos, column)
            told = seen.where(seen.videos.index.isin(cells.index))
            values, patients = (part.to_numpy(dtype=np.str_) for part in (cells, told.videos["patient_id"]))
            num_values = len(set(values))
            if num_values > 1:
                yield f"leak_{column}", grouped_accuracy(told.features, values, patients)
                yield f"leak_{column}_chance", 1 / num_values


def column_values(videos: pd.DataFrame, column: str) -> pd.Series:
    """The filled cells of a column as text, but for values of fewer than five patients; index as it was."""
    cells = videos[column].dropna().astype(str)
    cells = cells[cells != ""]
    counts = videos.loc[cells.index, "patient_id"].groupby(cells).nunique()
    return cells[cells.isin(counts.index[counts >= FOLDS])]


def grouped_accuracy(features: Floats, values: npt.NDArray[np.str_], patients: npt.NDArray[np.str_]) -> float:
    """Balanced accuracy of values told by fits on other patients.

    Args:
        features: (videos, dim).
        values: (videos,) classes.
        patients: (videos,) ids; the videos of each weigh 1 together.

    Returns:
        The mean over the classes of the share that is told right.
    """
    from sklearn.metrics import balanced_accuracy_score

    _, codes, counts = np.unique(patients, return_inverse=True, return_counts=True)
    weights = 1 / counts[codes]
    told = np.empty_like(values)
    for fit, rest in patient_folds(values, patients):
        model = classifier()
        model.set_params(logisticregression__class_weight="balanced")
        model.fit(features[fit], values[fit], logisticregression__sample_weight=weights[fit])
        told[rest] = model.predict(features[rest])
    return float(balanced_accuracy_score(values, told, sample_weight=weights))
