"""NT-Xent with patient-aware negatives: the formula behind the contrastive objectives."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def nt_xent(projections: Tensor, patients: Tensor, *, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
    """Normalised temperature-scaled cross entropy (eq. 1 of arXiv 2002.05709), for k clips of an item.

    For each of the n x k clips and each of its k - 1 partners, the softmax runs over that partner and the
    clips of other patients: clips of the same patient are never negatives, also where they belong to another
    item, and partners do not compete with each other. With k = 2 this is the formula of the paper. Nothing
    larger than nk x nk is made.

    Args:
        projections: (n, k, d), of any length and float type; computed in float32 also under autocast.
        patients: (n,) integer codes.
        temperature: tau of the paper, a number or a scalar with gradient.

    Returns:
        The mean loss over clips and partners, and the share of (clip, partner) whose partner is the nearest
        candidate.
    """
    num_clips = projections.shape[1]
    with torch.autocast(projections.device.type, enabled=False):
        units = F.normalize(projections.float().flatten(0, 1), dim=1)  # (nk, d)
        logits = units @ units.T / temperature  # (nk, nk)
        codes = patients.to(units.device).repeat_interleave(num_clips)
        losses, hits = [], []
        for partner, candidates in partners_of(logits, codes, num_clips):
            losses.append(F.cross_entropy(candidates, partner))
            hits.append((candidates.detach().argmax(1) == partner).float().mean())
        return torch.stack(losses).mean(), torch.stack(hits).mean()


def partners_of(logits: Tensor, codes: Tensor, num_clips: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The 1st, 2nd, ... partner of each clip, and the logits with all that it does not compete with shut out.

    Args:
        logits: (m, m) of m clips, ``num_clips`` of an item after each other.
        codes: (m,) patients.
        num_clips: k.

    Yields:
        Partner (m,) int64, and logits (m, m): of the partner and of the clips of other patients as they are,
        else minus infinity.
    """
    own = torch.arange(len(logits), device=logits.device)
    same_patient = codes[:, None] == codes[None, :]  # also a clip with itself
    for distance in range(1, num_clips):
        partner = own - own % num_clips + (own + distance) % num_clips
        excluded = same_patient.scatter(1, partner[:, None], value=False)
        yield partner, logits.masked_fill(excluded, -torch.inf)


def dense_nt_xent(
    projections: Tensor, patients: Tensor, *, temperature: float | Tensor
) -> tuple[Tensor, Tensor]:
    """The mean of one NT-Xent per cell: a cell is compared with the same cell of the other clips.

    Dense contrast after DenseCL (Wang et al., arXiv 2011.09157), with correspondence by place. Similarities
    are made again in the backward pass, so that memory does not grow with the number of cells.

    Args:
        projections: (n, k, cells, d).
        patients: (n,) integer codes.
        temperature: as in :func:`nt_xent`.

    Returns:
        Loss and accuracy as in :func:`nt_xent`, means over cells.
    """
    results = [
        checkpoint(
            nt_xent,
            cell,
            patients,
            temperature=temperature,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for cell in projections.unbind(2)
    ]
    losses, accuracies = zip(*results, strict=True)
    return torch.stack(losses).mean(), torch.stack(accuracies).mean()
