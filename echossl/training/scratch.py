"""Passes through a network that leave nothing behind: no statistics, no random numbers drawn."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def scratch_buffers(module: nn.Module) -> Iterator[None]:
    """While the block runs, the module writes into copies of its buffers, which are thrown away.

    The buffers themselves are not written to, so that a backward pass that needs them finds them unchanged.
    """
    kept = [
        (owner, name, buffer)
        for owner in module.modules()
        for name, buffer in owner.named_buffers(recurse=False)
    ]
    for owner, name, buffer in kept:
        setattr(owner, name, buffer.clone())
    try:
        yield
    finally:
        for owner, name, buffer in kept:
            setattr(owner, name, buffer)


class RandomState:
    """The state of torch's global generators, of the CPU and of a GPU, as it is now.

    Args:
        device: the device whose generator networks draw from.
    """

    def __init__(self, device: torch.device) -> None:
        self._gpus = [device] if device.type == "cuda" else []
        self._cpu_state = torch.get_rng_state()
        self._gpu_states = [torch.cuda.get_rng_state(gpu) for gpu in self._gpus]

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """In the block the same numbers are drawn again; after it, those that would have come without it."""
        with torch.random.fork_rng(devices=self._gpus):
            torch.set_rng_state(self._cpu_state)
            for gpu, state in zip(self._gpus, self._gpu_states, strict=True):
                torch.cuda.set_rng_state(state, gpu)
            yield
