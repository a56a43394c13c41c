"""Which of several training processes this is. Without ``torchrun`` there is one, and no process group."""

import torch.distributed as dist


def world_size() -> int:
    """Number of training processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this training process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0
