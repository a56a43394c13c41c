"""Momentum contrast: many negatives for batches that are small, from a queue of earlier keys."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.objective import MoCoConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.objectives.base import PartwiseObjective
from echossl.objectives.draws import KEY_STREAM, generator
from echossl.objectives.gather import gathered, share_of_batch
from echossl.objectives.heads import projection_head
from echossl.objectives.momentum_queue import KeyQueue, queue_loss


class MoCo(PartwiseObjective):
    """Momentum contrast (He et al., arXiv 1911.05722; head of v2, arXiv 2003.04297), patient-aware.

    The first clip of an item is the query. The second goes through a copy of encoder and head that follows
    them slowly, and is the key. Negatives are the keys of other patients: those of the same batch (as in v3,
    arXiv 2104.02057, so that the first steps have some) and those in the queue.

    The momentum encoder is part of a checkpoint but has no gradient; the encoder that is saved at the end is
    the one that is trained. Its batch norms see the keys in random groups (the paper's shuffling BN), so that
    a query is not told from its batch's statistics.

    Args:
        config: temperature, momentum, queue, sizes of the projection head.
        encoder_dim: length of the encoder's vectors.
    """

    num_clips = 2
    momentum_encoder: Encoder | None

    def __init__(self, config: MoCoConfig, encoder_dim: int) -> None:
        super().__init__()
        self.config = config
        self.positives = config.positives
        sizes = (encoder_dim, config.hidden_dim, config.projection_dim)
        self.projection_head = projection_head(sizes, batch_norm=config.batch_norm)
        self.momentum_head = copy.deepcopy(self.projection_head).requires_grad_(requires_grad=False)
        self.queue = KeyQueue(config.queue_size, config.projection_dim)
        self.register_module("momentum_encoder", None)
        self._pending: tuple[Tensor, Tensor] | None = None

    def attach(self, encoder: Encoder) -> None:
        """Copy the encoder, as it is now."""
        self.momentum_encoder = copy.deepcopy(encoder).requires_grad_(requires_grad=False)

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """The queries of the items: float32 (items, projection_dim) of length 1."""
        if self.momentum_encoder is None:  # outside a run, where nothing is restored
            self.attach(encoder)
        return F.normalize(self.projection_head(encoder(batch.clips[items, 0])).float(), dim=1)

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, ``pair_accuracy`` (how often the own key is the nearest) and ``queue_filled``, 0..1.

        Makes the keys of the whole batch, in ``key_groups`` passes without gradient.
        """
        own_keys = self.keys_of(batch.clips[:, 1], step=batch.step)
        keys, patients = gathered(own_keys), gathered(batch.patients)
        self._pending = (keys, patients)
        loss, accuracy = queue_loss(
            projections,
            own_keys,
            batch.patients,
            keys=torch.cat((keys, self.queue.keys)),
            key_patients=torch.cat((patients, self.queue.patients)),
            temperature=self.config.temperature,
        )
        filled = (self.queue.patients >= 0).float().mean()
        return loss, {"pair_accuracy": accuracy, "queue_filled": filled}

    @torch.no_grad()
    def keys_of(self, clips: Tensor, *, step: int) -> Tensor:
        """(n, c, t, h, w) → float32 (n, projection_dim) of length 1, without gradient."""
        if self.momentum_encoder is None:
            raise RuntimeError("attach an encoder first")
        groups = [group.to(clips.device) for group in self._groups(len(clips), step=step)]
        vectors = torch.cat([self.momentum_encoder(clips[group]) for group in groups])
        keys = F.normalize(self.momentum_head(vectors).float(), dim=1)
        return keys[torch.cat(groups).argsort()]

    def _groups(self, items: int, *, step: int) -> list[Tensor]:
        """Which items of this process are normalised together.

        Where processes share their statistics, a group is drawn from the whole batch, whatever their number:
        each has as many of its items as happen to be its own, maybe none.
        """
        total, own = share_of_batch(items)
        if _has_local_norms(self.momentum_encoder):
            total, own = items, slice(0, items)
        order = torch.randperm(total, generator=generator(KEY_STREAM, step, self.seed))
        return [
            group[(group >= own.start) & (group < own.stop)] - own.start
            for group in order.chunk(self.config.key_groups)
        ]

    @torch.no_grad()
    def after_update(self, encoder: Encoder) -> None:
        """Move the slow weights towards the trained ones (eq. 2), and put the step's keys in the queue."""
        if self.momentum_encoder is None or self._pending is None:
            return
        _follow(self.momentum_encoder, encoder, momentum=self.config.momentum)
        _follow(self.momentum_head, self.projection_head, momentum=self.config.momentum)
        self.queue.push(*self._pending)
        self._pending = None


def _has_local_norms(module: nn.Module | None) -> bool:
    """Whether batch norms see the items of this process alone; those that share are of other classes."""
    local = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return module is not None and any(isinstance(part, local) for part in module.modules())


def _follow(slow: nn.Module, fast: nn.Module, *, momentum: float) -> None:
    """Slow weights become ``momentum`` x slow + (1 - ``momentum``) x fast; statistics of norms stay."""
    for mean, value in zip(slow.parameters(), fast.parameters(), strict=True):
        mean.lerp_(value, 1 - momentum)
