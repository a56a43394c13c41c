"""``echossl pretrain --dry-run``: two real steps, and what the whole run would take. Writes nothing."""

import resource
import sys
import time
from dataclasses import dataclass, replace
from functools import partial

import torch

from echossl.augment import Augmentation
from echossl.config.training import PretrainConfig
from echossl.data.clips import Batch
from echossl.distributed import rank, world_size
from echossl.training.distributed import process_group
from echossl.training.learner import Learner, update
from echossl.training.optimiser import build_optimiser
from echossl.training.parts import Parts, build_parts
from echossl.training.peak import counted, peak_of

STATES_PER_WEIGHT = 2  # AdamW keeps two numbers for each


@dataclass(frozen=True)
class DryRun:
    """What two steps say about a run.

    Attributes:
        device: where it runs.
        precision: bf16, fp16 or fp32.
        hardware: these and all else that is resolved on this machine, for a person.
        num_processes: training processes.
        num_parameters: of the encoder.
        step_seconds: of the second step, once its batch is there.
        read_seconds: to read its batch in one process; ``workers`` readers hide it up to their number.
        step_clips_per_second: clips of all processes, of the step alone.
        step_operations: floating-point operations of a step, of one process.
        peak: operations per second that its device could do, or None if that is not known.
        peak_source: where that figure is from.
        run_seconds: all steps, with reading where it is not hidden.
        memory_bytes: most that was in use: of the GPU, or of this process on a CPU.
        checkpoint_bytes: one checkpoint.
        disk_bytes: all checkpoints that are kept, one more while it is written, and the encoder.
    """

    device: str
    precision: str
    hardware: str
    num_processes: int
    num_parameters: int
    step_seconds: float
    read_seconds: float
    step_clips_per_second: float
    step_operations: int
    peak: float | None
    peak_source: str
    run_seconds: float
    memory_bytes: int
    checkpoint_bytes: int
    disk_bytes: int

    @property
    def share_of_peak(self) -> float | None:
        """Operations per second of the step, of those that are possible, 0 to 1."""
        return None if self.peak is None else self.step_operations / self.step_seconds / self.peak

    def __str__(self) -> str:
        """Lines for a person."""
        parameters, memory = self.num_parameters / 1e6, self.memory_bytes / 2**20
        disk, checkpoint = self.disk_bytes / 2**20, self.checkpoint_bytes / 2**20
        return (
            f"{self.hardware}, {self.num_processes} process(es), "
            f"{parameters:.2f} M parameters\n"
            f"step:   {self.step_seconds:.3f} s, {self.step_clips_per_second:.1f} clips/s; "
            f"reading its batch {self.read_seconds:.3f} s\n"
            f"peak:   {self._rate()}\n"
            f"run:    about {_duration(self.run_seconds)}\n"
            f"memory: {memory:,.0f} MiB\n"
            f"disk:   {disk:,.1f} MiB, {checkpoint:,.1f} a checkpoint"
        )

    def _rate(self) -> str:
        rate = self.step_operations / self.step_seconds / 1e12
        share = "" if self.share_of_peak is None else f"{self.share_of_peak:.1%} of the "
        return f"{rate:.3g} TFLOP/s, {share}{self.peak_source}"


def dry_run(config: PretrainConfig) -> DryRun:
    """Make two steps as the run would make them, from its first weights, and throw them away.

    The first step warms up, and its operations are counted; the last is the one that is timed. Between them
    is another where encoders are compiled.

    Args:
        config: settings of the run; its folder is neither read nor made.

    Raises:
        UserError: if settings, manifest or store are wrong.
    """
    with process_group():
        parts = build_parts(config)
        optimiser = build_optimiser(parts.learner, config.optimiser)
        operations, device = 0, parts.hardware.device
        for step in range(3 if parts.hardware.compile else 2):
            started = time.perf_counter()
            batch = parts.clips[step % len(parts.clips)]
            read_seconds = time.perf_counter() - started
            started = time.perf_counter()
            work = partial(_one_step, config, parts, optimiser, replace(batch, step=step))
            if step == 0:
                _, operations = counted(work)
                forget_peak_memory(device)
            else:
                work()
            step_seconds = time.perf_counter() - started
        return _estimate(config, parts, step_seconds, read_seconds, operations, batch)


def _one_step(config: PretrainConfig, parts: Parts, optimiser: torch.optim.Optimizer, batch: Batch) -> None:
    batch = batch.to(parts.hardware.device)
    first_clip = rank() * batch.clips.shape[0] * batch.clips.shape[1]
    augmentation = Augmentation(config.augment, seed=config.seed)
    clips = augmentation(batch.clips, step=batch.step, first_clip=first_clip)
    parts.learner.train()
    # reads the loss, and so waits for the device
    update(
        parts.learner,
        optimiser,
        replace(batch, clips=clips),
        autocast=parts.hardware.autocast(),
        max_gradient_norm=config.max_gradient_norm,
        micro_batch=config.micro_batch,
        loss_scale=parts.hardware.loss_scale(),
    )
    if parts.hardware.device.type == "cuda":
        torch.cuda.synchronize(parts.hardware.device)


def _estimate(
    config: PretrainConfig,
    parts: Parts,
    step_seconds: float,
    read_seconds: float,
    operations: int,
    batch: Batch,
) -> DryRun:
    readers = parts.hardware.workers or int(parts.hardware.device.type == "cuda")
    # readers work beside the step, on a GPU a thread if no process does; without them the step waits
    each = max(step_seconds, read_seconds / readers) if readers else step_seconds + read_seconds
    peak, peak_source = peak_of(parts.hardware.device, parts.hardware.precision)
    num_clips = batch.clips.shape[0] * batch.clips.shape[1] * world_size()
    encoder = sum(value.nbytes for value in parts.learner.encoder.state_dict().values())
    checkpoint = checkpoint_bytes(parts.learner)
    return DryRun(
        device=str(parts.hardware.device),
        precision=parts.hardware.precision,
        hardware=str(parts.hardware),
        num_processes=world_size(),
        num_parameters=sum(parameter.numel() for parameter in parts.learner.encoder.parameters()),
        step_seconds=step_seconds,
        read_seconds=read_seconds,
        step_clips_per_second=num_clips / step_seconds,
        step_operations=operations,
        peak=peak,
        peak_source=peak_source,
        run_seconds=each * config.optimiser.steps,
        memory_bytes=peak_memory(parts.hardware.device),
        checkpoint_bytes=checkpoint,
        disk_bytes=checkpoint * (config.keep_checkpoints + 1) + encoder,
    )


def checkpoint_bytes(learner: Learner) -> int:
    """Weights, buffers and the optimiser's numbers."""
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    tensors = [*trained * STATES_PER_WEIGHT, *learner.state_dict().values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def forget_peak_memory(device: torch.device) -> None:
    """Let :func:`peak_memory` of a GPU start anew; that of a process cannot."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Most bytes that were in use: of the GPU, or of this process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    most: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
