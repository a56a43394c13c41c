"""``echossl pretrain --dry-run``: two real steps, and what the whole run would take. Writes nothing."""

import resource
import sys
import time
from dataclasses import dataclass, replace

import torch

from echossl.augment import Augmentation
from echossl.config.training import PretrainConfig
from echossl.data.clips import Batch
from echossl.distributed import rank, world_size
from echossl.training.distributed import process_group
from echossl.training.learner import Learner, update
from echossl.training.optimiser import build_optimiser
from echossl.training.pretrain import Parts, build_parts

STATES_PER_WEIGHT = 2  # AdamW keeps two numbers for each


@dataclass(frozen=True)
class DryRun:
    """What two steps say about a run.

    Attributes:
        device: where it runs.
        precision: bf16, fp16 or fp32.
        num_processes: training processes.
        num_parameters: of the encoder.
        step_seconds: of the second step, once its batch is there.
        read_seconds: to read its batch in one process; ``workers`` readers hide it up to their number.
        step_clips_per_second: clips of all processes, of the step alone.
        run_seconds: all steps, with reading where it is not hidden.
        memory_bytes: most that was in use: of the GPU, or of this process on a CPU.
        checkpoint_bytes: one checkpoint.
        disk_bytes: all checkpoints that are kept, one more while it is written, and the encoder.
    """

    device: str
    precision: str
    num_processes: int
    num_parameters: int
    step_seconds: float
    read_seconds: float
    step_clips_per_second: float
    run_seconds: float
    memory_bytes: int
    checkpoint_bytes: int
    disk_bytes: int

    def __str__(self) -> str:
        """Lines for a person."""
        parameters, memory = self.num_parameters / 1e6, self.memory_bytes / 2**20
        disk, checkpoint = self.disk_bytes / 2**20, self.checkpoint_bytes / 2**20
        return (
            f"{self.device}, {self.precision}, {self.num_processes} process(es), "
            f"{parameters:.2f} M parameters\n"
            f"step:   {self.step_seconds:.3f} s, {self.step_clips_per_second:.1f} clips/s; "
            f"reading its batch {self.read_seconds:.3f} s\n"
            f"run:    about {_duration(self.run_seconds)}\n"
            f"memory: {memory:,.0f} MiB\n"
            f"disk:   {disk:,.1f} MiB, {checkpoint:,.1f} a checkpoint"
        )


def dry_run(config: PretrainConfig) -> DryRun:
    """Make two steps as the run would make them, from its first weights, and throw them away.

    The first step warms up; the second is the one that is timed.

    Args:
        config: settings of the run; its folder is neither read nor made.

    Raises:
        UserError: if settings, manifest or store are wrong.
    """
    with process_group():
        parts = build_parts(config)
        optimiser = build_optimiser(parts.learner, config.optimiser)
        for step in range(2):
            started = time.perf_counter()
            batch = parts.clips[step % len(parts.clips)]
            read_seconds = time.perf_counter() - started
            started = time.perf_counter()
            _one_step(config, parts, optimiser, replace(batch, step=step))
            step_seconds = time.perf_counter() - started
        return _estimate(config, parts, step_seconds, read_seconds, batch)


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
    config: PretrainConfig, parts: Parts, step_seconds: float, read_seconds: float, batch: Batch
) -> DryRun:
    workers = parts.hardware.workers
    # readers work beside the step; without them the step waits
    each = max(step_seconds, read_seconds / workers) if workers else step_seconds + read_seconds
    num_clips = batch.clips.shape[0] * batch.clips.shape[1] * world_size()
    encoder = sum(value.nbytes for value in parts.learner.encoder.state_dict().values())
    checkpoint = checkpoint_bytes(parts.learner)
    return DryRun(
        device=str(parts.hardware.device),
        precision=parts.hardware.precision,
        num_processes=world_size(),
        num_parameters=sum(parameter.numel() for parameter in parts.learner.encoder.parameters()),
        step_seconds=step_seconds,
        read_seconds=read_seconds,
        step_clips_per_second=num_clips / step_seconds,
        run_seconds=each * config.optimiser.steps,
        memory_bytes=_memory_bytes(parts.hardware.device),
        checkpoint_bytes=checkpoint,
        disk_bytes=checkpoint * (config.keep_checkpoints + 1) + encoder,
    )


def checkpoint_bytes(learner: Learner) -> int:
    """Weights, buffers and the optimiser's numbers."""
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    tensors = [*trained * STATES_PER_WEIGHT, *learner.state_dict().values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _memory_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    most: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
