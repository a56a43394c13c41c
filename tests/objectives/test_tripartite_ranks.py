"""Two processes, of which one lacks a slot altogether, leave the loss and the gradient of one."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing
from tripartite_samples import ITEMS, batch_of, encoder_of, tripartite

from echossl.data.clips import Batch


def whole_batch() -> Batch:
    batch = batch_of()
    present = batch.present.clone()
    present[: ITEMS // 2, 1] = False
    return replace(batch, present=present)


def part_of(batch: Batch, rows: slice) -> Batch:
    return Batch(
        batch.clips[rows],
        batch.patients[rows],
        batch.videos[rows],
        reports=batch.reports[rows],
        present=batch.present[rows],
    )


def gradients_of(batch: Batch) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    encoder, objective = encoder_of(), tripartite()
    loss, metrics = objective(encoder, batch)
    loss.backward()
    parameters = [*encoder.named_parameters(), *objective.named_parameters()]
    return loss.detach(), metrics, {name: value.grad for name, value in parameters}


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    half = ITEMS // 2
    loss, metrics, gradients = gradients_of(part_of(whole_batch(), slice(rank * half, rank * half + half)))
    for gradient in gradients.values():  # what data-parallel training does
        dist.all_reduce(gradient)
        gradient.div_(2)
    torch.save([loss, metrics, gradients], Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch was built without torch.distributed")
def test_two_processes_give_loss_and_gradient_of_one() -> None:
    expected = gradients_of(whole_batch())
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, args=(folder,), nprocs=2)
        for rank in range(2):
            found = torch.load(Path(folder) / f"{rank}.pt", weights_only=True)
            torch.testing.assert_close(tuple(found), expected, rtol=1e-4, atol=1e-6)
