"""What pictures and reports are trained with: contrast, other pairs to tell apart, hidden words."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from echossl.objectives.gather import gathered
from echossl.text.reports import normalised
from echossl.text.tokenizer import SPECIAL, Tokenizer

# every candidate has a chance to be drawn, however unlike it is (Li et al., arXiv 2107.07651)
LEAST_CHANCE = 1e-4
# shares of the hidden words that show as hidden, and as another (Devlin et al., arXiv 1810.04805)
SHOWN_HIDDEN, SHOWN_OTHER = 0.8, 0.1


def report_codes(reports: Sequence[str]) -> Tensor:
    """A number for each report, the same for equal ones: (reports,) int64, on the CPU."""
    digests = [hashlib.sha256(normalised(report).encode()).digest()[:8] for report in reports]
    return torch.from_numpy(np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64))


def report_contrast(
    similarities: Tensor, is_equal: Tensor, *, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Symmetric cross entropy of pictures and reports, in which equal reports are all right answers.

    The target of a picture is spread evenly over the reports that are equal to its own, less
    ``label_smoothing``, which is spread over all; likewise that of a report.

    Args:
        similarities: (n, n) of pictures with reports, over the temperature.
        is_equal: (n, n) bool, whether two items have equal reports; symmetric, true on the diagonal.
        label_smoothing: 0 to 1.

    Returns:
        Loss, and the share of pictures whose most similar report is a right answer.
    """
    right = is_equal.float()
    target = right / right.sum(1, keepdim=True) * (1 - label_smoothing) + label_smoothing / len(right)
    loss = 0.5 * (F.cross_entropy(similarities, target) + F.cross_entropy(similarities.T, target))
    best = similarities.detach().argmax(1, keepdim=True)
    return loss, right.gather(1, best).mean()


def draw_others(similarities: Tensor, is_allowed: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """One other for each item, the more similar the likelier.

    Args:
        similarities: (items, candidates) logits.
        is_allowed: (items, candidates) bool.
        numbers: (items,) uniform in 0..1, without 1.

    Returns:
        (items,) int64 the candidate, and (items,) bool whether there was one to draw.
    """
    chances = (similarities.detach().double().softmax(1) + LEAST_CHANCE) * is_allowed
    reached = chances.cumsum(1)
    drawn = torch.searchsorted(reached, numbers.to(reached)[:, None] * reached[:, -1:], right=True)[:, 0]
    return drawn.clamp(max=is_allowed.shape[1] - 1), is_allowed.any(1)


def hide_words(ids: Tensor, numbers: Tensor, *, share: float, vocabulary_size: int) -> tuple[Tensor, Tensor]:
    """Hide some words of reports, never a special piece.

    Of the hidden ones 80 % show as ``[MASK]``, 10 % as any other word piece, 10 % as they are.

    Args:
        ids: (texts, pieces) int64.
        numbers: (texts, 3, pieces) uniform in 0..1: what is hidden, how, and behind which other piece.
        share: that is hidden.
        vocabulary_size: number of word pieces.

    Returns:
        What is shown, like ``ids``, and bool of the same shape, what is to be told.
    """
    chosen, way, other = numbers.unbind(1)
    is_hidden = (chosen < share) & (ids >= len(SPECIAL))
    pieces = (other.double() * (vocabulary_size - len(SPECIAL))).long() + len(SPECIAL)
    instead = torch.where(way < SHOWN_HIDDEN + SHOWN_OTHER, pieces, ids)
    instead = torch.where(way < SHOWN_HIDDEN, Tokenizer.MASK, instead)
    return torch.where(is_hidden, instead, ids), is_hidden


def classified(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy and accuracy, means over the rows of all processes, which may have different numbers.

    The mean over the processes of what each of them gets is that of one process with all rows; without any
    row it is 0.

    Args:
        logits: (rows, classes).
        targets: (rows,) int64.
    """
    counts = gathered(torch.tensor([float(len(targets))], device=logits.device))
    factor = len(counts) / counts.sum().clamp_min(1)
    loss = F.cross_entropy(logits.float(), targets, reduction="sum") * factor
    return loss, (logits.detach().argmax(1) == targets).sum() * factor


class _FromAll(torch.autograd.Function):
    """Values of all processes; back flows to each what all of them made of its own."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        ctx.count = len(values)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous()
        dist.all_reduce(whole)
        first = dist.get_rank() * int(ctx.count)
        return whole[first : first + int(ctx.count)]


def from_all(values: Tensor) -> Tensor:
    """The values of all processes with the gradient of each of their losses, which differ.

    Where all processes compute one and the same loss, :func:`echossl.objectives.gather.gathered` sends less.

    Args:
        values: (n, ...), of the same shape in every process.

    Returns:
        (processes x n, ...), in the order of the ranks.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    everything: Tensor = _FromAll.apply(values)  # type: ignore[no-untyped-call]
    return everything
