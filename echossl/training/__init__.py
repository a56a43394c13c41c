"""Training: the pre-training stage, and what it shares with adaptation."""

from echossl.training.hardware import Hardware
from echossl.training.optimiser import build_optimiser, learning_rate, parameter_groups, set_learning_rate
from echossl.training.pretrain import pretrain
from echossl.training.statistics import grey_statistics

__all__ = [
    "Hardware",
    "build_optimiser",
    "grey_statistics",
    "learning_rate",
    "parameter_groups",
    "pretrain",
    "set_learning_rate",
]
