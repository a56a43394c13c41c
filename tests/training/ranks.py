"""What the processes of the tests of several ranks run, started by torchrun with a job and a folder."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from echossl.cli.learn import pretrain
from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import (
    ContrastiveConfig,
    FrameOrderConfig,
    MoCoConfig,
    ObjectiveConfig,
    VICRegConfig,
)
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.distributed import rank, world_size
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.objectives import build_objectives
from echossl.training.distributed import average, average_gradients, process_group, share_batch_norm
from echossl.training.gradient_cache import backward_partwise
from echossl.training.learner import Learner

ITEMS = 8
CONTRASTIVE = ContrastiveConfig(hidden_dim=8, projection_dim=4)
WHOLE_BATCH = (
    MoCoConfig(hidden_dim=8, projection_dim=4, queue_size=12, key_groups=2, momentum=0.9),
    VICRegConfig(hidden_dim=8, projection_dim=4),
)


def make_learner(*objectives: ObjectiveConfig) -> Learner:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=4), size=16)
    encoder = build_encoder(metadata)
    return Learner(encoder, build_objectives(objectives, encoder.dim))


def own_batch() -> Batch:
    """This process's share of a batch."""
    clips = torch.rand(ITEMS, 2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    patients = torch.tensor([0, 1, 2, 3, 0, 5, 6, 3])  # some in both halves
    share = ITEMS // world_size()
    own = slice(rank() * share, (rank() + 1) * share)
    return Batch(clips[own], patients[own], torch.zeros(share, 2, dtype=torch.int64))


def gradients(folder: Path) -> None:
    """Loss, gradient and running statistics of one batch, shared by the processes."""
    learner = make_learner(CONTRASTIVE)
    share_batch_norm(learner, torch.device("cpu"))
    loss, _ = learner(own_batch())
    loss.backward()
    average_gradients(learner)
    found: dict[str, Tensor] = {"loss": average(loss.detach().clone())}
    found |= {f"grad {name}": p.grad for name, p in learner.named_parameters() if p.grad is not None}
    found |= {f"buffer {name}": buffer for name, buffer in learner.named_buffers()}
    torch.save(found, folder / f"{world_size()}_{rank()}.pt")


def two_steps(folder: Path) -> None:
    """Every objective that looks at the whole batch, in the second of two steps, when a queue has keys."""
    for settings in WHOLE_BATCH:
        learner = make_learner(settings)
        learner.objective.attach(learner.encoder)
        share_batch_norm(learner, torch.device("cpu"))
        for step in range(2):
            learner.zero_grad()
            loss, metrics = learner(replace(own_batch(), step=step))
            loss.backward()
            average_gradients(learner)
            trained = {name: p for name, p in learner.named_parameters() if p.grad is not None}
            if step == 0:
                torch.optim.SGD(trained.values(), lr=0.01).step()
                learner.objective.after_update(learner.encoder)
        found: dict[str, Tensor] = {"loss": average(loss.detach().clone())}
        found |= {f"metric {name}": average(value.clone()) for name, value in metrics.items()}
        found |= {f"grad {name}": parameter.grad for name, parameter in trained.items()}
        found |= {f"buffer {name}": buffer for name, buffer in learner.named_buffers()}
        torch.save(found, folder / f"{settings.name}_{world_size()}_{rank()}.pt")


def cached(folder: Path) -> None:
    """Loss and gradient of one batch: at once by one process, a few items at a time by several."""
    learner = make_learner(
        CONTRASTIVE, FrameOrderConfig(weight=0.25)
    ).eval()  # so that batch norms do not depend on which items are together
    batch = own_batch()
    if world_size() == 1:
        loss, _ = learner(batch)
        loss.backward()
    else:
        loss, _ = backward_partwise(
            learner.objective,
            learner.encoder,
            batch,
            micro_batch=3,
            autocast=torch.autocast("cpu", enabled=False),
            scaled=lambda value: value,
        )
    average_gradients(learner)
    found: dict[str, Tensor] = {"loss": average(loss.detach().clone())}
    found |= {f"grad {name}": p.grad for name, p in learner.named_parameters() if p.grad is not None}
    torch.save(found, folder / f"cached_{world_size()}_{rank()}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    job, folder = sys.argv[1], Path(sys.argv[2])
    # one group for all: a second one at the same port may meet the first while it closes
    with process_group():
        if job == "gradients":
            gradients(folder)
            cached(folder)
            two_steps(folder)
        for path in sys.argv[3:]:
            pretrain([path])
