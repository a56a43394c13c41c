"""Two processes see the same loss and leave the same gradient as one."""

import os
import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from echossl.objectives.gather import gathered
from echossl.objectives.similarity import nt_xent

ITEMS, LENGTH = 6, 5


def projected(weight: torch.Tensor, rows: slice) -> torch.Tensor:
    """Stands for an encoder: (items, 2, length) from numbers that every process knows."""
    inputs = torch.randn(ITEMS, 2, LENGTH, generator=torch.Generator().manual_seed(1))
    return torch.tanh(inputs[rows] @ weight)


def start() -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(LENGTH, LENGTH, generator=generator).requires_grad_()


def work(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    weight, temperature = start(), torch.tensor(0.3, requires_grad=True)
    half = ITEMS // 2
    projections = projected(weight, slice(rank * half, rank * half + half))
    patients = torch.arange(rank * half, rank * half + half)
    loss, _ = nt_xent(gathered(projections), gathered(patients), temperature=temperature)
    loss.backward()
    assert weight.grad is not None
    assert temperature.grad is not None
    for gradient in (weight.grad, temperature.grad):  # what data-parallel training does
        dist.all_reduce(gradient)
        gradient.div_(2)
    torch.save([loss.detach(), weight.grad, temperature.grad], Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch was built without torch.distributed")
def test_trap_22_two_processes_give_loss_and_gradient_of_one() -> None:
    weight, temperature = start(), torch.tensor(0.3, requires_grad=True)
    loss, _ = nt_xent(projected(weight, slice(None)), torch.arange(ITEMS), temperature=temperature)
    loss.backward()
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, args=(folder,), nprocs=2)
        for rank in range(2):
            found = torch.load(Path(folder) / f"{rank}.pt", weights_only=True)
            for value, expected in zip(found, [loss, weight.grad, temperature.grad], strict=True):
                torch.testing.assert_close(value, expected.detach(), rtol=1e-5, atol=1e-7)


def test_one_process_gathers_nothing() -> None:
    values = torch.rand(3, 2, requires_grad=True)
    assert gathered(values) is values
