"""NT-Xent cell by cell where cells are matched by what they show, or where blank cells do not count."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from echossl.objectives.similarity import partners_of

# made at a time, for pairs of clips and a block of cells: 8 MiB
MOST_SIMILARITIES = 2**21


def matched_nt_xent(
    projections: Tensor,
    patients: Tensor,
    *,
    temperature: float | Tensor,
    features: Tensor | None = None,
    visible: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The mean of one NT-Xent per cell; which cell of another clip it is compared with is told by features.

    With ``features``, the cell of another clip is the one whose features are the most similar (DenseCL, Wang
    et al., arXiv 2011.09157, eq. 4), of the partner *and* of the clips of other patients: were strangers
    represented by the cell at the same place, the partner would win by having been allowed to choose.
    Without, it is the cell at the same place, as in :func:`echossl.objectives.dense_nt_xent`.

    With ``visible``, a cell that is blank counts neither as one that is compared with the best cell of its
    partner nor, at the same place, where the partner's is blank as well.

    One cell is worked on at a time and again in the backward pass, so that memory does not grow with the
    number of cells; the cells it is matched with are looked through in blocks.

    Args:
        projections: (n, k, cells, d), of any float type; computed in float32 also under autocast.
        patients: (n,) integer codes.
        temperature: as in :func:`echossl.objectives.nt_xent`.
        features: (n, k, cells, dim) of the encoder, without gradient.
        visible: (n, k, cells) bool.

    Returns:
        The mean loss over all clips, partners and cells that count, and the share of them whose partner is
        the nearest candidate; 0 and 0 if none counts.
    """
    count, num_clips, num_cells, _ = projections.shape
    with torch.autocast(projections.device.type, enabled=False):
        units = F.normalize(projections.float().flatten(0, 1), dim=2)  # (nk, cells, d)
        shown = None if features is None else F.normalize(features.float().flatten(0, 1), dim=2)
        if visible is None:
            visible = torch.ones((count, num_clips, num_cells), dtype=torch.bool, device=units.device)
        sums = [
            checkpoint(
                _cell_sums,
                units,
                shown,
                visible.flatten(0, 1)[:, cell],
                patients.to(units.device).repeat_interleave(num_clips),
                temperature,
                (cell, num_clips),
                use_reentrant=False,
                preserve_rng_state=False,
            )
            for cell in range(num_cells)
        ]
    loss, hits, counted = torch.stack(sums).sum(dim=0)
    return loss / counted.clamp_min(1), (hits / counted.clamp_min(1)).detach()


def _cell_sums(
    units: Tensor,
    shown: Tensor | None,
    visible: Tensor,
    codes: Tensor,
    temperature: float | Tensor,
    cell_and_clips: tuple[int, int],
) -> Tensor:
    """Of one cell of every clip: the sum of the losses, of the hits, and how many there are; (3,)."""
    cell, num_clips = cell_and_clips
    if shown is None:
        logits = units[:, cell] @ units[:, cell].T
    else:
        logits = matched_similarities(units, best_cells(shown, cell), cell)
    sums = units.new_zeros(3)
    for partner, candidates in partners_of(logits / temperature, codes, num_clips):
        # an own cell that shows something is enough where it chooses; at one place either of the two is
        counts = visible if shown is not None else visible | visible[partner]
        losses = F.cross_entropy(candidates, partner, reduction="none")
        hits = candidates.detach().argmax(1) == partner
        sums = sums + torch.stack(((losses * counts).sum(), (hits & counts).sum(), counts.sum()))
    return sums


@torch.no_grad()
def best_cells(shown: Tensor, cell: int) -> Tensor:
    """For one cell of each clip, the most similar cell of each clip: unit (m, cells, dim) → (m, m) int64.

    ``[a, b]`` is the cell of clip b that cell ``cell`` of clip a is matched with.
    """
    best = torch.full((len(shown), len(shown)), -torch.inf, device=shown.device)
    chosen = torch.zeros_like(best, dtype=torch.int64)
    for block in _blocks(shown):
        highest, place = _similarities(shown, cell, block).max(dim=2)
        chosen = torch.where(highest > best, place + block.start, chosen)
        best = torch.maximum(best, highest)
    return chosen


def matched_similarities(units: Tensor, chosen: Tensor, cell: int) -> Tensor:
    """Cosines of one cell of each clip with the chosen cell of each clip: (m, cells, d), (m, m) → (m, m)."""
    found = torch.zeros_like(chosen, dtype=units.dtype)
    for block in _blocks(units):
        places = (chosen - block.start).clamp(0, block.stop - block.start - 1)[..., None]
        picked = _similarities(units, cell, block).gather(2, places)[..., 0]
        found = torch.where((chosen >= block.start) & (chosen < block.stop), picked, found)
    return found


def _similarities(units: Tensor, cell: int, block: slice) -> Tensor:
    """One cell of each clip with a block of cells of each: (m, cells, d) → (m, m, block)."""
    others = units[:, block]
    return (units[:, cell] @ others.flatten(0, 1).T).view(len(units), len(units), -1)


def _blocks(units: Tensor) -> list[slice]:
    """The cells, as many at a time as keep their similarities small."""
    num_clips, num_cells, _ = units.shape
    size = max(1, MOST_SIMILARITIES // num_clips**2)
    return [slice(first, min(first + size, num_cells)) for first in range(0, num_cells, size)]
