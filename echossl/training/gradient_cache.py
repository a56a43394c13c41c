"""The gradient of a large batch with the memory of a small one: GradCache."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.objectives import Objective, WeightedSum
from echossl.objectives.base import PartwiseObjective
from echossl.training.scratch import RandomState, scratch_buffers


def backward_partwise(
    objective: Objective,
    encoder: Encoder,
    batch: Batch,
    *,
    micro_batch: int,
    autocast: torch.autocast,
    scaled: Callable[[Tensor], Tensor],
    weight: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradient of a batch of which a few items at a time are encoded (Gao et al., arXiv 2101.06983).

    First the items are encoded without gradient, a few at a time. The loss of all of them gives a gradient
    with respect to what was encoded. Then each few are encoded again, with the same random numbers, and
    their part of that gradient flows into the weights. The sum is the gradient of the whole batch at once,
    exactly so where a clip's encoding does not depend on the clips beside it: batch norms see the few items
    of a pass. Their running statistics are updated in the first round only, once for each few.

    Args:
        objective: a :class:`PartwiseObjective`, or a sum of such.
        encoder: the network; weights of both get a gradient.
        batch: augmented clips.
        micro_batch: most items of a pass; passes are as even as can be.
        autocast: the context of the forward passes.
        scaled: what to do to the loss before it flows back.
        weight: factor of the loss in a sum of losses.

    Returns:
        The loss, without gradient, and the objective's metrics.

    Raises:
        UserError: if an objective cannot be cut.
    """
    if isinstance(objective, WeightedSum):
        part_backward = partial(
            backward_partwise,
            encoder=encoder,
            batch=batch,
            micro_batch=micro_batch,
            autocast=autocast,
            scaled=scaled,
        )
        return objective.add_up(
            (name, *part_backward(part, weight=weight * objective.weights[name]))
            for name, part in objective.named_parts()
        )
    cut, passes = _require_partwise(objective), parts_of(len(batch.clips), micro_batch)
    states, found = [], []
    for items in passes:
        states.append(RandomState(batch.clips.device))
        # a context of its own for each pass: casts of weights that are made without gradient must not stay
        with torch.no_grad(), autocast:
            found.append(cut.project(encoder, batch, items))
    projections = torch.cat(found).requires_grad_()
    with autocast:
        loss, metrics = cut.compare(projections, batch)
    torch.autograd.backward(scaled(weight * loss))
    if projections.grad is None:
        raise RuntimeError(f"the loss of {type(objective).__name__} does not depend on its projections")
    with scratch_buffers(encoder), scratch_buffers(objective):
        for items, state in zip(passes, states, strict=True):
            with state.replayed(), autocast:
                again = cut.project(encoder, batch, items)
            torch.autograd.backward(again, projections.grad[items])
    return loss.detach(), metrics


def parts_of(num_items: int, most: int) -> list[slice]:
    """Stretches of at most ``most`` of the items, whose lengths differ by one or not at all."""
    count = -(-num_items // most)
    bounds = [num_items * number // count for number in range(count + 1)]
    return [slice(first, end) for first, end in pairwise(bounds)]


def require_partwise(objective: Objective) -> None:
    """Find out before any work is done whether a batch can be encoded a few items at a time.

    Raises:
        UserError: naming the objective that needs the whole batch at once.
    """
    if not isinstance(objective, WeightedSum):
        _require_partwise(objective)
        return
    for _, part in objective.named_parts():
        require_partwise(part)


def _require_partwise(objective: Objective) -> PartwiseObjective:
    if not isinstance(objective, PartwiseObjective):
        raise UserError(
            f"micro_batch: the objective {type(objective).__name__} needs the whole batch at once; set "
            "micro_batch to null, or leave the objective out"
        )
    return objective
