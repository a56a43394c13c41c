"""Pictures and reports are compared: which pairs belong together, which are strangers, and the loss."""

from collections.abc import Sequence
from hashlib import blake2b

import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.text import normalised

KEY_BYTES = 8


def report_keys(reports: Sequence[str]) -> Tensor:
    """A number for each report, the same for equal ones in every process: (reports,) int64."""
    digests = [blake2b(normalised(text).encode(), digest_size=KEY_BYTES).digest() for text in reports]
    return torch.tensor([int.from_bytes(digest, "little", signed=True) for digest in digests])


def pairs_of(reports: Tensor, patients: Tensor) -> tuple[Tensor, Tensor]:
    """Which picture and which report belong together, and which may be told apart.

    Equal reports belong together: in a batch many say that all is normal, and each fits the pictures of all.
    Different reports of one patient are neither.

    Args:
        reports: (n,) of :func:`report_keys`.
        patients: (n,) integer codes.

    Returns:
        bool (n, n) positives, and bool (n, n) positives or negatives.
    """
    positives = reports[:, None] == reports[None, :]
    strangers = patients[:, None] != patients[None, :]
    return positives, positives | strangers


def picture_text_loss(
    pictures: Tensor, texts: Tensor, pairs: tuple[Tensor, Tensor], present: Tensor, *, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Symmetric cross entropy between pictures and reports, of which several may belong together.

    With n different reports this is the loss of CLIP (arXiv 2103.00020, figure 3). Where a picture has m
    reports that are equal to its own, it is the mean over them, each in a softmax with the negatives alone:
    those that belong together do not compete, so that none is ever pushed away by another. (Targets of 1 / m
    in one softmax do push: with equal vectors for equal reports their gradient is that of one-hot targets.)
    Rows that are not present are no positives and no negatives, in both directions.

    Args:
        pictures: (n, d), of any length and float type; computed in float32 also under autocast.
        texts: (n, d), the report of each row.
        pairs: of :func:`pairs_of`, n x n each.
        present: (n,) bool.
        scale: one over the temperature, a scalar.

    Returns:
        The mean loss over present rows and both directions, 0 where no row is present, and the share of rows
        whose nearest report among the candidates belongs to them.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        units = F.normalize(pictures.float(), dim=1), F.normalize(texts.float(), dim=1)
        logits = scale * units[0] @ units[1].T  # (n, n)
        both = present[:, None] & present[None, :]
        positives, candidates = (pair & both for pair in pairs)
        count = present.sum().clamp(min=1)
        negatives = candidates & ~positives
        forth = _row_losses(logits, positives, negatives).sum() / count
        back = _row_losses(logits.T, positives.T, negatives.T).sum() / count
        nearest = logits.detach().masked_fill(~candidates, -torch.inf).argmax(1, keepdim=True)
        hits = positives.gather(1, nearest)[:, 0]
        return (forth + back) / 2, hits.sum() / count


def _row_losses(logits: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """The mean over each row's positives of the cross entropy with its negatives, 0 without any: (n,)."""
    log_sums = logits.masked_fill(~negatives, -torch.inf).logsumexp(1, keepdim=True)
    losses = F.softplus(log_sums - logits)  # -log(e^l / (e^l + sum over negatives))
    return (losses * positives).sum(1) / positives.sum(1).clamp(min=1)
