"""One clip with its maps: of the classifier, of random weights, and of the reference region."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from echossl.augment import to_float
from echossl.config.video import ClipConfig
from echossl.data.clips import read_clip, video_requests
from echossl.data.store import ClipStore
from echossl.encoders import Encoder, build_encoder
from echossl.saliency.checks import area_share, centre_prior, inside_share
from echossl.saliency.methods import grad_cam
from echossl.saliency.region import phantom_region
from echossl.video.sampling import clip_indices
from echossl.video.sector import find_sector


@dataclass(frozen=True)
class Maps:
    """One clip with its maps; all float32 or uint8 (frames, height, width).

    Attributes:
        frames: the clip as the network saw it, uint8.
        saliency: Grad-CAM of the trained classifier, 0..1.
        random_weights: the same of a network with fresh weights, 0..1.
        sector: (height, width) where there is ultrasound.
        region: covered share of each pixel, or None without a reference.
        logit: what the classifier says of this clip.
    """

    frames: npt.NDArray[np.uint8]
    saliency: npt.NDArray[np.float32]
    random_weights: npt.NDArray[np.float32]
    sector: npt.NDArray[np.bool_]
    region: npt.NDArray[np.float32] | None
    logit: float


@dataclass(frozen=True)
class Explainer:
    """Everything that is the same for all videos."""

    store: ClipStore
    encoder: Encoder
    head: nn.Module
    random_encoder: Encoder
    random_head: nn.Linear
    layer: str | None
    region: Path | None

    @property
    def clip(self) -> ClipConfig:
        """Which frames make a clip."""
        return self.encoder.metadata.clip

    def explain_video(self, row: int, path: Path) -> Maps:
        """Maps of the clip in the middle of a stored video."""
        (request,) = video_requests(self.store, row, self.clip, count=1, policy="centre")
        frames = read_clip(self.store, request, self.clip)
        clips = to_float(torch.from_numpy(frames))[None, None]  # (1, 1, frames, height, width)
        with torch.inference_mode():
            logit = float(self.head(self.encoder(clips)))
        region = None
        if self.region is not None:
            indices = clip_indices(
                self.store.frame_seconds(row), start_seconds=request.start_seconds, clip=self.clip
            )
            region = phantom_region(self.region, path, self.store.table.iloc[row], indices, self.store.size)
        return Maps(
            frames,
            grad_cam(self.encoder, self.head, clips, layer=self.layer)[0].numpy(),
            self._random_map(clips)[0].numpy(),
            find_sector(self.store.frames(row)).mask,
            region,
            logit,
        )

    def _random_map(self, clips: Tensor) -> Tensor:
        """Grad-CAM of the random network; its sign means nothing, so one that finds anything is taken."""
        maps = grad_cam(self.random_encoder, self.random_head, clips, layer=self.layer)
        if maps.any():
            return maps
        return grad_cam(
            self.random_encoder, lambda features: -self.random_head(features), clips, layer=self.layer
        )


def random_weights(encoder: Encoder, *, seed: int) -> tuple[Encoder, nn.Linear]:
    """The same network with fresh weights and a fresh head: what a map shows that nothing was learned for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_encoder(encoder.metadata).eval(), nn.Linear(encoder.dim, 1)


def region_shares(maps: Maps) -> dict[str, float]:
    """The shares that :func:`echossl.saliency.checks.region_checks` reads; none without a region."""
    if maps.region is None:
        return {}
    prior = centre_prior(*maps.sector.shape)
    return {
        "area_share": area_share(maps.region, maps.sector),
        "inside_share": inside_share(maps.saliency, maps.region, maps.sector),
        "centre_prior_share": inside_share(prior, maps.region, maps.sector),
        "random_weights_share": inside_share(maps.random_weights, maps.region, maps.sector),
    }
