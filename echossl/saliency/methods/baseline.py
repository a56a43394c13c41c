"""What a clip looks like where there is nothing to see: the start of paths, the fill of what is left out."""

import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.config.saliency import BaselineName

# deviation of the blur as a share of the picture's height: a valve is gone, walls and cavities are shades
BLUR_SHARE = 1 / 8


def baseline(clips: Tensor, name: BaselineName) -> Tensor:
    """The clip without what is to be explained.

    Blood is black in an echocardiogram, so a black baseline calls nothing that is black important, an open
    valve for one. The blurred clip has the same brightness and no structure.

    Args:
        clips: (batch, channels, frames, height, width) in 0..1.
        name: ``blurred`` in each frame, ``mean`` (each clip's mean grey) or ``black``.

    Returns:
        The same shape.
    """
    match name:
        case "black":
            return torch.zeros_like(clips)
        case "mean":
            return clips.mean(dim=(1, 2, 3, 4), keepdim=True).expand_as(clips).clone()
        case "blurred":
            return _blurred(clips)


def _blurred(clips: Tensor) -> Tensor:
    """Gaussian blur of rows and columns; beyond the edge the picture goes on as at its edge."""
    for axis in (-2, -1):
        moved = clips.movedim(axis, -1)
        deviation = moved.shape[-1] * BLUR_SHARE
        reach = round(3 * deviation)
        offsets = torch.arange(-reach, reach + 1, device=clips.device, dtype=clips.dtype)
        kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
        lines = F.pad(moved.reshape(-1, 1, moved.shape[-1]), (reach, reach), mode="replicate")
        blurred = F.conv1d(lines, (kernel / kernel.sum())[None, None])
        clips = blurred.reshape(moved.shape).movedim(-1, axis)
    return clips.contiguous()
