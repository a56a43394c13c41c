"""VICReg: embeddings of a patient's clips agree, vary over patients, and say different things per value."""

import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.config.objective import VICRegConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.objectives.base import PartwiseObjective
from echossl.objectives.gather import gathered
from echossl.objectives.heads import projection_head

# epsilon of the paper, which keeps the gradient of the square root finite
LEAST_VARIANCE = 1e-4


class VICReg(PartwiseObjective):
    """Variance-invariance-covariance regularisation (Bardes et al., arXiv 2105.04906).

    There are no negatives, so that small batches do, and a stranger who looks the same is not pushed away.

    Args:
        config: weights of the three terms, sizes of the expander.
        encoder_dim: length of the encoder's vectors.
    """

    num_clips = 2

    def __init__(self, config: VICRegConfig, encoder_dim: int) -> None:
        super().__init__()
        self.config = config
        self.positives = config.positives
        self.expander = projection_head(
            (encoder_dim, config.hidden_dim, config.hidden_dim, config.projection_dim)
        )

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """The embeddings of the pair of each item: (items, 2, projection_dim)."""
        pairs = batch.clips[items, : self.num_clips]
        embeddings: Tensor = self.expander(encoder(pairs.flatten(0, 1)))
        return embeddings.reshape(len(pairs), self.num_clips, -1)

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and its three terms without their weights; ``variance`` near 1 says that it collapsed."""
        del batch
        first, second = gathered(projections).unbind(1)
        invariance, variance, covariance = vicreg_terms(first, second)
        loss = (
            self.config.invariance * invariance
            + self.config.variance * variance
            + self.config.covariance * covariance
        )
        terms = {"invariance": invariance, "variance": variance, "covariance": covariance}
        return loss, {name: value.detach() for name, value in terms.items()}


def vicreg_terms(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three terms of the loss, scaled as in the authors' code (facebookresearch/vicreg).

    That is eqs. 1, 3 and 5 of arXiv 2105.04906, but the squared distance is a mean over the d values instead
    of their sum, and the variance term a mean over the two clips instead of their sum; their weights 25, 25
    and 1 belong to these.

    Args:
        first: (n, d), one clip of each item, n of at least 2; computed in float32 also under autocast.
        second: (n, d), the other clips.

    Returns:
        Invariance (mean squared distance of a pair), variance (mean shortfall of the standard deviations
        below 1, 0..1), covariance (sum of squared covariances between different values, over d).
    """
    with torch.autocast(first.device.type, enabled=False):
        first, second = first.float(), second.float()
        invariance = F.mse_loss(first, second)
        variance = (_shortfall(first) + _shortfall(second)) / 2
        return invariance, variance, _redundancy(first) + _redundancy(second)


def _shortfall(embeddings: Tensor) -> Tensor:
    """Eq. 1: (n, d) → the mean over d of max(0, 1 - standard deviation over n)."""
    deviations = torch.sqrt(embeddings.var(dim=0) + LEAST_VARIANCE)
    return F.relu(1 - deviations).mean()


def _redundancy(embeddings: Tensor) -> Tensor:
    """Eqs. 3 and 4: (n, d) → the squared covariances off the diagonal, summed, over d."""
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / (len(embeddings) - 1)  # (d, d)
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return off_diagonal.square().sum() / embeddings.shape[1]
