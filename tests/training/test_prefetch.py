"""Batches come in order and unchanged, errors when their batch is asked for, and a thread that ends."""

import threading
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import torch

from echossl.config.data import DataConfig
from echossl.config.training import HardwareConfig, PretrainConfig
from echossl.data.clips import Batch, TrainingClips
from echossl.errors import EchosslError
from echossl.training.hardware import Hardware
from echossl.training.parts import build_parts
from echossl.training.prefetch import device_batches, one_ahead, read_ahead

STEPS = 6
Ahead = Callable[[Iterator[int]], Iterator[int]]
both = pytest.mark.parametrize("ahead", [read_ahead, one_ahead])
devices = pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))],
)


def failing(at: int) -> Iterator[int]:
    yield from range(1, at)
    raise EchosslError(f"item {at} cannot be read")


@both
def test_items_come_in_order_and_the_end_is_the_end(ahead: Ahead) -> None:
    assert list(ahead(iter(range(1, 9)))) == list(range(1, 9))
    assert list(ahead(iter(()))) == []
    assert list(ahead(iter((0,)))) == [0]


@both
def test_the_next_item_is_begun_before_this_one_is_handed_out(ahead: Ahead) -> None:
    begun: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(4):
            begun.append(number)
            if number == 1:
                second.set()
            yield number

    handed_out = ahead(items())
    assert next(handed_out) == 0
    assert second.wait(timeout=10)
    assert begun == [0, 1]
    assert list(handed_out) == [1, 2, 3]


@both
@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_error_is_raised_for_the_item_that_it_belongs_to(ahead: Ahead, at: int) -> None:
    items = ahead(failing(at))
    assert list(islice(items, at - 1)) == list(range(1, at))
    with pytest.raises(EchosslError, match=f"item {at} cannot be read"):
        next(items)


def test_the_thread_ends_when_the_caller_stops_early() -> None:
    handed_out = read_ahead(iter(range(100)))
    assert next(handed_out) == 0
    assert any(thread.name.startswith("reader") for thread in threading.enumerate())
    handed_out.close()
    assert not any(thread.name.startswith("reader") for thread in threading.enumerate())


@pytest.fixture(scope="module")
def clips(store: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> TrainingClips:
    config = PretrainConfig.model_validate(
        {
            "data": store,
            "out": tmp_path_factory.mktemp("never") / "run",
            "clip": {"num_frames": 4},
            "encoder": {"name": "compact3d", "width": 4},
            "optimiser": {"steps": STEPS, "warmup_steps": 0},
            "batch_size": 4,
            "hardware": {"device": "cpu"},
        }
    )
    return build_parts(config).clips


def require_same(found: Batch, expected: Batch, device: str) -> None:
    assert (found.step, found.bad, found.labels) == (expected.step, expected.bad, expected.labels)
    assert found.clips.device.type == device
    assert found.clips.dtype == torch.uint8  # a quarter of the bytes of float32 are copied
    for name in ("clips", "patients", "videos"):
        assert torch.equal(getattr(found, name).cpu(), getattr(expected, name))


@devices
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_data_set(clips: TrainingClips, device: str, workers: int) -> None:
    hardware = Hardware.resolve(HardwareConfig(device=device, workers=workers))
    found = list(device_batches(clips, hardware, first_step=2))
    assert [batch.step for batch in found] == list(range(2, STEPS))
    for batch in found:
        require_same(batch, clips[batch.step], device)


def test_reading_ahead_changes_no_bits(clips: TrainingClips) -> None:
    for batch, expected in zip(read_ahead(clips[step] for step in range(STEPS)), clips, strict=True):
        require_same(batch, expected, "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_memory_of_a_copy_is_not_used_anew_while_the_step_runs(clips: TrainingClips) -> None:
    hardware = Hardware.resolve(HardwareConfig(device="cuda"))
    sums = []
    for batch in device_batches(clips, hardware):
        torch.cuda._sleep(20_000_000)  # the computation is late, later copies are not
        sums.append(batch.clips.sum())
        del batch
    assert [int(value) for value in sums] == [int(clips[step].clips.sum()) for step in range(STEPS)]


def test_a_cpu_reads_a_batch_when_it_is_asked_for(clips: TrainingClips) -> None:
    hardware = Hardware.resolve(HardwareConfig(device="cpu"))
    threads = threading.active_count()
    batches = device_batches(clips, hardware)
    assert [batch.step for batch in islice(batches, 2)] == [0, 1]
    assert threading.active_count() == threads
