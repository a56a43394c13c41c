"""The pre-training loop, from the first update to the last."""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace

import torch

from echossl.augment import Augmentation, seed_of
from echossl.config.training import PretrainConfig
from echossl.data.clips import Batch
from echossl.distributed import rank, world_size
from echossl.objectives.gather import gathered
from echossl.progress import progress
from echossl.training.bad_steps import BadSteps
from echossl.training.bad_videos import BadVideos
from echossl.training.checkpoint import Checkpoints
from echossl.training.distributed import collected, largest, writer_first
from echossl.training.hardware import Hardware
from echossl.training.interrupt import StoppedError, StopRequest, shielded
from echossl.training.learner import Learner, is_bad, update
from echossl.training.logging import Log
from echossl.training.loss_scale import LossScale
from echossl.training.monitors.look import Looks
from echossl.training.optimiser import learning_rate, set_learning_rate

# first word of the random stream of what networks draw in training
NETWORK_STREAM = 301


@dataclass(frozen=True)
class Training:
    """What the loop works with.

    Attributes:
        config: settings of the run.
        learner: on the device already.
        optimiser: of the learner's parameters.
        augmentation: of the clips.
        hardware: device and precision.
        checkpoints: where the state is kept.
        logs: where figures go.
        bad_videos: count of the videos that could not be read.
        bad_steps: count of the steps that were skipped.
        looks: what the monitors see; None without monitors.
        loss_scale: of float16; scales nothing in other precisions.
    """

    config: PretrainConfig
    learner: Learner
    optimiser: torch.optim.Optimizer
    augmentation: Augmentation
    hardware: Hardware
    checkpoints: Checkpoints
    logs: tuple[Log, ...]
    bad_videos: BadVideos
    bad_steps: BadSteps
    looks: Looks | None = None
    loss_scale: LossScale = field(default_factory=LossScale)


def train(training: Training, batches: Iterable[Batch], *, first_step: int) -> None:
    """Make the updates from ``first_step`` on.

    A step is a pure function of the state before it, the seed and its number, so that a run that was stopped
    and continued ends with the same weights.

    Args:
        training: what to work with.
        batches: those of steps ``first_step``, ``first_step + 1``, ... in order, on the device.
        first_step: updates that are already done.

    Raises:
        StoppedError: if the run is asked to stop; a checkpoint is saved.
        EchosslError: if too many steps in a row are not finite, or too many videos cannot be read.
    """
    config, steps = training.config, training.config.optimiser.steps
    rate = Throughput()
    training.learner.train()
    with (
        StopRequest() as stop,
        step_random_numbers(training.hardware.device),
        progress("pretraining", total=steps, unit="steps", done=first_step) as bar,
    ):
        for step, batch in zip(range(first_step, steps), shielded(batches), strict=True):
            figures = make_step(training, batch, step=step)
            rate.add(batch.clips.shape[0] * batch.clips.shape[1] * world_size())
            done = step + 1
            seen = take_look(training, done, rate)
            if seen or done % config.log_every == 0 or done == steps:
                write_figures(training, done, figures | {"clips_per_second": rate.read()} | seen)
            bar.advance(note=f"loss {figures['loss']:.3f}")
            asked = largest(stop.asked or 0, training.hardware.device)  # of any process
            is_due = done % config.checkpoint_every == 0 or done == steps or asked
            if is_due and rank() == 0:
                training.checkpoints.save(
                    done, training.learner, training.optimiser, loss_scale=training.loss_scale
                )
            if asked and done < steps:
                message = f"saved at step {done} of {steps}; the same command continues"
                raise StoppedError(signal.Signals(asked), message)


def make_step(training: Training, batch: Batch, *, step: int) -> dict[str, float]:
    """One update, or none if it is not finite, which is taken note of.

    Returns:
        What :func:`echossl.training.learner.update` measured, and the learning rate.
    """
    config, hardware = training.config, training.hardware
    training.bad_videos.add(collected(batch.bad, hardware.device))
    # what networks draw (dropout, stochastic depth) depends on the step, so that a resumed run draws the same
    torch.manual_seed(seed_of(NETWORK_STREAM, config.seed, step, rank()))
    rate = learning_rate(step, config.optimiser)
    set_learning_rate(training.optimiser, rate)
    first_clip = rank() * batch.clips.shape[0] * batch.clips.shape[1]
    clips = training.augmentation(batch.clips, step=step, first_clip=first_clip)
    figures = update(
        training.learner,
        training.optimiser,
        replace(batch, clips=clips),
        autocast=hardware.autocast(),
        max_gradient_norm=config.max_gradient_norm,
        micro_batch=config.micro_batch,
        loss_scale=training.loss_scale,
    )
    if is_bad(figures):
        videos = gathered(batch.videos).flatten().tolist()
        training.bad_steps.add(step + 1, figures, [row for row in videos if row >= 0])  # less absent ones
    return figures | {"learning_rate": rate}


def step_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """Torch's generators are set at every step; afterwards they are as they were before."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def take_look(training: Training, done: int, rate: "Throughput") -> dict[str, float]:
    """What the monitors see, if it is their turn; one process looks, all others wait."""
    looks = training.looks
    if looks is None or not looks.is_due(done):
        return {}
    with rate.standing_still(), writer_first():
        return looks.take(done) if rank() == 0 else {}


def write_figures(training: Training, done: int, figures: dict[str, float]) -> None:
    """A line in every log."""
    counts = {"bad_videos": len(training.bad_videos), "bad_steps": len(training.bad_steps)}
    for log in training.logs:
        log.write(done, figures | counts)


class Throughput:
    """Clips per second since the figure was last read."""

    def __init__(self) -> None:
        self._clips = 0
        self._started = time.perf_counter()

    def add(self, clips: int) -> None:
        """Count the clips of a step."""
        self._clips += clips

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The time of the block does not count."""
        began = time.perf_counter()
        yield
        self._started += time.perf_counter() - began

    def read(self) -> float:
        """The rate, rounded to 0.1; counting starts anew."""
        now = time.perf_counter()
        rate = self._clips / max(now - self._started, 1e-9)
        self._clips, self._started = 0, now
        return round(rate, 1)
