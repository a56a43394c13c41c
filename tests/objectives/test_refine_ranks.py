"""Two processes see the same losses of refinement and leave the same gradient as one."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from test_refine import ALL, REPORTS, batch, make
from torch import Tensor, multiprocessing

HALF = len(REPORTS) // 2


def measured(rows: slice, processes: int) -> dict[str, Tensor]:
    """Losses and gradients of some items of the batch, as data-parallel training has them."""
    encoder, objective = make(ALL)
    whole = batch(2)
    own = replace(
        whole, clips=whole.clips[rows], patients=whole.patients[rows], reports=(whole.reports or ())[rows]
    )
    loss, metrics = objective(encoder, own)
    loss.backward()
    found = {"loss": loss.detach()} | metrics
    learned = (*encoder.named_parameters(), *objective.named_parameters())
    found |= {f"gradient {name}": value.grad for name, value in learned if value.grad is not None}
    if processes > 1:
        for value in found.values():
            dist.all_reduce(value)
            value.div_(processes)
    return found


def work(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(measured(slice(rank * HALF, (rank + 1) * HALF), 2), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available(), reason="torch was built without torch.distributed")
def test_two_processes_give_losses_and_gradients_of_one() -> None:
    expected = measured(slice(None), 1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(work, args=(folder,), nprocs=2)
        for rank in range(2):
            found = torch.load(Path(folder) / f"{rank}.pt", weights_only=True)
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)
