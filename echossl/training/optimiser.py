"""AdamW or Adam, and the learning rate as a pure function of the step."""

import math

import torch
from torch import nn

from echossl.config.training import OptimiserConfig


def learning_rate(step: int, config: OptimiserConfig) -> float:
    """Linear warm-up, then half a cosine to zero (SGDR, Loshchilov & Hutter, arXiv 1608.03983) or no change.

    Args:
        step: number of the update, from 0. The first update has a rate above 0, the last one of a cosine
            nearly 0.
        config: peak, schedule, length of the warm-up, number of updates.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Use ``rate`` for all parameters from now on, times the ``rate_factor`` of groups that have one."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Trainable parameters in two groups: matrices and kernels decay, biases and norms (1-D) do not."""
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]


def build_optimiser(module: nn.Module, config: OptimiserConfig) -> torch.optim.Adam:
    """AdamW or Adam on all trainable parameters of the module.

    AdamW (Loshchilov & Hutter, arXiv 1711.05101) takes a share off the weights; Adam (Kingma & Ba, arXiv
    1412.6980) adds the weights to the gradient. They are the same where ``weight_decay`` is 0.
    """
    return optimiser_of(parameter_groups(module, config.weight_decay), config)


def optimiser_of(groups: list[dict[str, object]], config: OptimiserConfig) -> torch.optim.Adam:
    """AdamW or Adam on groups of parameters; see :func:`build_optimiser`."""
    kind: type[torch.optim.Adam] = torch.optim.Adam if config.algorithm == "adam" else torch.optim.AdamW
    # one pass over all weights; should not affect results, only speed
    return kind(groups, lr=config.learning_rate, betas=config.betas, fused=True)
