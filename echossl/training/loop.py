"""The pre-training loop, from the first update to the last."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from echossl.augment import Augmentation
from echossl.config.training import PretrainConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.errors import EchosslError
from echossl.objectives import Objective
from echossl.progress import progress
from echossl.training.bad_videos import BadVideos
from echossl.training.checkpoint import Checkpoints
from echossl.training.hardware import Hardware
from echossl.training.interrupt import StopRequest
from echossl.training.logging import Log
from echossl.training.optimiser import learning_rate, set_learning_rate


class Learner(nn.Module):
    """An encoder and its objective: everything that is trained, in one module."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of augmented clips."""
        loss_and_metrics: tuple[Tensor, dict[str, Tensor]] = self.objective(self.encoder, batch)
        return loss_and_metrics


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
    """

    config: PretrainConfig
    learner: Learner
    optimiser: torch.optim.Optimizer
    augmentation: Augmentation
    hardware: Hardware
    checkpoints: Checkpoints
    logs: tuple[Log, ...]
    bad_videos: BadVideos


def train(training: Training, batches: Iterable[Batch], *, first_step: int) -> None:
    """Make the updates from ``first_step`` on.

    A step is a pure function of the state before it, the seed and its number, so that a run that was stopped
    and continued ends with the same weights.

    Args:
        training: what to work with.
        batches: those of steps ``first_step``, ``first_step + 1``, ... in order.
        first_step: updates that are already done.

    Raises:
        EchosslError: if the loss is not finite, too many videos cannot be read, or the run is asked to
            stop (after saving a checkpoint).
    """
    config, steps = training.config, training.config.optimiser.steps
    rate = Throughput()
    training.learner.train()
    with StopRequest() as stop, progress("pretraining", total=steps, unit="steps", done=first_step) as bar:
        for step, batch in zip(range(first_step, steps), batches, strict=True):
            training.bad_videos.add(batch.bad)
            set_learning_rate(training.optimiser, learning_rate(step, config.optimiser))
            figures = update(training, batch, step=step)
            rate.add(batch.clips.shape[0] * batch.clips.shape[1])
            done = step + 1
            if done % config.log_every == 0 or done == steps:
                figures["learning_rate"] = learning_rate(step, config.optimiser)
                figures["clips_per_second"] = rate.read()
                figures["bad_videos"] = len(training.bad_videos)
                for log in training.logs:
                    log.write(done, figures)
            bar.advance(note=f"loss {figures['loss']:.3f}")
            if done % config.checkpoint_every == 0 or done == steps or stop.asked:
                training.checkpoints.save(done, training.learner, training.optimiser)
            if stop.asked and done < steps:
                raise EchosslError(f"interrupted at step {done} of {steps}; the same command continues")


def update(training: Training, batch: Batch, *, step: int) -> dict[str, float]:
    """One update of the weights.

    Returns:
        ``loss`` and the objective's metrics, before the update.

    Raises:
        EchosslError: if the loss is not finite; the weights are left as they were.
    """
    batch = batch.to(training.hardware.device)
    clips = training.augmentation(batch.clips, step=step)
    with training.hardware.autocast():
        loss, metrics = training.learner(replace(batch, clips=clips))
    figures = {"loss": loss.item()} | {name: value.item() for name, value in metrics.items()}
    if not loss.isfinite():
        raise EchosslError(
            f"step {step + 1}: the loss is {figures['loss']}; lower optimiser.learning_rate, raise "
            "optimiser.warmup_steps, or set hardware.precision to fp32"
        )
    training.optimiser.zero_grad()
    loss.backward()
    training.optimiser.step()
    return figures


class Throughput:
    """Clips per second since the figure was last read."""

    def __init__(self) -> None:
        self._clips = 0
        self._started = time.perf_counter()

    def add(self, clips: int) -> None:
        """Count the clips of a step."""
        self._clips += clips

    def read(self) -> float:
        """The rate, rounded to 0.1; counting starts anew."""
        now = time.perf_counter()
        rate = self._clips / max(now - self._started, 1e-9)
        self._clips, self._started = 0, now
        return round(rate, 1)
