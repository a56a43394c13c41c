"""Frames become batches: the Batch, and the dataset whose item is the whole batch of a step.

This is the one part of the data room that needs torch; import it as ``echossl.data.clips``.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from echossl.data.requests import ClipRequest, read_clip, read_clips, video_requests
from echossl.data.samplers import BalancedSampler, Draw, PairSampler, Sampler
from echossl.data.store import ClipStore
from echossl.errors import DecodeError, EchosslError, UserError

__all__ = [
    "BalancedSampler",
    "Batch",
    "ClipRequest",
    "PairSampler",
    "TrainingClips",
    "read_clip",
    "read_clips",
    "step_loader",
    "video_requests",
]

# clips of other videos that are tried in place of an unreadable one before giving up
MOST_ATTEMPTS = 16


@dataclass(frozen=True)
class Batch:
    """What a training step sees.

    Attributes:
        clips: (items, clips, channels, frames, height, width), uint8 from the store, float32 in 0..1 after
            augmentation.
        patients: (items,) int64, equal for clips of the same patient.
        videos: (items, clips) int64, row of the video in the store.
        labels: (items,) float32, or None without labels.
        step: number of the update this batch belongs to.
        bad: path and reason of videos that could not be read and were replaced.
        reports: (items,) report of the study of each item, or None without reports.
        present: (items, clips) bool, which clips there are: an absent one holds zeros in ``clips`` and -1 in
            ``videos``. None where all are.
    """

    clips: Tensor
    patients: Tensor
    videos: Tensor
    labels: Tensor | None = None
    step: int = 0
    bad: tuple[tuple[str, str], ...] = ()
    reports: tuple[str, ...] | None = None
    present: Tensor | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device; the copy from pinned memory does not wait."""
        return replace(
            self,
            clips=self.clips.to(device, non_blocking=True),
            patients=self.patients.to(device, non_blocking=True),
            videos=self.videos.to(device, non_blocking=True),
            labels=None if self.labels is None else self.labels.to(device, non_blocking=True),
            present=None if self.present is None else self.present.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory; called by a DataLoader that pins."""
        return replace(
            self,
            clips=self.clips.pin_memory(),
            patients=self.patients.pin_memory(),
            videos=self.videos.pin_memory(),
            labels=None if self.labels is None else self.labels.pin_memory(),
            present=None if self.present is None else self.present.pin_memory(),
        )


class TrainingClips(Dataset[Batch]):
    """A dataset whose item is the batch of a step, a pure function of (seed, step).

    Any number of reader processes gives the same batches. Of several training processes each reads its own
    stretch of the batch, in order of rank.

    Args:
        store: the clip store.
        sampler: what the batches are made of.
        steps: number of updates.
        rank: number of this training process.
        world_size: number of training processes.
    """

    def __init__(
        self,
        store: ClipStore,
        sampler: Sampler,
        *,
        steps: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.store = store
        self.sampler = sampler
        self.steps = steps
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of {self.steps}")
        draw = self.sampler.draw(step)
        own = self._own_items(len(draw.items))
        spares = Spares(self.sampler, draw, step, first_item=own.start)
        clips = read_clips(self.store, draw.items[own], self.sampler.clip, instead=spares.instead)
        # only now: reading may have put other items in the place of some
        rows = [[request.row for request in item] for item in draw.items[own]]
        videos = torch.tensor(rows, dtype=torch.int64)
        return Batch(
            clips=torch.from_numpy(clips),
            patients=torch.from_numpy(draw.patients[own]),
            videos=videos,
            labels=None if draw.labels is None else torch.from_numpy(draw.labels[own]),
            step=step,
            bad=tuple(sorted(spares.bad.items())),
            reports=None if draw.reports is None else tuple(draw.reports[max(item)] for item in rows),
            present=None if draw.reports is None else videos >= 0,
        )

    def _own_items(self, num_items: int) -> slice:
        share, rest = divmod(num_items, self.world_size)
        if rest:
            raise UserError(
                f"batch_size: {num_items} items cannot be shared evenly by {self.world_size} processes; "
                f"make it a multiple of {self.world_size}"
            )
        return slice(self.rank * share, (self.rank + 1) * share)


class Spares:
    """What takes the place of items of a batch that cannot be read: a function of seed, step and item alone.

    Attributes:
        bad: path of each unreadable video, and why.
    """

    def __init__(self, sampler: Sampler, draw: Draw, step: int, first_item: int) -> None:
        self.bad: dict[str, str] = {}
        self._sampler, self._draw, self._step, self._first_item = sampler, draw, step, first_item
        self._patients = draw.patients.copy()
        self._attempts: Counter[int] = Counter()

    def instead(self, number: int, error: DecodeError) -> list[ClipRequest]:
        """Other clips for an item, which are written into the draw too.

        Raises:
            DecodeError: the one given, when nothing readable was found.
        """
        item = self._first_item + number
        self.bad[str(error.path)] = error.reason
        self._attempts[item] += 1
        if self._attempts[item] > MOST_ATTEMPTS:
            raise error
        requests, patient = self._sampler.replace(self._patients, self._step, item, self._attempts[item])
        self._draw.items[item], self._draw.patients[item] = requests, patient
        return requests


@dataclass(frozen=True)
class _Failure:
    """An error on its way out of a reader process, where torch would make a traceback of it."""

    error: EchosslError


class _Steps(Dataset["Batch | _Failure"]):
    """The batches of a dataset, errors among them as items."""

    def __init__(self, dataset: TrainingClips) -> None:
        self.dataset = dataset

    def __getitem__(self, step: int) -> Batch | _Failure:
        try:
            return self.dataset[step]
        except EchosslError as error:
            return _Failure(error)


def step_loader(
    dataset: TrainingClips, *, first_step: int = 0, workers: int = 0, pin_memory: bool = False
) -> Iterator[Batch]:
    """Read the batches of the steps from ``first_step`` on, in order, ahead of their use.

    Args:
        dataset: the batches.
        first_step: the step to go on from.
        workers: reader processes; 0 reads in this one.
        pin_memory: put batches into page-locked memory, for copies to a GPU that do not wait.

    Raises:
        DecodeError: if nothing readable is found for an item.
        ShortVideoError: if a video is shorter than the clip and ``clip.too_short`` is ``error``.
    """
    steps = range(first_step, len(dataset))
    # batch_size=None: an item is a whole batch already
    loader: DataLoader[Batch | _Failure] = DataLoader(
        _Steps(dataset), batch_size=None, sampler=steps, num_workers=workers, pin_memory=pin_memory
    )
    for batch in loader:
        if isinstance(batch, _Failure):
            raise batch.error
        yield batch
