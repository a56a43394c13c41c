"""What all processes of a run have computed, with gradient, so that a loss sees the whole batch."""

import torch
import torch.distributed as dist
from torch import Tensor


def gathered(values: Tensor) -> Tensor:
    """The values of all processes, one after the other; the same tensor where there is one process.

    Every process computes the same loss of the whole batch from them. What flows back is what an all-gather
    with gradient gives, the sum over the processes of their equal gradients, without sending it: the own
    gradient times their number. Data-parallel training then takes the mean over the processes, so that the
    weights' gradient is that of one process.

    Args:
        values: (n, ...), of the same shape in every process.

    Returns:
        (processes x n, ...), in the order of the ranks; only the own part carries gradient.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    processes, rank = dist.get_world_size(), dist.get_rank()
    plain = values.detach().contiguous()
    parts = [torch.empty_like(plain) for _ in range(processes)]
    dist.all_gather(parts, plain)
    if values.requires_grad:
        parts[rank] = plain + (values - plain) * processes  # plus zero, whose gradient is the factor
    return torch.cat(parts)


def share_of_batch(num_items: int) -> tuple[int, slice]:
    """The items of the whole batch, and which of them this process has: draws are made for all.

    Args:
        num_items: items of this process; every process has as many, in the order of the ranks.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return num_items, slice(0, num_items)
    first = dist.get_rank() * num_items
    return dist.get_world_size() * num_items, slice(first, first + num_items)
