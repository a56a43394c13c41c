"""A film of the first training clips, so that a person sees what the network sees."""

from pathlib import Path

import numpy as np
import torch

from echossl.augment import Augmentation
from echossl.data.clips import Spares, TrainingClips, read_clips
from echossl.saliency.render import write_mp4


def write_examples(clips: TrainingClips, augmentation: Augmentation, path: Path, *, count: int) -> None:
    """Write the first clips of the first step, augmented as they are in training, side by side and in time.

    Args:
        clips: the batches.
        augmentation: of the run.
        path: the ``.mp4`` file.
        count: clips, all of the batch where it has fewer.

    Raises:
        EchosslError: if too many videos cannot be read.
    """
    sampler = clips.sampler
    draw = sampler.draw(0)
    num_items = -(-count // len(draw.items[0]))  # rounded up
    spares = Spares(sampler, draw, 0, first_item=0)
    stored = read_clips(clips.store, draw.items[:num_items], sampler.clip, instead=spares.instead)
    seen = augmentation(torch.from_numpy(stored), step=0, first_clip=0)
    # (items, clips, 1, frames, height, width) becomes (frames, height, clips x width)
    grey = seen.flatten(0, 1)[:count, 0].mul(255).round().to(torch.uint8).numpy()
    row = np.concatenate(list(grey), axis=2)
    frames_per_second = sampler.clip.num_frames / sampler.clip.clip_seconds
    write_mp4(np.repeat(row[..., None], 3, axis=3), path, frames_per_second=frames_per_second)
