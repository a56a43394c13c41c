"""Parts of a plain vision transformer: its blocks, and positions of one grid for another."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPSILON = 1e-6


class SelfAttention(nn.Module):
    """Every token looks at all tokens of its clip, in several heads (Vaswani et al., arXiv 1706.03762)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, dim) to the same shape."""
        batch, count, dim = tokens.shape
        parts = self.qkv(tokens).reshape(batch, count, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (batch, heads, tokens, dim / heads)
        seen = F.scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.proj(seen.transpose(1, 2).reshape(batch, count, dim))
        return mixed


class Perceptron(nn.Module):
    """Two linear layers, four times as wide between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, dim) to the same shape."""
        mixed: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mixed


class LayerScale(nn.Module):
    """A factor for each channel of what a block adds (Touvron et al., arXiv 2103.17239)."""

    def __init__(self, dim: int, first: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), first))

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, dim) to the same shape."""
        return tokens * self.gamma


class TransformerBlock(nn.Module):
    """Attention and perceptron, each after a layer norm and added to what came in (arXiv 2010.11929).

    Args:
        dim: length of a token.
        heads: of the attention; a divisor of ``dim``.
        layer_scale: factor that what is added begins with; None has no such factors.
        left_out: chance that a clip passes the block by in training (Huang et al., arXiv 1603.09382).
    """

    def __init__(
        self, dim: int, heads: int, *, layer_scale: float | None = None, left_out: float = 0.0
    ) -> None:
        super().__init__()
        self.left_out = left_out
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.attn = SelfAttention(dim, heads)
        self.ls1 = nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.mlp = Perceptron(dim)
        self.ls2 = nn.Identity() if layer_scale is None else LayerScale(dim, layer_scale)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, dim) to the same shape."""
        tokens = tokens + self._sometimes(self.ls1(self.attn(self.norm1(tokens))))
        return tokens + self._sometimes(self.ls2(self.mlp(self.norm2(tokens))))

    def _sometimes(self, added: Tensor) -> Tensor:
        """With its share of clips set to zero and the others made larger, so that the mean stays."""
        if not self.training or self.left_out == 0:
            return added
        stays = 1 - self.left_out
        return added * added.new_empty(len(added), 1, 1).bernoulli_(stays) / stays


def initialise_linear(network: nn.Module) -> None:
    """Linear layers as in the masked autoencoder (arXiv 2111.06377): Xavier weights, biases of zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)


def sine_positions(grid: tuple[int, int, int], dim: int) -> Tensor:
    """Fixed positions of the places of a grid: sines and cosines of frame, row and column.

    An axis of one place gets no channels, the others share them evenly, as in arXiv 2111.06377 for pictures.

    Args:
        grid: frames, rows and columns.
        dim: channels; what cannot be shared in pairs is zero.

    Returns:
        float32 (frames x rows x columns, dim), time first, then rows.
    """
    long_axes = [axis for axis in range(3) if grid[axis] > 1]
    pairs = dim // (2 * max(len(long_axes), 1))
    waves = 1 / 10000 ** (torch.arange(pairs, dtype=torch.float64) / max(pairs, 1))
    places = torch.cartesian_prod(*(torch.arange(length, dtype=torch.float64) for length in grid))
    angles = [places[:, axis, None] * waves for axis in long_axes]
    parts = [part for angle in angles for part in (angle.sin(), angle.cos())]
    found = torch.cat(parts, dim=1) if parts else places.new_zeros(len(places), 0)
    return F.pad(found, (0, dim - found.shape[1])).float()


def resized_positions(positions: Tensor, height: int, width: int) -> Tensor:
    """Positions of a square picture for one of another size, bicubic as in timm; the class token's stays.

    Args:
        positions: (1, 1 + side x side, dim), that of the class token first.
        height: rows of the new grid.
        width: its columns.

    Returns:
        (1, 1 + height x width, dim).
    """
    side = math.isqrt(positions.shape[1] - 1)
    if (side, side) == (height, width):
        return positions
    of_class, of_places = positions[:, :1], positions[:, 1:].float()
    picture = of_places.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(picture, size=(height, width), mode="bicubic", antialias=True)
    return torch.cat([of_class, resized.flatten(2).transpose(1, 2).to(positions.dtype)], dim=1)


def resized_times(times: Tensor, count: int) -> Tensor:
    """Positions in time (1, length, dim) for another number of times: (1, count, dim), by straight lines."""
    if times.shape[1] == count:
        return times
    return F.interpolate(times.transpose(1, 2), size=count, mode="linear").transpose(1, 2)
