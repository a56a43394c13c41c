"""The design of the published pre-training loop, written plainly: what ours is measured against.

Whole files are read with OpenCV in the data set, every frame is turned, mirrored, padded and cropped with
NumPy and SciPy, and the network runs in float32 without autocast, channels-last or compilation. In its favour
frames are grey here, so that the network is the same; the published loop turns three colour channels.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import plain_readers
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from echossl.encoders import EncoderMetadata, build_encoder

TEMPERATURE = 0.1


class Pairs(Dataset[Tensor]):
    """Two augmented clips of two videos of a patient: (2, 1, frames, size, size) float32.

    Args:
        videos: paths of each patient's videos.
        num_frames: consecutive frames of a clip.
        length: items; patients are taken in turns.
    """

    def __init__(self, videos: list[list[Path]], *, num_frames: int, length: int) -> None:
        self.videos = videos
        self.num_frames = num_frames
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, item: int) -> Tensor:
        generator = np.random.default_rng(item)
        own = self.videos[item % len(self.videos)]
        chosen = generator.choice(len(own), 2, replace=len(own) < 2)
        return torch.stack([self._clip(own[place], generator) for place in chosen])

    def _clip(self, path: Path, generator: np.random.Generator) -> Tensor:
        frames = read_whole(path)
        # shorter videos are repeated
        frames = np.resize(frames, (max(len(frames), self.num_frames), *frames.shape[1:]))
        first = int(generator.integers(len(frames) - self.num_frames + 1))
        clip = frames[first : first + self.num_frames]
        augmented = plain_readers.scipy_augment(clip, int(generator.integers(2**31)), 3)
        return torch.from_numpy(np.ascontiguousarray(augmented))[None]


def read_whole(path: Path) -> np.ndarray:
    """Every frame of a file in grey: (frames, height, width) uint8."""
    cv2 = import_module("cv2")
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (answer := capture.read())[0]:
        frames.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2GRAY))
    capture.release()
    return np.stack(frames)


class PlainLoop:
    """Encoder, projection head and Adam in float32, and a step.

    Args:
        metadata: of the network.
        device: where it runs.
    """

    def __init__(self, metadata: EncoderMetadata, device: torch.device) -> None:
        torch.manual_seed(0)
        encoder = build_encoder(metadata)
        head = nn.Sequential(nn.Linear(encoder.dim, 256), nn.ReLU(), nn.Linear(256, 128))
        self.device = device
        self.network = nn.Sequential(encoder, head).to(device).train()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-4)

    def step(self, pairs: Tensor) -> float:
        """One update on (items, 2, 1, frames, height, width); gives the loss."""
        clips = pairs.to(self.device).flatten(0, 1)
        self.optimiser.zero_grad()
        loss = contrast(self.network(clips))
        loss.backward()
        self.optimiser.step()
        return loss.item()


def contrast(projections: Tensor) -> Tensor:
    """NT-Xent of (2 x items, dim), the two of an item beside each other."""
    vectors = F.normalize(projections, dim=1)
    similarity = vectors @ vectors.T / TEMPERATURE
    similarity.fill_diagonal_(-torch.inf)
    partners = torch.arange(len(vectors), device=vectors.device) ^ 1
    return F.cross_entropy(similarity, partners)


def plain_loader(pairs: Pairs, *, batch_size: int, workers: int) -> DataLoader[Tensor]:
    """Batches in order."""
    return DataLoader(pairs, batch_size=batch_size, num_workers=workers, drop_last=True)
