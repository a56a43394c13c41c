"""Attention rollout: where the attention of all blocks together leads, from the clip's vector to the pixels.

Each block takes ``residual`` of what it gives from the same place and the rest from where its attention
points, averaged over the heads (Abnar and Zuidema, arXiv 2005.00928). The share of the vector that comes from
each patch is the product of these matrices over the blocks. It is followed backwards, as a vector, so that no
matrix of all patches against all patches is ever made. Where a network pools its queries, keys or skipped
values, or merges patches, a pooled cell counts as the mean of the cells it was made of.

The map knows nothing of the head: it shows what the vector is made of, not what speaks for the class. The
check with shuffled labels says so.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.saliency import RolloutSettings
from echossl.encoders.base import Encoder
from echossl.encoders.torchvision_networks import MViT, Swin3D
from echossl.encoders.vit import VisionTransformer
from echossl.errors import UserError
from echossl.saliency.methods.attention import attentions
from echossl.saliency.methods.layers import INPUT
from echossl.saliency.methods.score import Score, to_clip_size

Grid = tuple[int, int, int]


def attention_rollout(score: Score, clips: Tensor, settings: RolloutSettings) -> Tensor:
    """Share of a clip's vector that comes from each place.

    Args:
        score: of an encoder ``mvit_v2_s``, ``swin3d_t`` or ``vit``; its layer is that of no block, ``input``.
        clips: (batch, channels, frames, height, width) in 0..1.
        settings: share of the residual way.

    Returns:
        (batch, frames, height, width) float32; each patch has the share of the vector that comes from it.

    Raises:
        UserError: if the network has no attention to follow, or a layer is asked for.
    """
    if score.layer != INPUT:
        raise UserError(
            f"layer {score.layer}: attention_rollout goes through all blocks; leave out the layer or it"
        )
    match score.encoder:
        case MViT() as encoder:
            patches = _multiscale(encoder, clips, settings.residual)
        case Swin3D() as encoder:
            patches = _windows(encoder, clips, settings.residual)
        case VisionTransformer() as encoder:
            patches = _plain(encoder, clips, settings.residual)
        case _:
            name = score.encoder.metadata.architecture.name
            raise UserError(
                f"attention_rollout: found an encoder {name}, in which there is no attention to follow; "
                "expected mvit_v2_s, swin3d_t or vit, take another method"
            )
    return to_clip_size(patches, clips)


def _plain(encoder: VisionTransformer, clips: Tensor, residual: float) -> Tensor:
    """Shares of the patches (batch, t', h', w') of a transformer in which all tokens look at all others.

    The vector is the class token or the mean of the patches. What stays with the class token or with
    registers, which begin alike for every clip, comes from no place.
    """
    found, first = attentions(encoder, clips), 1 + encoder.registers
    shares = torch.zeros(found[-1].shape[:2], device=clips.device)
    if encoder.class_token:
        shares[:, 0] = 1
    else:
        shares[:, first:] = 1 / (shares.shape[1] - first)
    for attention in reversed(found):
        attended = torch.einsum("bq,bqk->bk", shares, attention)
        shares = residual * shares + (1 - residual) * attended
    return shares[:, first:].reshape(len(clips), *encoder.grid(clips.shape[2:]))


def _multiscale(encoder: MViT, clips: Tensor, residual: float) -> Tensor:
    """Shares of the patches (batch, t', h', w') of a multiscale transformer with a class token."""
    blocks = list(encoder.network.get_submodule("blocks").children())
    grids = _input_grids(blocks, encoder, clips)
    found = attentions(encoder, clips)
    batch, last = clips.shape[0], found[-1].shape[1]
    shares = torch.zeros(batch, last, device=clips.device)
    if encoder.class_token:
        shares[:, 0] = 1
    else:
        shares[:, 1:] = 1 / (last - 1)
    for block, attention, grid in zip(reversed(blocks), reversed(found), reversed(grids), strict=True):
        keys = torch.einsum("bq,bqk->bk", shares, attention)
        attended = _unpooled(keys, getattr(block.attn, "pool_k", None), grid)
        skipped = _unpooled(shares, getattr(block, "pool_skip", None), grid)
        shares = residual * skipped + (1 - residual) * attended
    # what stays with the class token comes from no place
    return shares[:, 1:].reshape(batch, *grids[0])


def _input_grids(blocks: list[nn.Module], encoder: Encoder, clips: Tensor) -> list[Grid]:
    """Frames, rows and columns of the tokens that go into each block."""
    grids: list[Grid] = []
    hooks = [
        block.register_forward_pre_hook(lambda _block, inputs: grids.append(inputs[1])) for block in blocks
    ]
    with torch.no_grad():
        encoder(clips)
    for hook in hooks:
        hook.remove()
    return grids


def _unpooled(shares: Tensor, pool: nn.Module | None, grid: Grid) -> Tensor:
    """Shares of pooled tokens (batch, 1 + n') → of those they were pooled of (batch, 1 + n)."""
    if pool is None:
        return shares
    window = pool.get_submodule("pool")
    kernel, stride, padding = (_three(getattr(window, name)) for name in ("kernel_size", "stride", "padding"))
    ones = torch.ones(1, 1, *kernel, device=shares.device)
    cells = torch.ones(1, 1, *grid, device=shares.device)
    counts = F.conv3d(cells, ones, stride=stride, padding=padding)
    parts = shares[:, None, 1:].reshape(-1, *counts.shape[1:]) / counts
    # transposed, a window hands each of its cells what it got, less what lies beyond the edge
    reach = [
        (n - 1) * s + k - 2 * p for n, s, k, p in zip(counts.shape[2:], stride, kernel, padding, strict=True)
    ]
    rest = [length - reached for length, reached in zip(grid, reach, strict=True)]
    spread = F.conv_transpose3d(parts, ones, stride=stride, padding=padding, output_padding=rest)
    return torch.cat([shares[:, :1], spread.flatten(1)], dim=1)


def _three(value: int | tuple[int, ...]) -> tuple[int, int, int]:
    return (value, value, value) if isinstance(value, int) else (value[0], value[1], value[2])


def _windows(encoder: Swin3D, clips: Tensor, residual: float) -> Tensor:
    """Shares of the patches (batch, t', h', w') of a transformer with shifted windows."""
    parts = _blocks_and_mergings(encoder)
    grids = _output_grids(parts, encoder, clips)
    found = attentions(encoder, clips)
    shares = torch.full((clips.shape[0], *grids[-1]), 1 / _count(grids[-1]), device=clips.device)
    before = [grids[0], *grids[:-1]]
    for part, grid in zip(reversed(parts), reversed(before), strict=True):
        if hasattr(part, "attn"):
            shares = residual * shares + (1 - residual) * _through_windows(
                shares, found.pop(), part.get_submodule("attn")
            )
        else:
            # four cells become one, of those beyond the edge nothing is left
            spread = shares.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)[
                :, :, : grid[1], : grid[2]
            ]
            weights = _merged(grid, shares)
            shares = spread / weights
    return shares


def _blocks_and_mergings(encoder: Swin3D) -> list[nn.Module]:
    """Transformer blocks and what merges patches between them, in order."""
    parts: list[nn.Module] = []
    for child in encoder.network.get_submodule("features").children():
        parts += list(child.children()) if isinstance(child, nn.Sequential) else [child]
    return parts


def _output_grids(parts: list[nn.Module], encoder: Encoder, clips: Tensor) -> list[Grid]:
    grids: list[Grid] = []
    hooks = [
        part.register_forward_hook(lambda _part, _inputs, output: grids.append(tuple(output.shape[1:4])))
        for part in parts
    ]
    with torch.no_grad():
        encoder(clips)
    for hook in hooks:
        hook.remove()
    return grids


def _merged(grid: Grid, shares: Tensor) -> Tensor:
    """How many cells of this grid are merged with each: 4, less at an odd edge: (1, 1, rows, columns)."""
    rows, columns = (
        torch.tensor([2 if place // 2 * 2 + 1 < length else 1 for place in range(length)])
        for length in grid[1:]
    )
    return (rows[:, None] * columns[None, :]).to(shares)[None, None]


def _through_windows(shares: Tensor, attention: Tensor, module: nn.Module) -> Tensor:
    """Shares of places (batch, t, h, w) → of the places their windows' attention points to.

    What an attention gives to padding comes from no place.
    """
    size = shares.shape[1:]
    window, shift = _window_and_shift(size, module)
    padding = [-length % side for length, side in zip(size, window, strict=True)]
    padded = F.pad(shares, (0, padding[2], 0, padding[1], 0, padding[0]))
    turned = padded.roll([-step for step in shift], dims=(1, 2, 3))
    counts = [length // side for length, side in zip(turned.shape[1:], window, strict=True)]
    cut = turned.reshape(-1, counts[0], window[0], counts[1], window[1], counts[2], window[2])
    queries = cut.permute(0, 1, 3, 5, 2, 4, 6).reshape(attention.shape[0], -1)
    keys = torch.einsum("wq,wqk->wk", queries, attention)
    together = keys.reshape(-1, *counts, *window).permute(0, 1, 4, 2, 5, 3, 6).reshape(turned.shape)
    back = together.roll(list(shift), dims=(1, 2, 3))
    return back[:, : size[0], : size[1], : size[2]]


def _window_and_shift(size: torch.Size, module: nn.Module) -> tuple[list[int], list[int]]:
    """The window of an attention and its shift; a window as large as the grid is not shifted."""
    sides, steps = vars(module)["window_size"], vars(module)["shift_size"]
    fits = [length <= side for length, side in zip(size, sides, strict=True)]
    window = [length if fit else side for length, side, fit in zip(size, sides, fits, strict=True)]
    shift = [0 if fit else step for step, fit in zip(steps, fits, strict=True)]
    return window, shift


def _count(grid: Grid) -> int:
    return grid[0] * grid[1] * grid[2]
