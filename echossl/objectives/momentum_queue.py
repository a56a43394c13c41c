"""The queue of momentum contrast: keys of the last batches, with the patients they are of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# patient of a place that has not been filled yet
NOBODY = -1


class KeyQueue(nn.Module):
    """The newest keys, first in first out; part of a checkpoint.

    Args:
        size: keys that are kept.
        dim: their length.
    """

    keys: Tensor
    patients: Tensor
    position: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dim))
        self.register_buffer("patients", torch.full((size,), NOBODY))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Tensor, patients: Tensor) -> None:
        """Put keys (n, d) of patients (n,) in place of the oldest."""
        size = len(self.keys)
        keys, patients = keys[-size:], patients[-size:]
        places = (self.position + torch.arange(len(keys), device=self.keys.device)) % size
        self.keys[places] = keys.to(self.keys.dtype)
        self.patients[places] = patients
        self.position.copy_((self.position + len(keys)) % size)


def queue_loss(
    queries: Tensor,
    own_keys: Tensor,
    patients: Tensor,
    *,
    keys: Tensor,
    key_patients: Tensor,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    """InfoNCE of queries against their own key and the keys of other patients (eq. 1 of arXiv 1911.05722).

    Args:
        queries: (n, d) with gradient, of length 1.
        own_keys: (n, d), the positive of each query, of length 1.
        patients: (n,) integer codes.
        keys: (m, d), candidates for negatives, of length 1.
        key_patients: (m,) their codes; ``NOBODY`` leaves a place out. Keys of the query's patient are no
            negatives.
        temperature: tau of the paper.

    Returns:
        The mean loss, and the share of queries whose own key is the nearest candidate.
    """
    with torch.autocast(queries.device.type, enabled=False):
        queries = queries.float()
        positive = (queries * own_keys.float()).sum(dim=1, keepdim=True)  # (n, 1)
        excluded = (patients[:, None] == key_patients[None, :]) | (key_patients == NOBODY)
        negatives = (queries @ keys.float().T).masked_fill(excluded, -torch.inf)  # (n, m)
        logits = torch.cat((positive, negatives), dim=1) / temperature
        targets = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
        return F.cross_entropy(logits, targets), (logits.detach().argmax(1) == 0).float().mean()
