"""Methods of saliency: which places and moments of a clip raise the score of a classifier.

A new method is one file with a function of (score, clips, settings), its settings in ``config/saliency.py``,
and one line in :data:`METHODS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from echossl.config.saliency import AnyMethod, CamSettings
from echossl.encoders.base import Encoder
from echossl.saliency.methods.cams import activation_map
from echossl.saliency.methods.integrated_gradients import integrated_gradients
from echossl.saliency.methods.layers import INPUT, LAST
from echossl.saliency.methods.occlusion import occlusion
from echossl.saliency.methods.rollout import attention_rollout
from echossl.saliency.methods.score import Head, Score, largest_to_one
from echossl.saliency.methods.smooth_grad import smooth_grad

__all__ = ["METHODS", "Method", "cell_pixels", "grad_cam", "saliency_map"]


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        title: as it is printed.
        compute: (score, clips, settings) → (batch, frames, height, width), at least 0, larger is more.
        layer: where it looks unless told otherwise.
        drawn_quantile: the value that is drawn as 1; maps of single pixels have a few large values, beside
            which nothing else would be seen.
    """

    title: str
    compute: Callable[[Score, Tensor, Any], Tensor]
    layer: str
    drawn_quantile: float = 1.0


METHODS: dict[str, Method] = {
    "grad_cam": Method("Grad-CAM", activation_map, LAST),
    "grad_cam_plus_plus": Method("Grad-CAM++", activation_map, LAST),
    "hires_cam": Method("HiResCAM", activation_map, LAST),
    "layer_cam": Method("Layer-CAM", activation_map, LAST),
    "integrated_gradients": Method("Integrated gradients", integrated_gradients, INPUT, 0.995),
    "smooth_grad": Method("SmoothGrad", smooth_grad, INPUT, 0.995),
    "occlusion": Method("Occlusion", occlusion, INPUT),
    "attention_rollout": Method("Attention rollout", attention_rollout, INPUT),
}


def saliency_map(
    encoder: Encoder, head: Head, clips: Tensor, settings: AnyMethod, *, layer: str | None = None
) -> Tensor:
    """The map of one method, not normalised: of two clips the one with more evidence has larger values.

    Args:
        encoder: the encoder in evaluation mode.
        head: maps (batch, dim) to (batch, 1) logits.
        clips: (batch, channels, frames, height, width) in 0..1.
        settings: which method, and how.
        layer: ``input``, ``feature_map`` or a part of the encoder; None takes the method's own.

    Returns:
        (batch, frames, height, width) float32, at least 0.

    Raises:
        UserError: if the layer does not exist, is not used, or its output has no time and place; if the
            method is not defined for the network.
        ValueError: if the encoder is in training mode.
    """
    method = METHODS[settings.name]
    return method.compute(Score(encoder, head, layer or method.layer), clips, settings)


def grad_cam(encoder: Encoder, head: Head, clips: Tensor, *, layer: str | None = None) -> Tensor:
    """3-D Grad-CAM (Selvaraju et al., arXiv 1610.02391), each clip divided by its own largest value.

    The normalisation hides how much evidence there is; look at the score for that. The arguments and errors
    are those of :func:`saliency_map`.

    Returns:
        (batch, frames, height, width) float32 in 0..1; a clip without any evidence for the class stays zero.
    """
    return largest_to_one(saliency_map(encoder, head, clips, CamSettings(), layer=layer))


def cell_pixels(encoder: Encoder, clips: Tensor, *, layer: str | None = None) -> float:
    """Height of one cell of a layer in pixels of the clip: how coarse a map of this layer is at best."""
    cells = Score(encoder, lambda features: features, layer or LAST).cells(clips[:1])
    return float(clips.shape[-2] / cells.shape[-2])
