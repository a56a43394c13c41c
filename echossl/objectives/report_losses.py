"""What pictures and reports are trained with: contrast, other pairs to tell apart, hidden words."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from echossl.objectives.gather import gathered
from echossl.text.tokenizer import SPECIAL, Tokenizer

# every candidate has a chance to be drawn, however unlike it is (Li et al., arXiv 2107.07651)
LEAST_CHANCE = 1e-4
# shares of the hidden words that show as hidden, and as another (Devlin et al., arXiv 1810.04805)
SHOWN_HIDDEN, SHOWN_OTHER = 0.8, 0.1


def report_contrast(
    similarities: Tensor, pairs: tuple[Tensor, Tensor], *, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Symmetric cross entropy of pictures and reports, with smoothed targets, in which several may belong.

    Each positive stands in a softmax with the negatives alone, as in
    :func:`echossl.objectives.picture_text.picture_text_loss`; a row is the mean over its positives. The
    target is 1 less ``label_smoothing``, which is spread evenly over the positive and the negatives.

    Args:
        similarities: (n, n) of pictures with reports, over the temperature.
        pairs: of :func:`echossl.objectives.picture_text.pairs_of`, n x n each.
        label_smoothing: 0 to 1.

    Returns:
        Loss, and the share of pictures whose most similar report is a right answer.
    """
    positives, candidates = pairs
    negatives = candidates & ~positives
    forth = _row_losses(similarities, positives, negatives, label_smoothing).mean()
    back = _row_losses(similarities.T, positives.T, negatives.T, label_smoothing).mean()
    best = similarities.detach().masked_fill(~candidates, -torch.inf).argmax(1, keepdim=True)
    return (forth + back) / 2, positives.gather(1, best).float().mean()


def _row_losses(logits: Tensor, positives: Tensor, negatives: Tensor, smoothing: float) -> Tensor:
    """The mean over each row's positives: (n,)."""
    others = logits.masked_fill(~negatives, -torch.inf).logsumexp(1, keepdim=True)
    whole = torch.logaddexp(logits, others)  # of each positive with the negatives
    mean = (logits + (logits * negatives).sum(1, keepdim=True)) / (1 + negatives.sum(1, keepdim=True))
    losses = whole - (1 - smoothing) * logits - smoothing * mean
    return (losses * positives).sum(1) / positives.sum(1)


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
