"""Class activation maps: the cells of a layer, weighted by the gradient of the score.

Of activations ``A`` and gradients ``g`` (channel c, place p) of one layer:

==================  ==========================================  ==========================================
Grad-CAM            ``max(0, sum_c mean_p(g_cp) A_cp)``         Selvaraju et al., arXiv 1610.02391
Grad-CAM++          ``max(0, sum_c w_c A_cp)``, see below       Chattopadhay et al., arXiv 1710.11063
HiResCAM            ``max(0, sum_c g_cp A_cp)``                 Draelos and Carin, arXiv 2011.08891
Layer-CAM           ``max(0, sum_c max(0, g_cp) A_cp)``         Jiang et al., IEEE TIP 2021
==================  ==========================================  ==========================================

All show evidence *for* the class only, in negative studies as well. With a linear head on the mean of the
last map Grad-CAM and HiResCAM are the same there, and they
add up to the logit without its bias before the negative is cut off.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from echossl.config.saliency import CamSettings
from echossl.saliency.methods.score import Score, to_clip_size

PLACES = (2, 3, 4)


def grad_cam_cells(activations: Tensor, gradient: Tensor) -> Tensor:
    """(batch, channels, t, h, w) of both → (batch, t, h, w): a weight per channel, the mean gradient."""
    weights = gradient.mean(dim=PLACES, keepdim=True)
    return F.relu((weights * activations).sum(dim=1))


def grad_cam_plus_plus_cells(activations: Tensor, gradient: Tensor) -> Tensor:
    """Places count by ``a_cp = g_cp^2 / (2 g_cp^2 + g_cp^3 sum_p A_cp)``: ``w_c = sum_p a_cp max(0, g_cp)``.

    This is the paper's closed form for the exponential of the logit, whose factor ``exp(logit)`` is left out:
    it is the same for all places of a clip.
    """
    squared = gradient.square()
    below = 2 * squared + gradient * squared * activations.sum(dim=PLACES, keepdim=True)
    shares = (squared / below.where(below != 0, 1.0)).where(below != 0, 0.0)
    weights = (shares * F.relu(gradient)).sum(dim=PLACES, keepdim=True)
    return F.relu((weights * activations).sum(dim=1))


def hires_cam_cells(activations: Tensor, gradient: Tensor) -> Tensor:
    """Every place with its own gradient: what the place adds, if what follows is linear."""
    return F.relu((gradient * activations).sum(dim=1))


def layer_cam_cells(activations: Tensor, gradient: Tensor) -> Tensor:
    """Every place with its own gradient where that is positive; meant for early layers too."""
    return F.relu((F.relu(gradient) * activations).sum(dim=1))


CELLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "grad_cam": grad_cam_cells,
    "grad_cam_plus_plus": grad_cam_plus_plus_cells,
    "hires_cam": hires_cam_cells,
    "layer_cam": layer_cam_cells,
}


def activation_map(score: Score, clips: Tensor, settings: CamSettings) -> Tensor:
    """The map of the settings' name.

    Args:
        score: with the layer whose cells are shown.
        clips: (batch, channels, frames, height, width) in 0..1.
        settings: which of the four.

    Returns:
        (batch, frames, height, width) float32, at least 0.
    """
    activations, gradient = score.gradient(clips)
    return to_clip_size(CELLS[settings.name](activations, gradient), clips)
