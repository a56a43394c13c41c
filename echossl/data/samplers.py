"""Which clips make the batch of a step. Stateless: the answer depends on the seed and the step alone.

The samplers here draw patients, not videos: a study with many videos weighs as much as one with few, and no
batch holds a patient twice where its clips would be taken for those of a stranger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from echossl.config.video import ClipConfig
from echossl.data.requests import ClipRequest
from echossl.errors import UserError
from echossl.video.sampling import random_clip_start, two_clip_starts

Positives = Literal["two_videos", "two_clips", "patient"]
# draws of other clips of the same patient before another patient is taken in place of unreadable ones
OWN_REDRAWS = 4
# first words of the random streams, so that no two uses share one
EPOCH, ITEM, WITH_REPLACEMENT, STAND_IN = 1, 2, 3, 5


@dataclass(frozen=True)
class Draw:
    """What the batch of a step is made of.

    Attributes:
        items: per item its clips.
        patients: (items,) int64, position of the patient in the sampler's ``patients``.
        labels: (items,) float32, or None.
        reports: the report of every video that may be drawn, by its store row; None without reports.
    """

    items: list[list[ClipRequest]]
    patients: np.ndarray
    labels: np.ndarray | None = None
    reports: Mapping[int, str] | None = None


class Sampler(Protocol):
    """What a batch is made of, as a function of the step.

    Attributes:
        clip: which frames make a clip.
    """

    clip: ClipConfig

    def draw(self, step: int) -> Draw:
        """The items of the batch of a step."""

    def replace(
        self, patients: np.ndarray, step: int, item: int, attempt: int
    ) -> tuple[list[ClipRequest], int]:
        """Other clips for an item that cannot be read, and their patient; see :class:`PairSampler`."""


class PairSampler:
    """Batches of different patients with a few clips each, for learning without labels.

    An epoch is one random order of the patients; its last batch is filled up from the start of the same
    order, so that every patient is seen in every epoch and never twice in a batch.

    Args:
        table: ``row``, ``patient_id`` and ``duration_seconds`` of the videos, from ``ClipStore.rows_for``.
        positives: ``two_videos`` takes two different videos of the patient (two clips of one video where
            there is only one); ``two_clips`` takes two clips apart in time of one random video; ``patient``
            takes clips of all its videos in turn, none twice before each has been taken once.
        num_clips: clips per patient; 1 or 2 unless ``patient``.
        batch_size: patients per batch.
        clip: which frames make a clip.
        seed: seed of all draws.

    Raises:
        UserError: if there are fewer patients than a batch holds.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        positives: Positives,
        num_clips: int,
        batch_size: int,
        clip: ClipConfig,
        seed: int,
    ) -> None:
        if num_clips < 1 or (num_clips > 2 and positives != "patient"):
            raise ValueError(f"num_clips is {num_clips}, expected 1 or 2, or more with positives patient")
        self.patients = sorted(set(table["patient_id"]))
        if len(self.patients) < batch_size:
            raise UserError(
                f"batch_size: a batch of {batch_size} patients cannot be drawn from {len(self.patients)}; "
                f"set it to {len(self.patients)} or less"
            )
        self.positives = positives
        self.num_clips = num_clips
        self.batch_size = batch_size
        self.clip = clip
        self.seed = seed
        self._videos = _videos_of(table, self.patients)
        self._durations = durations_of(table)

    def draw(self, step: int) -> Draw:
        """``batch_size`` different patients with ``num_clips`` clips each."""
        patients = members_of_step(len(self.patients), self.batch_size, step, (self.seed,))
        items = [
            self._item(self._videos[patient], np.random.default_rng((ITEM, self.seed, step, item)))
            for item, patient in enumerate(patients)
        ]
        return Draw(items, patients)

    def replace(
        self, patients: np.ndarray, step: int, item: int, attempt: int
    ) -> tuple[list[ClipRequest], int]:
        """Other clips for an item that cannot be read, and their patient.

        It depends on nothing but the arguments: what else of the batch cannot be read, which another process
        may know, plays no part.

        Args:
            patients: those of the step's draw.
            step: its number.
            item: which item.
            attempt: 1 for the first replacement of the item; clips of the same patient are tried first, then
                patients who are not in the batch.
        """
        members = np.arange(len(self.patients))
        patient = stand_in(patients, item, attempt, members, (self.seed, step))
        generator = np.random.default_rng((ITEM, self.seed, step, item, attempt))
        return self._item(self._videos[patient], generator), patient

    def _item(self, videos: np.ndarray, generator: np.random.Generator) -> list[ClipRequest]:
        if self.positives == "patient":
            rounds = [generator.permutation(videos) for _ in range(-(-self.num_clips // len(videos)))]
            rows = np.concatenate(rounds)[: self.num_clips]
            return [random_request(int(row), self._durations, self.clip, generator) for row in rows]
        if self.num_clips == 2 and (self.positives == "two_clips" or len(videos) == 1):
            row = int(generator.choice(videos))
            starts = two_clip_starts(self._durations[row], clip=self.clip, generator=generator)
            return [ClipRequest(row, start) for start in starts]
        rows = generator.choice(videos, self.num_clips, replace=False)
        return [random_request(int(row), self._durations, self.clip, generator) for row in rows]


class BalancedSampler:
    """Batches with the same number of patients of each class and two clips each, for learning with labels.

    A class goes through its patients in random order before it starts anew; where it has fewer patients than
    a batch takes, they are drawn with replacement.

    Args:
        table: ``row``, ``patient_id``, ``duration_seconds`` and ``label`` of the videos. A patient with
            studies of two classes stands in both, each time with the videos of that class.
        patients_per_class: patients of each class in a batch.
        clip: which frames make a clip.
        seed: seed of all draws.
        balanced: False draws from all patients alike, as many as otherwise, whatever their class; the labels
            of the draw are then all 0.

    Raises:
        UserError: if a label is missing or there is only one class.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        patients_per_class: int,
        clip: ClipConfig,
        seed: int,
        balanced: bool = True,
    ) -> None:
        if table["label"].isna().any():
            raise UserError("labels: some videos are not assessed; take only the rows that have a label")
        self.classes = sorted(set(table["label"]))
        if len(self.classes) < 2:
            raise UserError(f"labels: found the classes {self.classes}, expected two or more")
        if not balanced:
            patients_per_class *= len(self.classes)
            table, self.classes = table.assign(label=0.0), [0.0]
        self.patients = sorted(set(table["patient_id"]))
        self.patients_per_class = patients_per_class
        self.clip = clip
        self.seed = seed
        codes = {patient: code for code, patient in enumerate(self.patients)}
        self._members: list[np.ndarray] = []
        self._videos: list[list[np.ndarray]] = []
        for label in self.classes:
            rows = table[table["label"] == label]
            members = sorted(set(rows["patient_id"]))
            self._members.append(np.array([codes[patient] for patient in members], dtype=np.int64))
            self._videos.append(_videos_of(rows, members))
        self._durations = durations_of(table)

    def draw(self, step: int) -> Draw:
        """``patients_per_class`` patients of each class with two clips each."""
        items: list[list[ClipRequest]] = []
        patients, labels = [], []
        for position, label in enumerate(self.classes):
            for member in self._members_of_class(position, step):
                generator = np.random.default_rng((ITEM, self.seed, step, len(items)))
                items.append(self._item(self._videos[position][member], generator))
                patients.append(self._members[position][member])
                labels.append(label)
        return Draw(items, np.array(patients, dtype=np.int64), np.array(labels, dtype=np.float32))

    def replace(
        self, patients: np.ndarray, step: int, item: int, attempt: int
    ) -> tuple[list[ClipRequest], int]:
        """Other clips of the same class; see :meth:`PairSampler.replace`."""
        position = item // self.patients_per_class
        members = self._members[position]
        patient = stand_in(patients, item, attempt, members, (self.seed, step))
        generator = np.random.default_rng((ITEM, self.seed, step, item, attempt))
        member = int(np.flatnonzero(members == patient)[0])
        return self._item(self._videos[position][member], generator), patient

    def _members_of_class(self, position: int, step: int) -> np.ndarray:
        num_members, key = len(self._members[position]), (self.seed, position)
        if num_members >= self.patients_per_class:
            return members_of_step(num_members, self.patients_per_class, step, key)
        generator = np.random.default_rng((WITH_REPLACEMENT, *key, step))
        return generator.integers(num_members, size=self.patients_per_class)

    def _item(self, videos: np.ndarray, generator: np.random.Generator) -> list[ClipRequest]:
        rows = generator.choice(videos, 2, replace=len(videos) == 1)
        return [random_request(int(row), self._durations, self.clip, generator) for row in rows]


def members_of_step(num_members: int, batch_size: int, step: int, key: Sequence[int]) -> np.ndarray:
    """Which members are in the batch of a step: (batch_size,) int64 below ``num_members``, all different."""
    steps_per_epoch = -(-num_members // batch_size)
    epoch, step_in_epoch = divmod(step, steps_per_epoch)
    order = np.random.default_rng((EPOCH, *key, epoch)).permutation(num_members)
    return order[np.arange(step_in_epoch * batch_size, (step_in_epoch + 1) * batch_size) % num_members]


def stand_in(patients: np.ndarray, item: int, attempt: int, members: np.ndarray, key: Sequence[int]) -> int:
    """Whose clips are tried next in place of an item's: the same patient's, then those of another member.

    Patients who are not in the batch come first. Each item begins at a place of its own in one random order
    of them, so that two items seldom get the same one; where they do, no objective takes clips of the same
    patient for those of strangers.
    """
    own = int(patients[item])
    if attempt <= OWN_REDRAWS:
        return own
    others = np.setdiff1d(members, patients)
    if not len(others):
        others = members[members != own]
    if not len(others):
        return own
    order = np.random.default_rng((STAND_IN, *key)).permutation(len(others))
    return int(others[order[(item + attempt - OWN_REDRAWS - 1) % len(others)]])


def _videos_of(table: pd.DataFrame, patients: Sequence[str]) -> list[np.ndarray]:
    """The store rows of each patient's videos, sorted."""
    groups = table.groupby("patient_id")["row"]
    rows = {patient: np.sort(own.to_numpy()) for patient, own in groups}
    return [rows[patient] for patient in patients]


def durations_of(table: pd.DataFrame) -> dict[int, float]:
    """Store row → length of the video in seconds."""
    return dict(zip(table["row"].astype(int), table["duration_seconds"].astype(float), strict=True))


def random_request(
    row: int, durations: dict[int, float], clip: ClipConfig, generator: np.random.Generator
) -> ClipRequest:
    """A clip of a video that starts anywhere."""
    return ClipRequest(row, random_clip_start(durations[row], clip=clip, generator=generator))
