"""Every objective with pairs can be learned: patients that differ in a faint fixed picture."""

import pytest
import torch

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig, MoCoConfig, ObjectiveConfig, VICRegConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.objectives import build_objectives

PATIENTS, SIDE = 24, 32
CONFIGS = {
    "global": ContrastiveConfig(),
    "learned temperature": ContrastiveConfig(learn_temperature=True),
    "dense": ContrastiveConfig(dense_grid=2, global_weight=0.5),
    "moco": MoCoConfig(momentum=0.9, queue_size=64),
    "vicreg": VICRegConfig(),
}


def batch_of(pictures: torch.Tensor, step: int) -> Batch:
    """Sixteen patients, two noisy clips of each."""
    generator = torch.Generator().manual_seed(step)
    patients = torch.randperm(PATIENTS, generator=generator)[:16]
    noise = 0.3 * torch.randn(16, 2, 1, 4, SIDE, SIDE, generator=generator)
    clips = pictures[patients][:, None, None, None] + noise
    return Batch(clips=clips, patients=patients, videos=torch.zeros(16, 2, dtype=torch.int64), step=step)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_clips_of_a_patient_become_nearest_neighbours(config: ObjectiveConfig) -> None:
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=Compact3DConfig(width=8), clip=ClipConfig(num_frames=4), size=SIDE
    )
    encoder = build_encoder(metadata)
    objective = build_objectives([config], encoder.dim)
    objective.attach(encoder)
    pictures = torch.nn.functional.interpolate(torch.rand(1, PATIENTS, 8, 8), scale_factor=4)[0]
    optimiser = torch.optim.AdamW([*encoder.parameters(), *objective.parameters()], lr=3e-3)
    for step in range(30):
        loss, _ = objective(encoder, batch_of(pictures, step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_update(encoder)
    with torch.no_grad():
        vectors = encoder(batch_of(pictures, 99).clips.flatten(0, 1))
    vectors = torch.nn.functional.normalize(vectors - vectors.mean(0), dim=1)
    likeness = (vectors @ vectors.T).fill_diagonal_(-1)
    assert (likeness.argmax(1) == (torch.arange(32) ^ 1)).float().mean() > 0.9
