"""How much of an encoder is trained: rates by depth, frozen stages, frozen batch norm."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from echossl.config.recipes import FullSettings
from echossl.encoders import Encoder
from echossl.errors import ConfigError
from echossl.training.optimiser import parameter_groups

# first word of the random stream, so that no two uses share one
DROPOUT = 13


def layer_groups(encoder: Encoder, *, decay: float, weight_decay: float) -> list[dict[str, object]]:
    """Trainable parameters by depth, each group with a ``rate_factor`` for its learning rate.

    The factor is ``decay`` to the power of the depth from the head: the last stage has depth 1, the one
    before it 2, the stem has the smallest rate (ELECTRA, Clark et al., arXiv 2003.10555, and BEiT, Bao et
    al., arXiv 2106.08254).

    Args:
        encoder: frozen parameters are left out.
        decay: above 0, at most 1.
        weight_decay: of matrices and kernels; biases and norms have none.
    """
    groups: list[dict[str, object]] = []
    for depth, stage in enumerate(reversed(encoder.stages()), start=1):
        own = parameter_groups(nn.ModuleList(stage), weight_decay)
        groups += [{**group, "rate_factor": decay**depth} for group in own]
    return groups


def freeze(encoder: Encoder, recipe: FullSettings) -> None:
    """Let the first stages of the encoder be, in place; their parameters take no gradient.

    Args:
        encoder: which is about to be trained.
        recipe: ``freeze_stages`` and ``batch_norm``.

    Raises:
        ConfigError: if the encoder has no stage left to train, or no batch norm that could be frozen.
    """
    stages, name = encoder.stages(), encoder.metadata.architecture.name
    if recipe.freeze_stages >= len(stages):
        raise ConfigError(
            f"recipe.freeze_stages: found {recipe.freeze_stages}, but {name} has {len(stages)} stages; take "
            f"{len(stages) - 1} or fewer, or the recipe frozen"
        )
    if recipe.batch_norm == "frozen" and not _batch_norms(encoder):
        raise ConfigError(f"recipe.batch_norm: {name} has no batch norm that could be frozen; leave it out")
    for part in _frozen_parts(encoder, recipe):
        part.requires_grad_(requires_grad=False)


def training_mode(encoder: Encoder, recipe: FullSettings) -> None:
    """Training mode but for what is frozen.

    Frozen stages are in evaluation mode: no statistics of the batch, no dropout, no dropped paths. Frozen
    batch norm uses its running statistics and leaves them as they are; its weight and bias are trained.
    """
    encoder.train()
    for part in _frozen_parts(encoder, recipe):
        part.eval()
    if recipe.batch_norm == "frozen":
        for norm in _batch_norms(encoder):
            norm.eval()


def drop_features(features: Tensor, share: float, *, seed: int, step: int) -> Tensor:
    """Dropout of the features that the linear layer sees (Srivastava et al., JMLR 2014), when it is trained.

    Args:
        features: (clips, dim).
        share: chance of each number to become 0; the others are divided by the chance to stay.
        seed: of the run.
        step: number of the update; the same update drops the same numbers.
    """
    if not share:
        return features
    stays = np.random.default_rng((DROPOUT, seed, step)).random(features.shape) >= share
    return features * torch.from_numpy(stays).to(features) / (1 - share)


def _frozen_parts(encoder: Encoder, recipe: FullSettings) -> list[nn.Module]:
    return [part for stage in encoder.stages()[: recipe.freeze_stages] for part in stage]


def _batch_norms(encoder: Encoder) -> list[nn.Module]:
    return [part for part in encoder.modules() if isinstance(part, BatchNorm)]
