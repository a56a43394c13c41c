"""The label budget: whose labels may be read, and nothing else about the training patients' labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from echossl.config.adapt import LabelBudget
from echossl.data.splits import label_subset, split_validation
from echossl.data.store import ClipStore
from echossl.errors import EchosslError, UserError
from echossl.files import atomic_path
from echossl.training.bad_videos import BadVideos

VIDEO_COLUMNS = ["row", "patient_id", "study_id", "duration_seconds", "label"]


@dataclass(frozen=True)
class Budget:
    """The labelled patients of one draw. Past this point no code sees the manifest's labels.

    Attributes:
        videos: their assessed videos: ``row`` (of the store), ``patient_id, study_id, duration_seconds`` and
            ``label`` (0.0 or 1.0).
        train_patients: those trained on while the number of updates is chosen.
        validation_patients: those it is chosen on.
        positive_patients: those with a positive study.
        assessed: assessed patients that the share was taken of.
    """

    videos: pd.DataFrame
    train_patients: tuple[str, ...]
    validation_patients: tuple[str, ...]
    positive_patients: tuple[str, ...]
    assessed: int

    @property
    def training_videos(self) -> pd.DataFrame:
        """Videos of the patients trained on while the number of updates is chosen."""
        return self._of(self.train_patients)

    @property
    def validation_videos(self) -> pd.DataFrame:
        """Videos of the patients the number of updates is chosen on."""
        return self._of(self.validation_patients)

    def _of(self, patients: Sequence[str]) -> pd.DataFrame:
        return self.videos[self.videos["patient_id"].isin(patients)].reset_index(drop=True)

    def write(self, path: Path) -> None:
        """Write ``patient_id, role, positive``, so that a reader can count every label that was used."""
        roles = dict.fromkeys(self.train_patients, "train")
        roles |= dict.fromkeys(self.validation_patients, "validation")
        positive = [int(patient in self.positive_patients) for patient in sorted(roles)]
        table = pd.DataFrame({"patient_id": sorted(roles), "role": [roles[name] for name in sorted(roles)]})
        with atomic_path(path) as temporary:
            table.assign(positive=positive).to_csv(temporary, index=False)


def draw_budget(table: pd.DataFrame, labels: LabelBudget, *, split: str) -> Budget:
    """Draw the patients whose labels may be read.

    The draw is stratified, so the *choice* looks at every label of the split, as somebody does who orders
    labels for so many diseased and so many healthy patients. The labels of the others go no further.

    Args:
        table: manifest rows with their store ``row``.
        labels: column, share, draw.
        split: the split to draw from.

    Raises:
        UserError: if the split is empty or holds too few patients of a class.
    """
    pool = of_split(table, split)
    subset = label_subset(pool, column=labels.column, fraction=labels.fraction, draw=labels.draw)
    train, validation = split_validation(subset, share=labels.validation_share, draw=labels.draw)
    chosen = pool[pool["patient_id"].isin(subset.patients) & pool[labels.column].notna()]
    # a study is positive if any of its videos is marked so
    study_labels = chosen.groupby("study_id")[labels.column].transform("max").astype(float)
    videos = chosen.assign(label=study_labels)[VIDEO_COLUMNS].sort_values("row").reset_index(drop=True)
    return Budget(videos, train, validation, subset.positive_patients, subset.assessed)


def readable(budget: Budget, store: ClipStore, bad_videos: BadVideos) -> Budget:
    """The budget without labelled videos that have turned unreadable since they were prepared.

    Args:
        budget: the labelled videos.
        store: the clip store; each labelled video is read whole.
        bad_videos: where those that cannot be read are noted.

    Raises:
        EchosslError: if too many cannot be read, or no video of a labelled patient can.
    """
    bad: dict[int, tuple[str, str]] = {}
    for row in budget.videos["row"].tolist():
        try:
            store.frames(row)
        except EchosslError as error:
            bad[row] = (store.paths[row], str(error))
    bad_videos.add(bad.values())
    videos = budget.videos[~budget.videos["row"].isin(bad)].reset_index(drop=True)
    lost = sorted(set(budget.videos["patient_id"]) - set(videos["patient_id"]))
    if lost:
        raise EchosslError(
            f"{bad_videos.path}: no video of the labelled patient {lost[0]} can be read any more; mend it "
            "and run echossl prepare again"
        )
    return replace(budget, videos=videos)


def of_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split.

    Raises:
        UserError: if there is none.
    """
    if "split" not in table:
        raise UserError(
            "manifest: no split column; make it with echossl index --split train=0.8 --split test=0.2"
        )
    chosen = table[table["split"] == split]
    if chosen.empty:
        found = ", ".join(sorted(table["split"].unique()))
        raise UserError(f"manifest: no stored video in split {split!r}; found {found}")
    return chosen
