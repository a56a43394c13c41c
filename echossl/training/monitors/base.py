"""What a monitor is, and what it is shown: the vectors of videos, with what is known of each."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.monitors import MonitorConfig

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Embeddings:
    """The vectors of videos.

    Attributes:
        videos: one row per video: ``patient_id, study_id, split``, ``label`` (1, 0, or -1 where not
            assessed), and the leak columns.
        features: (videos, dim), the mean over each video's clips.
    """

    videos: pd.DataFrame
    features: Floats

    def of_split(self, split: str) -> "Embeddings":
        """Those of one split."""
        return self.where((self.videos["split"] == split).to_numpy())

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Embeddings":
        """Those of some videos: (videos,) true or false."""
        return Embeddings(self.videos[chosen], self.features[chosen])

    def patients(self) -> Floats:
        """The mean of each patient's videos: (patients, dim)."""
        return group_means(self.features, self.videos["patient_id"])[1]

    def labelled_studies(self) -> "Studies":
        """The mean of each assessed study's videos; positive if any of them is."""
        assessed = self.where((self.videos["label"] >= 0).to_numpy())
        # a study's name may stand for another one of another patient
        studies = assessed.videos.groupby(["patient_id", "study_id"], sort=False)
        _, features = group_means(assessed.features, studies.ngroup())
        rows = studies["label"].max().reset_index()
        return Studies(features, rows["label"].to_numpy(), rows["patient_id"].to_numpy(dtype=np.str_))


@dataclass(frozen=True)
class Studies:
    """Labelled studies.

    Attributes:
        features: (studies, dim).
        labels: (studies,) 0 or 1.
        patients: (studies,) the id of each study's patient.
    """

    features: Floats
    labels: npt.NDArray[np.int64]
    patients: npt.NDArray[np.str_]


class Monitor(ABC):
    """Figures of the embeddings. A new one is a file beside this one, and a line in ``MONITORS``.

    Args:
        config: settings.
        videos: what will be looked at, as in :class:`Embeddings`.

    Attributes:
        chooses: those of its figures of which a larger one is a better encoder.
        uses_labels: whether its figures depend on them.
    """

    chooses: tuple[str, ...] = ()
    uses_labels: bool = False

    def __init__(self, config: MonitorConfig, videos: pd.DataFrame) -> None:
        self.config = config
        self.check(videos)

    @staticmethod
    def is_wanted(config: MonitorConfig) -> bool:  # noqa: ARG004 - most are, whatever the settings
        """Whether the settings ask for it."""
        return True

    def check(self, videos: pd.DataFrame) -> None:  # noqa: B027 - most can work with any videos
        """Refuse videos that it can say nothing of.

        Raises:
            UserError: naming the setting.
        """

    @abstractmethod
    def run(self, embeddings: Embeddings) -> Iterator[tuple[str, float]]:
        """Yield name and value of each figure.

        Args:
            embeddings: finite vectors of the videos of all splits in use.
        """


def group_means(features: Floats, groups: pd.Series) -> tuple[pd.Index, Floats]:
    """The mean of each group's rows.

    Args:
        features: (rows, dim).
        groups: (rows,) names or numbers.

    Returns:
        The names in order of first appearance, and the means (groups, dim).
    """
    codes, names = pd.factorize(groups)
    sums = np.zeros((len(names), features.shape[1]))
    np.add.at(sums, codes, features)
    return pd.Index(names), sums / np.bincount(codes, minlength=len(names))[:, None]


def unit(features: Floats) -> Floats:
    """Vectors (rows, dim) scaled to length 1; a vector of zeros stays one."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    scaled: Floats = features / np.maximum(lengths, np.finfo(np.float64).tiny)
    return scaled
