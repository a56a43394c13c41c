"""What paints hidden patches from the tokens of the patches that an encoder was shown (MAE)."""

import math

import torch
from torch import Tensor, nn

from echossl.config.objective import MaskedConfig
from echossl.encoders import Encoder
from echossl.encoders.transformer import NORM_EPSILON, TransformerBlock, initialise_linear, sine_positions
from echossl.encoders.vit import VisionTransformer
from echossl.errors import UserError
from echossl.objectives.draws import MASK_STREAM, generator

HEAD_WIDTH = 32
DEPTH = 2


class MaskedDecoder(nn.Module):
    """A light transformer over all places, with one learned token where nothing was seen.

    As in the masked autoencoder (He et al., arXiv 2111.06377); the encoder's work shrinks with the share
    that is hidden, and it never sees a patch that no clip has.

    Args:
        dim: length of the encoder's tokens.
        grid: frames, rows and columns of places.
        width: length of the decoder's tokens, a multiple of 32.
        depth: blocks.
        pixels: numbers to paint at each place.
    """

    def __init__(self, dim: int, grid: tuple[int, int, int], *, width: int, depth: int, pixels: int) -> None:
        super().__init__()
        self.embed = nn.Linear(dim, width)
        self.hidden = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.positions: Tensor
        self.register_buffer("positions", sine_positions(grid, width)[None], persistent=False)
        self.blocks = nn.Sequential(*(TransformerBlock(width, width // HEAD_WIDTH) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.pixels = nn.Linear(width, pixels)
        initialise_linear(self)

    def forward(self, tokens: Tensor, kept: Tensor) -> Tensor:
        """Tokens (batch, kept, dim) at their places (batch, kept) int64 to (batch, places, pixels)."""
        seen = self.embed(tokens)
        blank = self.hidden.to(seen.dtype).expand(len(seen), self.positions.shape[1], -1)
        everywhere = blank.scatter(1, kept[:, :, None].expand_as(seen), seen) + self.positions
        painted: Tensor = self.pixels(self.norm(self.blocks(everywhere)))
        return painted


def decoder_for(encoder: VisionTransformer, config: MaskedConfig, *, seed: int) -> MaskedDecoder:
    """The decoder of a run; its random weights are a function of the seed.

    Raises:
        UserError: if hidden patches are not whole patches of the encoder.
    """
    metadata, side, frames = encoder.metadata, encoder.patch[1], encoder.patch[0]
    in_time = f"{config.patch_frames} frames of " if config.mask == "random" else ""
    if config.patch % side or (config.mask == "random" and config.patch_frames % frames):
        raise UserError(
            f"objective masked: hidden patches of {in_time}{config.patch} pixels are "
            f"no whole patches of the encoder, which has {frames} frames of {side}; set patch to a multiple "
            f"of {side}" + (f" and patch_frames to one of {frames}" if config.mask == "random" else "")
        )
    first = int(torch.randint(2**31, (), generator=generator(MASK_STREAM, 0, seed, use=1)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(first)
        return MaskedDecoder(
            encoder.dim,
            encoder.grid((metadata.clip.num_frames, metadata.size, metadata.size)),
            width=config.decoder_width or HEAD_WIDTH * max(1, encoder.dim // (2 * HEAD_WIDTH)),
            depth=config.decoder_depth or DEPTH,
            pixels=metadata.channels * math.prod(encoder.patch),
        )


def require_no_decoder(encoder: Encoder, config: MaskedConfig) -> None:
    """Refuse settings of a decoder for encoders that are shown grey where something is hidden.

    Raises:
        UserError: naming the setting.
    """
    for name in ("decoder_width", "decoder_depth"):
        if getattr(config, name) is not None:
            raise UserError(
                f"objective masked: {name} is set, but only the encoder vit leaves hidden patches out and "
                f"has a decoder, found {encoder.metadata.architecture.name}; leave it out"
            )


def places_kept(hidden: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """Places of the patches that are not hidden, as many in every item.

    Args:
        hidden: bool (items, t, h, w), the same within each patch.
        patch: frames, rows and columns of a patch.

    Returns:
        int64 (items, kept), rising.
    """
    frames, rows, columns = patch
    patches = hidden[:, ::frames, ::rows, ::columns].flatten(1)
    count = int((~patches[0]).sum())
    return patches.int().argsort(dim=1, stable=True)[:, :count]
