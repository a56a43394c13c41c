"""Which of several training processes this is. Without ``torchrun`` there is one, and no process group."""

import os

import torch.distributed as dist


def world_size() -> int:
    """Number of training processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this training process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def speaks_for_all() -> bool:
    """Whether this is the process of a launch that prints, also before and after the process group."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"
