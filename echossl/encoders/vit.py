"""A plain vision transformer for pictures and clips (arXiv 2010.11929), its weights named as in timm."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from echossl.config.encoder import ViTConfig
from echossl.encoders.base import Encoder, EncoderMetadata, settings_of
from echossl.encoders.convolution import Conv3d
from echossl.encoders.motion import input_channels
from echossl.encoders.transformer import (
    NORM_EPSILON,
    TransformerBlock,
    initialise_linear,
    resized_positions,
    resized_times,
    sine_positions,
)
from echossl.errors import UserError


class PatchEmbedding(nn.Module):
    """Patches to tokens. Of one frame the kernel is 2-D, as in files of picture networks, else 3-D."""

    def __init__(self, channels: int, dim: int, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch = patch
        self.proj: nn.Conv2d | Conv3d
        if patch[0] == 1:
            self.proj = nn.Conv2d(channels, dim, patch[1:], stride=patch[1:])
        else:
            self.proj = Conv3d(channels, dim, patch, stride=patch)
        nn.init.xavier_uniform_(self.proj.weight.view(dim, -1))

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w) to (batch, dim, t / frames, h / rows, w / columns of a patch)."""
        if self.patch[0] > 1:
            tubelets: Tensor = self.proj(clips)
            return tubelets
        frames = self.proj(clips.transpose(1, 2).flatten(0, 1))
        patches: Tensor = frames.unflatten(0, (clips.shape[0], clips.shape[2])).transpose(1, 2)
        return patches


class VisionTransformer(Encoder):
    """Tokens of patches, or of tubelets of a few frames, with a class token and registers if wanted.

    Positions in the picture begin as sines and are trained; positions in time (``time_embed``, which picture
    networks do not have) begin at zero, so that a network that starts from one of pictures gives for a still
    clip what that one gives for the picture. Both are resized for clips of another size.
    """

    other_names: ClassVar[Mapping[str, str]] = {"reg_token": "register_tokens"}

    def __init__(self, metadata: EncoderMetadata) -> None:
        settings = settings_of(metadata, ViTConfig)
        dim = settings.width
        self.patch = (settings.patch_frames, settings.patch, settings.patch)
        self.registers = settings.registers
        grid = _require_grid(self.patch, (metadata.clip.num_frames, metadata.size, metadata.size))
        super().__init__(metadata, dim=dim)
        self.class_token = settings.pooling == "class_token"
        channels = input_channels(metadata.architecture, metadata.channels)
        self.patch_embed = PatchEmbedding(channels, dim, self.patch)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        positions = sine_positions((1, *grid[1:]), dim)
        self.pos_embed = nn.Parameter(torch.cat([torch.zeros(1, dim), positions])[None])
        if settings.registers:
            self.reg_token = nn.Parameter(torch.randn(1, settings.registers, dim) * 0.02)
        if grid[0] > 1:
            self.time_embed = nn.Parameter(torch.zeros(1, grid[0], dim))
        self.blocks = nn.ModuleList(
            TransformerBlock(
                dim,
                settings.heads,
                layer_scale=settings.layer_scale,
                left_out=settings.stochastic_depth * number / max(settings.depth - 1, 1),
            )
            for number in range(settings.depth)
        )
        self.norm = nn.LayerNorm(dim, eps=NORM_EPSILON)
        initialise_linear(self.blocks)

    def grid(self, shape: torch.Size | tuple[int, ...]) -> tuple[int, int, int]:
        """Patches of a clip of (frames, height, width), along each.

        Raises:
            UserError: if patches do not fill it.
        """
        return _require_grid(self.patch, shape)

    def trunk(self, clips: Tensor) -> Tensor:
        """(batch, channels, t, h, w), normalised, to (batch, dim, t', h', w'), a cell per patch.

        Raises:
            UserError: if patches do not fill the clips.
        """
        grid = self.grid(clips.shape[2:])
        tokens = self._through(self._patches(clips))[:, 1 + self.registers :]
        return tokens.transpose(1, 2).reshape(len(clips), self.dim, *grid)

    def visible_tokens(self, clips: Tensor, kept: Tensor) -> Tensor:
        """Tokens of the patches that are kept; the others are never seen (MAE, arXiv 2111.06377).

        Args:
            clips: float in 0..1, (batch, channels, frames, height, width).
            kept: (batch, patches kept) int64, places in the grid, time first, then rows.

        Returns:
            float32 (batch, patches kept, dim).
        """
        patches = self._patches(self.normalised(clips))
        patches = patches.gather(1, kept[:, :, None].expand(-1, -1, self.dim))
        return self._through(patches)[:, 1 + self.registers :].float()

    def forward(self, clips: Tensor) -> Tensor:
        """The mean of the feature map, or the class token: float32 (batch, dim)."""
        if not self.class_token:
            return super().forward(clips)
        return self._through(self._patches(self.normalised(clips)))[:, 0].float()

    def vectors_and_tokens(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` and :meth:`tokens` give, of one pass: (batch, dim), (batch, tokens, dim)."""
        if not self.class_token:
            return super().vectors_and_tokens(clips)
        tokens = self._through(self._patches(self.normalised(clips))).float()
        return tokens[:, 0], tokens[:, 1 + self.registers :]

    def stages(self) -> list[list[nn.Module]]:
        """Patches with what stands beside them, then every block; the norm goes with the last."""
        beside = nn.ParameterList(self.parameters(recurse=False))
        return [
            [self.patch_embed, beside],
            *([block] for block in self.blocks[:-1]),
            [self.blocks[-1], self.norm],
        ]

    def refit(self, name: str, found: Tensor) -> Tensor:
        """Weights of a network of another size: positions are resized, a flat kernel gets frames.

        A kernel that gets frames gives for a still clip what it gave for the picture.
        """
        if name == "patch_embed.proj.weight" and found.ndim == 4 and self.patch[0] > 1:
            return found[:, :, None].repeat(1, 1, self.patch[0], 1, 1) / self.patch[0]
        if name == "pos_embed" and found.ndim == 3 and found.shape[1] > 0:
            beside = found.shape[1] - math.isqrt(found.shape[1]) ** 2
            if beside == 0:  # timm's networks whose class token has no position
                found = torch.cat([found.new_zeros(1, 1, found.shape[2]), found], dim=1)
            side = math.isqrt(self.pos_embed.shape[1] - 1)
            return resized_positions(found, side, side) if beside <= 1 else found
        if name == "time_embed" and found.ndim == 3:
            return resized_times(found, self.time_embed.shape[1])
        return found

    def refit_back(self, name: str, change: Tensor, shape: torch.Size) -> Tensor:
        """Frames of a kernel are summed, positions are resized back; see the base class.

        Positions that had to be resized come back nearly, as there are more or fewer of them.
        """
        if name == "patch_embed.proj.weight" and len(shape) < change.ndim:
            return change.sum(dim=2)
        if name == "pos_embed" and change.shape != shape:
            side = math.isqrt(shape[1])
            resized = resized_positions(change, side, side)
            return resized if resized.shape == shape else resized[:, 1:]  # no position of the class token
        if name == "time_embed":
            return resized_times(change, shape[1])
        return change

    def state_for(self, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """With the class token's position in the token itself, for files that have none; see the base."""
        state = self.state_dict()
        positions = shapes.get("pos_embed")
        if positions is not None and math.isqrt(positions[1]) ** 2 == positions[1]:
            first = state["pos_embed"][:, :1]
            state["cls_token"] = state["cls_token"] + first
            state["pos_embed"] = torch.cat([torch.zeros_like(first), state["pos_embed"][:, 1:]], dim=1)
        return state

    def _patches(self, clips: Tensor) -> Tensor:
        """Normalised clips to tokens with their positions: (batch, t' x h' x w', dim)."""
        times, height, width = self.grid(clips.shape[2:])
        positions = resized_positions(self.pos_embed, height, width)[:, 1:]
        patches: Tensor = self.patch_embed(clips).flatten(3).permute(0, 2, 3, 1)  # (batch, t', h' x w', dim)
        patches = patches + positions[:, None]
        if hasattr(self, "time_embed"):
            patches = patches + resized_times(self.time_embed, times)[:, :, None]
        return patches.flatten(1, 2)

    def _through(self, patches: Tensor) -> Tensor:
        """(batch, patches, dim) through all blocks: (batch, 1 + registers + patches, dim)."""
        first = [self.cls_token + self.pos_embed[:, :1]]
        first += [self.reg_token] if self.registers else []
        tokens = torch.cat([*(token.expand(len(patches), -1, -1) for token in first), patches], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed


def _require_grid(patch: tuple[int, int, int], shape: torch.Size | tuple[int, ...]) -> tuple[int, int, int]:
    frames, height, width = shape
    if frames % patch[0] or height % patch[1] or width % patch[2]:
        raise UserError(
            f"encoder vit: found clips of {frames} frames of {height} x {width} pixels, which patches "
            f"of {patch[0]} frames of {patch[1]} x {patch[2]} do not fill; change clip.num_frames or the "
            "size of the clip store, or set encoder.patch and encoder.patch_frames (1 for still pictures)"
        )
    return frames // patch[0], height // patch[1], width // patch[2]
