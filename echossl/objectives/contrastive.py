"""Contrastive objective: clips of one patient attract, clips of different patients repel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.objective import ContrastiveConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.objectives.base import Objective

CLIPS_PER_PAIR = 2


class Contrastive(Objective):
    """NT-Xent on a projection of the encoder's vectors (SimCLR, Chen et al., arXiv 2002.05709).

    With ``positives: two_videos`` the pair is two videos of one patient (Holste et al., arXiv 2207.11581).

    Args:
        config: temperature, sizes of the projection head.
        encoder_dim: length of the encoder's vectors.
    """

    num_clips = CLIPS_PER_PAIR

    def __init__(self, config: ContrastiveConfig, encoder_dim: int) -> None:
        super().__init__()
        self.positives = config.positives
        self.temperature = config.temperature
        self.projection_head = nn.Sequential(
            nn.Linear(encoder_dim, config.hidden_dim, bias=False),  # the norm brings the bias
            nn.BatchNorm1d(config.hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden_dim, config.projection_dim),
        )

    def forward(self, encoder: Encoder, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and ``pair_accuracy``: how often the positive is the nearest of all candidates.

        An accuracy near 1 says that the pairs are too easy, not that the encoder is good.
        """
        items = batch.clips.shape[0]
        pairs = batch.clips[:, :CLIPS_PER_PAIR].flatten(0, 1)  # (items x 2, c, t, h, w)
        projections = self.projection_head(encoder(pairs)).unflatten(0, (items, CLIPS_PER_PAIR))
        loss, accuracy = nt_xent(projections, batch.patients, temperature=self.temperature)
        return loss, {"pair_accuracy": accuracy, "temperature": loss.new_tensor(self.temperature)}


def nt_xent(projections: Tensor, patients: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """Normalised temperature-scaled cross entropy with patient-aware negatives (eq. 1 of arXiv 2002.05709).

    For each of the 2n clips, the softmax runs over its partner and the clips of other patients: clips of the
    same patient are never negatives. Nothing larger than 2n x 2n is made.

    Args:
        projections: (n, 2, d), of any length and float type; computed in float32 also under autocast.
        patients: (n,) integer codes.
        temperature: tau of the paper.

    Returns:
        The mean loss over the 2n clips, and the share of clips whose partner is the nearest candidate.
    """
    with torch.autocast(projections.device.type, enabled=False):
        units = F.normalize(projections.float().flatten(0, 1), dim=1)  # (2n, d)
        logits = units @ units.T / temperature  # (2n, 2n)
        own = torch.arange(len(units), device=units.device)
        partner = own ^ 1  # clips 2i and 2i+1 are a pair
        codes = patients.to(units.device).repeat_interleave(CLIPS_PER_PAIR)
        excluded = codes[:, None] == codes[None, :]  # also a clip with itself
        excluded[own, partner] = False
        logits = logits.masked_fill(excluded, -torch.inf)
        return F.cross_entropy(logits, partner), (logits.detach().argmax(1) == partner).float().mean()
