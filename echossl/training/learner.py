"""One update of the weights: made if everything is finite, else as if it had never been tried."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.objectives import Objective
from echossl.training.distributed import average, average_gradients
from echossl.training.gradient_cache import backward_partwise
from echossl.training.loss_scale import LossScale


class Learner(nn.Module):
    """An encoder and its objective: everything that is trained, in one module."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of augmented clips."""
        loss_and_metrics: tuple[Tensor, dict[str, Tensor]] = self.objective(self.encoder, batch)
        return loss_and_metrics


def update(
    learner: Learner,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    *,
    autocast: torch.autocast,
    max_gradient_norm: float | None,
    micro_batch: int | None = None,
    loss_scale: LossScale | None = None,
) -> dict[str, float]:
    """One update of the weights; none, with all statistics left as they were, if it is not finite.

    Args:
        learner: on the device of the batch.
        optimiser: of its parameters.
        batch: augmented clips.
        autocast: the context of the forward pass.
        max_gradient_norm: gradients whose norm is larger are scaled down to it; None leaves them.
        micro_batch: most items that are encoded at once; None encodes all.
        loss_scale: of float16; None scales nothing.

    Returns:
        ``loss``, ``gradient_norm`` (before it is limited) and the objective's metrics, before the update; in
        float16 also what :meth:`LossScale.follow` says.
    """
    loss_scale = loss_scale or LossScale()
    # networks write these on the way, and one NaN in a running mean would stay for ever
    buffers = [(buffer, buffer.clone()) for buffer in learner.buffers()]
    optimiser.zero_grad()
    loss, metrics = _backward(learner, batch, autocast, micro_batch, loss_scale)
    average_gradients(learner)
    loss_scale.unscale(optimiser)
    gradients = [parameter.grad for parameter in learner.parameters() if parameter.grad is not None]
    norm = get_total_norm(gradients)
    figures = _to_floats({"loss": loss, "gradient_norm": norm, **metrics}) | loss_scale.follow()
    if not is_finite(figures):
        for buffer, before in buffers:
            buffer.copy_(before)
        return figures
    if max_gradient_norm is not None:
        clip_grads_with_norm_(learner.parameters(), max_gradient_norm, norm)
    optimiser.step()
    learner.objective.after_update(learner.encoder)
    return figures


def _backward(
    learner: Learner, batch: Batch, autocast: torch.autocast, micro_batch: int | None, loss_scale: LossScale
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and metrics; the gradient is in the weights."""
    if micro_batch is not None and micro_batch < len(batch.clips):
        return backward_partwise(
            learner.objective,
            learner.encoder,
            batch,
            micro_batch=micro_batch,
            autocast=autocast,
            scaled=loss_scale.scaled,
        )
    with autocast:
        loss, metrics = learner(batch)
    torch.autograd.backward(loss_scale.scaled(loss))
    return loss, metrics


def is_finite(figures: dict[str, float]) -> bool:
    """Whether the figures are those of an update that was made."""
    return math.isfinite(figures["loss"]) and math.isfinite(figures["gradient_norm"])


def is_bad(figures: dict[str, float]) -> bool:
    """Whether no update was made, and not for a scale of float16 that was too large, which mends itself."""
    overflow = math.isfinite(figures["loss"]) and bool(figures.get("overflow"))
    return not is_finite(figures) and not overflow


def _to_floats(figures: dict[str, Tensor]) -> dict[str, float]:
    """All figures, over all processes, with one wait for the device instead of one each."""
    values = average(torch.stack([value.detach().float() for value in figures.values()]))
    return dict(zip(figures, values.tolist(), strict=True))
