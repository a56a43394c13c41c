"""The label budget: whose labels may be read, and nothing else about the training patients' labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.adapt.tasks import Task, resolve_task
from echossl.adapt.units import rarest_classes
from echossl.config.adapt import LabelBudget
from echossl.data.store import ClipStore
from echossl.data.strata import draw_patients, hold_out
from echossl.errors import EchosslError, UserError
from echossl.files import atomic_path
from echossl.training.bad_videos import BadVideos

Floats = npt.NDArray[np.floating]
TARGET = "target"
VIDEO_COLUMNS = ["row", "patient_id", "study_id", "duration_seconds"]


@dataclass(frozen=True)
class Budget:
    """The labelled patients of one draw. Past this point no code sees the manifest's labels.

    Attributes:
        videos: their assessed videos: ``row`` (of the store), ``patient_id, study_id, duration_seconds``,
            ``label`` (the code of the study's stratum, of a binary task 0.0 or 1.0) and ``target0``,
            ``target1``, ... (the targets of the study).
        train_patients: those trained on while the number of updates is chosen.
        validation_patients: those it is chosen on.
        strata: the stratum of each patient.
        assessed: assessed patients that the share was taken of.
    """

    videos: pd.DataFrame
    train_patients: tuple[str, ...]
    validation_patients: tuple[str, ...]
    strata: Mapping[str, int]
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

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """Patients of each stratum, all strata named."""
        return {name: sum(code == place for code in self.strata.values()) for place, name in enumerate(names)}

    def write(self, path: Path, task: Task) -> None:
        """Write whose labels were used, so that a reader can count every one.

        The columns are ``patient_id, role`` and ``positive`` (0 or 1) of a binary task, else ``stratum``.
        """
        roles = dict.fromkeys(self.train_patients, "train")
        roles |= dict.fromkeys(self.validation_patients, "validation")
        patients = sorted(roles)
        table = pd.DataFrame({"patient_id": patients, "role": [roles[name] for name in patients]})
        codes = [self.strata[name] for name in patients]
        if task.settings.name == "binary":
            table["positive"] = codes
        else:
            table["stratum"] = [task.stratum_names[code] for code in codes]
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False)


def targets_of(videos: pd.DataFrame) -> npt.NDArray[np.float32]:
    """The targets (rows, k) of videos or studies of a budget."""
    names = [name for name in videos if str(name).startswith(TARGET)]
    return videos[names].to_numpy(np.float32, copy=True)


def draw_budget(table: pd.DataFrame, labels: LabelBudget, *, split: str) -> Budget:
    """Draw the patients whose labels may be read.

    The draw is stratified, so the *choice* looks at every label of the split, as somebody does who orders
    labels for so many diseased and so many healthy patients. The labels of the others go no further: what
    is held out for validation, and what batches are balanced by, comes from those that were drawn.

    A study has the largest of its videos' labels, and so has a patient: any positive video makes it positive.
    Of classes without an order that videos have, a patient is drawn by the rarest of its own.

    Args:
        table: manifest rows with their store ``row``; by video as :func:`echossl.adapt.units.by_unit` gives
            them.
        labels: task, columns, share, draw.
        split: the split to draw from.

    Raises:
        UserError: if the split is empty or holds too few patients of a class, or a label is none of the task.
    """
    task = resolve_task(labels)
    pool = of_split(table, split)
    targets = task.targets(pool)
    refuse_mixed_studies(task, pool, targets)
    known: npt.NDArray[np.bool_] = np.asarray(~np.isnan(targets).all(axis=1))
    pool, targets = pool.loc[known, :], targets[known]
    strata = _strata(task, pool["patient_id"], targets)
    chosen = draw_patients(
        strata,
        fraction=labels.fraction,
        draw=labels.draw,
        what=", ".join(task.settings.columns),
        # by video, each patient may have videos of every class
        fewest_groups=1 if labels.unit == "video" else 2,
    )
    rows = pool["patient_id"].isin(chosen).to_numpy()
    assessed = len(strata)
    strata = _strata(task, pool["patient_id"][rows], targets[rows])
    train, validation = hold_out(strata, share=labels.validation_share, draw=labels.draw)
    videos = _with_targets(task, pool[rows], targets[rows])
    return Budget(videos, train, validation, strata, assessed)


def _with_targets(task: Task, videos: pd.DataFrame, targets: Floats) -> pd.DataFrame:
    of_study = largest_targets(videos["study_id"], targets)
    codes = pd.Series(task.strata(of_study.to_numpy()), index=of_study.index)
    labels = {str(name): videos["study_id"].map(of_study[name]) for name in of_study}
    labels["label"] = videos["study_id"].map(codes).astype(float)
    columns: pd.DataFrame = videos[VIDEO_COLUMNS].assign(**labels)
    return columns.sort_values("row").reset_index(drop=True)


def _strata(task: Task, patients: pd.Series, targets: Floats) -> dict[str, int]:
    """The stratum of each patient: of its largest target, or by video of the rarest of its classes."""
    if task.settings.unit == "video" and task.settings.name == "multiclass":
        return rarest_classes(patients, targets[:, 0])
    of_patient = largest_targets(patients, targets)
    codes = task.strata(of_patient.to_numpy()).tolist()
    return {str(patient): code for patient, code in zip(of_patient.index, codes, strict=True)}


def largest_targets(keys: pd.Series, targets: Floats) -> pd.DataFrame:
    """The largest assessed target of each key, sorted by key: columns ``target0``, ``target1``, ..."""
    names = [f"{TARGET}{number}" for number in range(targets.shape[1])]
    largest: pd.DataFrame = pd.DataFrame(targets, columns=names).groupby(keys.to_numpy())[names].max()
    return largest


def refuse_mixed_studies(task: Task, table: pd.DataFrame, targets: Floats) -> None:
    """Raise UserError if the videos of a study have several classes without an order, such as views.

    Of ordered classes the highest stands for the study; of others none can.
    """
    if task.settings.name != "multiclass":
        return
    each = pd.Series(targets[:, 0]).groupby(table["study_id"].to_numpy()).nunique()
    if (each > 1).any():
        raise UserError(
            f"manifest: the videos of study {each.index[each > 1][0]} differ in {task.column}, and a study "
            "is predicted as a whole; give each video a study_id of its own to predict videos"
        )


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
