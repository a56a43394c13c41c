"""Batches on their way to the device: the next one is read and copied while a step runs."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from echossl.data.clips import Batch, TrainingClips, step_loader
from echossl.errors import EchosslError
from echossl.training.hardware import Hardware

Item = TypeVar("Item")
# torch's own lacks types
new_stream: Callable[[torch.device], torch.cuda.Stream] = torch.cuda.Stream


def device_batches(clips: TrainingClips, hardware: Hardware, *, first_step: int = 0) -> Iterator[Batch]:
    """The batches of the steps from ``first_step`` on, in order, each on the device.

    On a GPU the next batch is copied beside the step; without reader processes a thread of this process
    reads it. On a CPU it is read between two steps: from a clip store this takes less than a twentieth of
    the step, and a thread would take its time from the step.

    Args:
        clips: the batches.
        hardware: device and number of reader processes.
        first_step: the step to go on from.

    Raises:
        EchosslError: what reading raises, when the batch that cannot be read is asked for.
    """
    on_gpu = hardware.device.type == "cuda"
    batches = step_loader(clips, first_step=first_step, workers=hardware.workers, pin_memory=on_gpu)
    if not on_gpu:
        return (batch.to(hardware.device) for batch in batches)
    copies = _copies(batches, hardware.device)
    return _arrived(one_ahead(copies) if hardware.workers else read_ahead(copies), hardware.device)


def read_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Take the next item in a thread while the caller works with the one it has.

    What taking an item raises is raised when that item is asked for. When the caller stops early the thread
    ends after the item that it is at.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        coming = reader.submit(next, iterator, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, iterator, None)
            yield item


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Take the next item before the one it follows is handed out, for items that are begun by being taken.

    An EchosslError of an item is raised when that item is asked for.
    """
    iterator = iter(items)
    item = next(iterator, None)
    while item is not None:
        try:
            coming = next(iterator, None)
        except EchosslError:
            yield item
            raise
        yield item
        item = coming


def _copies(batches: Iterable[Batch], device: torch.device) -> Iterator[tuple[Batch, torch.cuda.Event]]:
    """Batches on a GPU that a stream of their own still copies, and what says that they are there."""
    stream = new_stream(device)
    for batch in batches:
        with torch.cuda.stream(stream):
            copy = batch.to(device)
        yield copy, stream.record_event()


def _arrived(copies: Iterable[tuple[Batch, torch.cuda.Event]], device: torch.device) -> Iterator[Batch]:
    """Let the computation, but not this process, wait for each copy."""
    for batch, is_there in copies:
        stream = torch.cuda.current_stream(device)
        stream.wait_event(is_there)
        for values in vars(batch).values():
            if isinstance(values, Tensor):
                # its memory is not given to a later copy before the computation is done with it
                values.record_stream(stream)
        yield batch
