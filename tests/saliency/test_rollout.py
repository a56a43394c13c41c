import numpy as np
import pytest
import torch
from torch import nn

from echossl.config.encoder import Compact3DConfig, MViTConfig, Swin3DConfig, ViTConfig
from echossl.config.saliency import RolloutSettings
from echossl.config.video import ClipConfig
from echossl.encoders import build_encoder
from echossl.encoders.base import EncoderMetadata
from echossl.errors import UserError
from echossl.saliency.methods import saliency_map
from echossl.saliency.methods.attention import attentions
from echossl.saliency.methods.rollout import _input_grids, _multiscale, _plain, _windows


def _encoder(architecture, num_frames: int, size: int):
    torch.manual_seed(1)
    metadata = EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=num_frames), size=size)
    encoder = build_encoder(metadata).eval()
    for name, weight in encoder.named_parameters():
        if "qkv" in name:  # fresh ones attend to everything alike
            nn.init.normal_(weight, std=0.2)
    return encoder


@pytest.fixture(scope="module")
def multiscale():
    torch.set_num_threads(1)
    return _encoder(MViTConfig(), 4, 32), torch.rand(2, 1, 4, 32, 32)


@pytest.fixture(scope="module")
def plain():
    torch.set_num_threads(1)
    return _encoder(ViTConfig(width=32, depth=2, heads=2, patch=8, patch_frames=2), 4, 32), torch.rand(
        2, 1, 4, 32, 32
    )


@pytest.fixture(scope="module")
def windows():
    torch.set_num_threads(1)
    return _encoder(Swin3DConfig(), 4, 72), torch.rand(2, 1, 4, 72, 72)


def pooling_matrix(pool, grid) -> np.ndarray:
    """(1 + cells, 1 + finer cells): each row the mean of the finer cells within its window, one by one."""
    fine = int(np.prod(grid))
    if pool is None:
        return np.eye(1 + fine)
    window = pool.pool
    kernel, stride, padding = (
        [value] * 3 if isinstance(value, int) else list(value)
        for value in (window.kernel_size, window.stride, window.padding)
    )
    coarse = [
        (length + 2 * p - k) // s + 1 for length, k, s, p in zip(grid, kernel, stride, padding, strict=True)
    ]
    matrix = np.zeros((1 + int(np.prod(coarse)), 1 + fine))
    matrix[0, 0] = 1
    for row, place in enumerate(np.ndindex(*coarse), start=1):
        for column, other in enumerate(np.ndindex(*grid), start=1):
            begins = [p * s - pad for p, s, pad in zip(place, stride, padding, strict=True)]
            ends = [begin + k for begin, k in zip(begins, kernel, strict=True)]
            matrix[row, column] = all(b <= o < e for b, o, e in zip(begins, other, ends, strict=True))
    return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("class_token", [False, True])
def test_multiscale_rollout_is_the_product_of_the_blocks_matrices(multiscale, class_token: bool) -> None:
    encoder, clips = multiscale
    encoder.class_token = class_token
    blocks = list(encoder.network.blocks)
    grids = _input_grids(blocks, encoder, clips)
    product = np.stack([np.eye(1 + int(np.prod(grids[0])))] * 2)
    for block, attention, grid in zip(blocks, attentions(encoder, clips), grids, strict=True):
        keys, skipped = (pooling_matrix(pool, grid) for pool in (block.attn.pool_k, block.pool_skip))
        own = np.stack([0.6 * skipped + 0.4 * one @ keys for one in attention.numpy()])
        product = own @ product
    rows = product[:, 0] if class_token else product[:, 1:].mean(axis=1)
    found = _multiscale(encoder, clips, 0.6).flatten(1).numpy()
    encoder.class_token = False
    assert np.allclose(found, rows[:, 1:], rtol=1e-3, atol=1e-7)
    assert np.allclose(product.sum(axis=-1), 1, atol=1e-4)


def test_attention_is_that_of_the_module(multiscale) -> None:
    encoder, clips = multiscale
    found = attentions(encoder, clips)
    assert len(found) == 16
    for attention in found:
        assert torch.allclose(attention.sum(dim=-1), torch.ones(attention.shape[:2]), atol=1e-5)
    assert found[0].std() > 0


def test_window_rollout_is_what_linear_blocks_hand_back(windows) -> None:
    """A shadow network that only moves values as the attention says; its gradient is the rollout."""
    encoder, clips = windows
    found = attentions(encoder, clips)
    values = torch.zeros(2, 2, 18, 18, requires_grad=True)
    flow = values
    for child in encoder.network.features:
        if not isinstance(child, nn.Sequential):
            rows, columns = flow.shape[2:]
            cells = [
                [
                    flow[:, :, row : row + 2, column : column + 2].mean(dim=(2, 3))
                    for column in range(0, columns, 2)
                ]
                for row in range(0, rows, 2)
            ]
            flow = torch.stack([torch.stack(line, dim=-1) for line in cells], dim=-2)
            continue
        for block in child:
            flow = 0.5 * flow + 0.5 * slow_windows(flow, found.pop(0), block.attn)
    (expected,) = torch.autograd.grad(flow.mean(dim=(1, 2, 3)).sum(), values)
    shares = _windows(encoder, clips, 0.5)
    assert torch.allclose(shares, expected, atol=1e-7)
    assert shares.std() > 0


def slow_windows(flow, attention, module):
    """What each place gets from its window, window by window and place by place."""
    size = flow.shape[1:]
    window = [min(length, side) for length, side in zip(size, module.window_size, strict=True)]
    shift = [
        0 if length <= side else step
        for length, side, step in zip(size, module.window_size, module.shift_size, strict=True)
    ]
    whole = [-(-length // side) * side for length, side in zip(size, window, strict=True)]
    out = torch.zeros_like(flow)
    number = 0
    for item in range(len(flow)):
        for corner in np.ndindex(*[length // side for length, side in zip(whole, window, strict=True)]):
            places = []
            for inside in np.ndindex(*window):
                turned = [c * side + i for c, side, i in zip(corner, window, inside, strict=True)]
                places.append([(t + s) % length for t, s, length in zip(turned, shift, whole, strict=True)])
            real = [all(p < length for p, length in zip(place, size, strict=True)) for place in places]
            columns = [n for n, is_real in enumerate(real) if is_real]
            index = torch.tensor([places[n] for n in columns]).T
            values = flow[item, index[0], index[1], index[2]]
            gotten = attention[number][columns][:, columns] @ values
            out = out.index_put((torch.tensor(item), *index), gotten)
            number += 1
    return out


class _LinearPath:
    """A slow pass of a plain transformer, token by token, that hands its attention over as matrices."""

    def __init__(self, encoder) -> None:
        self.encoder = encoder

    def matrices(self, clip) -> list[np.ndarray]:
        """(tokens, tokens) of each block, the mean over its heads, by plain loops."""
        encoder, found = self.encoder, []
        tokens = [encoder.cls_token[0, 0] + encoder.pos_embed[0, 0]]
        tokens += list(encoder.reg_token[0]) if encoder.registers else []
        tokens = torch.stack([*tokens, *encoder._patches(encoder.normalised(clip[None]))[0]])
        for block in encoder.blocks:
            heads, dim = block.attn.heads, tokens.shape[1]
            parts = block.attn.qkv(block.norm1(tokens)).reshape(len(tokens), 3, heads, dim // heads)
            matrix, mixed = np.zeros((len(tokens), len(tokens))), torch.zeros_like(tokens)
            for head in range(heads):
                query, key, value = (parts[:, part, head] for part in range(3))
                for place in range(len(tokens)):
                    energies = torch.stack([query[place] @ one for one in key]) / (dim // heads) ** 0.5
                    weights = torch.softmax(energies, dim=0)
                    matrix[place] += weights.numpy() / heads
                    columns = slice(head * (dim // heads), (head + 1) * (dim // heads))
                    mixed[place, columns] = weights @ value
            found.append(matrix)
            tokens = tokens + block.attn.proj(mixed)
            tokens = tokens + block.mlp(block.norm2(tokens))
        return found


@pytest.mark.parametrize("pooling", ["class_token", "mean"])
@pytest.mark.parametrize("registers", [0, 2])
def test_plain_rollout_is_the_product_of_the_blocks_matrices(pooling: str, registers: int) -> None:
    settings = ViTConfig(
        width=16, depth=3, heads=2, patch=8, patch_frames=2, pooling=pooling, registers=registers
    )
    encoder, clips = _encoder(settings, 4, 16), torch.rand(2, 1, 4, 16, 16)
    first, maps = 1 + registers, _plain(encoder, clips, 0.3)
    assert maps.shape == (2, 2, 2, 2)
    for clip, own in zip(clips, maps, strict=True):
        with torch.no_grad():
            matrices = _LinearPath(encoder).matrices(clip)
        product = np.eye(first + 8)
        for matrix in matrices:
            product = (0.3 * np.eye(first + 8) + 0.7 * matrix) @ product
        row = product[0] if pooling == "class_token" else product[first:].mean(axis=0)
        assert np.allclose(own.flatten().numpy(), row[first:], atol=1e-6)
        assert own.sum() < 1
        assert own.std() > 1e-4


def test_without_any_preference_every_token_counts_alike() -> None:
    encoder = _encoder(
        ViTConfig(width=16, depth=1, heads=2, patch=8, patch_frames=1, pooling="class_token"), 1, 32
    )
    nn.init.zeros_(encoder.blocks[0].attn.qkv.weight)
    even = _plain(encoder, torch.rand(1, 1, 1, 32, 32), 0.0)
    # 16 patches and the class token, whose share comes from no place
    assert torch.allclose(even, torch.full_like(even, 1 / 17))


@pytest.mark.parametrize("kind", ["multiscale", "windows", "plain"])
def test_map_has_the_clips_size_and_ignores_the_head(kind: str, request) -> None:
    encoder, clips = request.getfixturevalue(kind)
    maps = [saliency_map(encoder, nn.Linear(encoder.dim, 1), clips, RolloutSettings()) for _ in range(2)]
    assert maps[0].shape == (2, *clips.shape[2:])
    assert maps[0].min() >= 0
    assert torch.equal(*maps)
    alone = saliency_map(encoder, nn.Linear(encoder.dim, 1), clips[:1], RolloutSettings())
    assert torch.allclose(maps[0][:1], alone, rtol=1e-3)


def test_networks_without_attention_and_layers_are_refused(multiscale) -> None:
    encoder, clips = multiscale
    head = nn.Linear(encoder.dim, 1)
    with pytest.raises(
        UserError, match=r"layer network\.blocks\.2: attention_rollout goes through all blocks"
    ):
        saliency_map(encoder, head, clips, RolloutSettings(), layer="network.blocks.2")
    other = _encoder(Compact3DConfig(width=4), 4, 32)
    with pytest.raises(
        UserError, match=r"found an encoder compact3d, .* expected mvit_v2_s, swin3d_t or vit"
    ):
        saliency_map(other, nn.Linear(32, 1), clips, RolloutSettings())
