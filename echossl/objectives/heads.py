"""Heads: the small networks between an encoder's vectors and a loss. Thrown away after pre-training."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def projection_head(sizes: Sequence[int], *, batch_norm: bool = True) -> nn.Sequential:
    """A multi-layer perceptron (SimCLR, Chen et al., arXiv 2002.05709, section 2.1).

    Args:
        sizes: length of the input, of each hidden layer, of the output.
        batch_norm: whether hidden layers are normalised over the batch.

    Returns:
        (n, sizes[0]) → (n, sizes[-1]); the last layer is linear, with bias.
    """
    layers: list[nn.Module] = []
    for width_in, width in pairwise(sizes[:-1]):
        layers.append(nn.Linear(width_in, width, bias=not batch_norm))  # a norm brings its own bias
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
