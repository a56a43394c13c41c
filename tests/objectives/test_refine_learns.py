"""Refinement can be learned: reports that name what a faint picture shows, by all four losses at once."""

import pytest
import torch
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.refine import RefineConfig
from echossl.config.text import OwnTextConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.objectives.refine import Refine

SIDE, ITEMS, STEPS = 16, 24, 80
WORDS = ("mitral", "aortic", "septal", "apical")
REPORTS = tuple(f"{state} {word} finding" for word in WORDS for state in ("severe", "no"))
CONFIG = RefineConfig(
    text=OwnTextConfig(width=32, depth=1, heads=2, length=8, vocabulary_size=200), projection_dim=16
)


def batch_of(step: int) -> Batch:
    """A fixed texture for each report, in noise."""
    textures = torch.rand(len(REPORTS), SIDE, SIDE, generator=torch.Generator().manual_seed(9))
    generator = torch.Generator().manual_seed(step)
    kinds = torch.randint(len(REPORTS), (ITEMS,), generator=generator)
    noise = 0.1 * torch.randn(ITEMS, 1, 1, 2, SIDE, SIDE, generator=generator)
    clips = textures[kinds][:, None, None, None] + noise
    return Batch(
        clips.clamp(0, 1),
        torch.arange(ITEMS),
        torch.zeros(ITEMS, 1, dtype=torch.int64),
        step=step,
        reports=tuple(REPORTS[kind] for kind in kinds.tolist()),
    )


@pytest.fixture(scope="module")
def learned() -> tuple[Encoder, Refine, list[dict[str, Tensor]]]:
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=Compact3DConfig(width=8), clip=ClipConfig(num_frames=2), size=SIDE
    )
    encoder = build_encoder(metadata)
    objective = Refine(CONFIG, encoder.dim, REPORTS * 4)
    optimiser = torch.optim.AdamW([*encoder.parameters(), *objective.parameters()], lr=3e-3)
    figures = []
    for step in range(STEPS):
        loss, metrics = objective(encoder, batch_of(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        objective.after_update(encoder)
        figures.append(metrics)
    return encoder.eval(), objective.eval(), figures


def test_pictures_find_their_reports(learned: tuple[Encoder, Refine, list[dict[str, Tensor]]]) -> None:
    _, _, figures = learned
    assert figures[0]["contrast_accuracy"] < 0.5
    assert torch.stack([one["contrast_accuracy"] for one in figures[-5:]]).mean() > 0.9


def test_the_text_reads_the_picture(learned: tuple[Encoder, Refine, list[dict[str, Tensor]]]) -> None:
    """Hidden words, next words and pairs are told better beside the own picture than beside another one."""
    encoder, objective, _ = learned
    own = batch_of(1000)
    turned = Batch(own.clips.roll(1, 0), own.patients, own.videos, step=own.step, reports=own.reports)
    with torch.no_grad():
        _, right = objective(encoder, own)
        _, wrong = objective(encoder, turned)
    for name in ("matching", "masked_words", "generation"):
        assert right[name] < wrong[name] - 0.1, name
    assert right["matching_accuracy"] > 0.8  # 2 of 3 by saying no to all
