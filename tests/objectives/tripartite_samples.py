"""Six small studies with reports, and what learns from them."""

import torch

from echossl.config.encoder import ViTConfig
from echossl.config.objective import TripartiteConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.objectives import Tripartite

REPORTS = (
    "Severe aortic stenosis, peak velocity 4.6 m/s.",
    "Normal aortic valve.",
    "Mild aortic stenosis. Left ventricle of normal size.",
    "normal  aortic valve.",
    "Moderate stenosis, mean gradient 28 mmHg.",
    "Pericardial effusion.",
)
ITEMS, SIDE = len(REPORTS), 16
TEXT = {"name": "own", "width": 16, "depth": 1, "heads": 2, "length": 40, "vocabulary_size": 300}
NO_AUTOCAST = torch.autocast("cpu", enabled=False)
SLOTS = {1: ("plax",), 2: ("L", "R"), 3: ("plax", "a4c", "psax")}


def config_of(slots: tuple[str, ...] = SLOTS[2], **changes) -> TripartiteConfig:
    return TripartiteConfig.model_validate({"slots": slots, "text": TEXT, "projection_dim": 8} | changes)


def tripartite(config: TripartiteConfig | None = None, dim: int = 16) -> Tripartite:
    torch.manual_seed(1)
    return Tripartite.of_reports(config or config_of(), dim, REPORTS)


VIT = ViTConfig(width=16, depth=1, heads=2, patch=8, patch_frames=1)


def encoder_of(network=VIT, frames=1) -> Encoder:
    torch.manual_seed(2)
    clip = ClipConfig(clip_seconds=1.0, num_frames=frames)
    return build_encoder(EncoderMetadata(architecture=network, clip=clip, size=SIDE))


def batch_of(slots: int = 2, *, frames: int = 1, lacking: bool = True) -> Batch:
    """Six studies of five patients; some lack a slot."""
    clips = torch.rand(ITEMS, slots, 1, frames, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    present = torch.ones(ITEMS, slots, dtype=torch.bool)
    if lacking and slots > 1:
        present[1, 0] = present[4, 1] = present[5, 1] = False
    clips[~present] = 0
    videos = torch.where(present, torch.arange(present.numel()).reshape(present.shape), -1)
    patients = torch.tensor([0, 1, 2, 3, 2, 5])
    return Batch(clips, patients, videos, reports=REPORTS, present=present)
