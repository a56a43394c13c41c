"""What the processes of the tests of several ranks run, started by torchrun with a job and a folder."""

import sys
from pathlib import Path

import torch
from torch import Tensor

from echossl.config.base import load_config
from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig, FrameOrderConfig, ObjectiveConfig
from echossl.config.training import PretrainConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.distributed import rank, world_size
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.objectives import build_objectives
from echossl.training.distributed import average, average_gradients, process_group, share_batch_norm
from echossl.training.gradient_cache import backward_partwise
from echossl.training.learner import Learner
from echossl.training.pretrain import pretrain

ITEMS = 8
CONTRASTIVE = ContrastiveConfig(hidden_dim=8, projection_dim=4)


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
        for path in sys.argv[3:]:
            pretrain(load_config(PretrainConfig, Path(path)))
