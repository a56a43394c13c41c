"""One run on several processes, started by ``torchrun`` or ``srun``: the same numbers as on one."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.modules.batchnorm import _BatchNorm

from echossl.distributed import rank, world_size
from echossl.errors import EchosslError
from echossl.progress import QUIET
from echossl.training.together import Together

# torch's own lacks types
synchronised: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
# reading a large manifest and store on the slowest node must fit in
PATIENCE = timedelta(minutes=30)


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that ``torchrun`` started; on a laptop, or if joined already, do nothing.

    Reads RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as torchrun sets them. GPUs talk over
    NCCL, each process on the GPU of its LOCAL_RANK; CPUs over gloo. Where one process fails, all end.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        # some schedulers show each process a single GPU, its own
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    store, number, size = next(rendezvous("env://", timeout=PATIENCE))
    backend = "nccl" if has_gpu else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=size, timeout=PATIENCE)
    if rank() > 0:
        os.environ[QUIET] = "1"  # one process shows the progress of all
    try:
        with Together(store):
            yield
    finally:
        dist.destroy_process_group()


@contextmanager
def writer_first() -> Iterator[None]:
    """The block runs in the process that writes, then in all others."""
    if rank() > 0:
        dist.barrier()
    yield
    if world_size() > 1 and rank() == 0:
        dist.barrier()


def average_gradients(module: nn.Module) -> None:
    """Replace every gradient by its mean over the processes.

    Each process has the gradient of its own items, of a loss that sees the whole batch, so that the mean is
    the gradient of one process with the whole batch. One message instead of one for every parameter.
    """
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1).float() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def average(values: Tensor) -> Tensor:
    """The mean over the processes of figures that are means over the items of each."""
    if world_size() > 1:
        dist.all_reduce(values)
        values /= world_size()
    return values


def largest(value: int, device: torch.device) -> int:
    """The largest value of any process, the same in all."""
    if world_size() == 1:
        return value
    found = torch.tensor(value, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found.item())


def collected(pairs: tuple[tuple[str, str], ...], device: torch.device) -> tuple[tuple[str, str], ...]:
    """The pairs of all processes in all of them; next to nothing is sent while there are none."""
    if world_size() == 1 or not largest(len(pairs), device):
        return pairs
    parts: list[tuple[tuple[str, str], ...]] = [()] * world_size()
    dist.all_gather_object(parts, pairs)
    return tuple(sorted({pair for part in parts for pair in part}))


def require_same_step(step: int, device: torch.device) -> None:
    """All processes must have read the same checkpoint.

    Raises:
        EchosslError: if they did not, because each node has a run folder of its own.
    """
    if largest(step, device) != -largest(-step, device):
        raise EchosslError(
            f"process {rank()} found a checkpoint of step {step}, others another one; put the run folder "
            "(out) where all nodes see it"
        )


class _Sum(torch.autograd.Function):
    """The sum over the processes, whose gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


summed: Callable[[Tensor], Tensor] = _Sum.apply


class _GatheredBatchNorm(_BatchNorm):
    """Batch normalisation with the statistics of all processes, where torch has none: on CPUs.

    The sums are exact in float32 up to rounding, and their gradient flows through all processes, which may
    have different numbers of clips, even none.
    """

    def forward(self, values: Tensor) -> Tensor:
        """(n, c, ...) → (n, c, ...)."""
        if not self.training:
            evaluated: Tensor = super().forward(values)
            return evaluated
        axes = [axis for axis in range(values.ndim) if axis != 1]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        own = values.new_full((1,), values.numel() // values.shape[1], dtype=torch.float32)
        sums = summed(torch.cat((values.float().sum(axes), own)))
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = values.float() - mean.view(shape)
        variance = summed(centred.square().sum(axes)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        normalised = centred * scale.view(shape)
        return (normalised if self.bias is None else normalised + self.bias.view(shape)).to(values.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's signature
        """Any number of axes will do."""


def share_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Let batch normalisations use the statistics of the whole batch; names of weights stay as they are."""
    if world_size() == 1:
        return
    for name, child in module.named_children():
        if not isinstance(child, _BatchNorm):
            share_batch_norm(child, device)
        elif device.type == "cuda":
            setattr(module, name, synchronised(child))
        else:
            shared = _GatheredBatchNorm(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            shared.load_state_dict(child.state_dict())
            shared.weight, shared.bias = child.weight, child.bias
            shared.train(child.training)
            setattr(module, name, shared)
