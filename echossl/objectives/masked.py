"""Masked objective: paint what was hidden of a clip or a picture from what was left of it."""

import math

import torch
from torch import Tensor, nn

from echossl.config.objective import MaskedConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.encoders.base import stretched
from echossl.encoders.vit import VisionTransformer
from echossl.errors import UserError
from echossl.objectives.base import PartwiseObjective
from echossl.objectives.draws import MASK_STREAM, draw_numbers, generator
from echossl.objectives.masked_decoder import decoder_for, places_kept, require_no_decoder

# of the deviation of a patch, as in the masked autoencoder (He et al., arXiv 2111.06377)
LEAST_VARIANCE = 1e-6


class Masked(PartwiseObjective):
    """Reconstruct the pixels of hidden patches, as in SimMIM (Xie et al., arXiv 2111.09886).

    Hidden patches are replaced in the picture by one learned grey value, so that every encoder can be
    trained; one linear layer paints the pixels of each cell of the feature map. A plain vision
    transformer is not shown them at all, and a light decoder paints them (MAE, He et al., arXiv
    2111.06377). The loss is the mean squared error over the hidden pixels alone. With one frame this is
    the pre-training of Multi-OCT-SelfNet (arXiv 2409.11375), whose loss, the error summed over hidden
    pixels, divided by all pixels and by the share that is hidden, is the same number. Over several frames
    ``tube`` hides the same places in all of them (VideoMAE, Tong et al., arXiv 2203.12602), so that the
    frame before does not give them away.

    The pixels that are painted are those that the encoder would see: stretched or not, less its mean, over
    its deviation.

    Args:
        config: what is hidden, and what of the pixels is painted.
        encoder_dim: length of the encoder's vectors.
    """

    def __init__(self, config: MaskedConfig, encoder_dim: int) -> None:
        super().__init__()
        self.config = config
        self.encoder_dim = encoder_dim
        self.grey = nn.Parameter(torch.zeros(()))
        # frames, rows and columns that a cell of the feature map stands for; known once there is an encoder
        self.cell = (0, 0, 0)
        self.head: nn.Module = nn.Identity()

    def attach(self, encoder: Encoder) -> None:
        """Make the layer that paints, as large as a cell of this encoder's feature map.

        Raises:
            UserError: if patches do not fill the pictures.
        """
        metadata = encoder.metadata
        if metadata.size % self.config.patch:
            raise UserError(
                f"objective masked: patches of {self.config.patch} pixels do not fill pictures of "
                f"{metadata.size}; set patch to a divisor of it"
            )
        self._require_some(metadata.clip.num_frames, metadata.size)
        shape = (metadata.clip.num_frames, metadata.size, metadata.size)
        grid = _grid_of(encoder, (metadata.channels, *shape))
        frames, rows, columns = (math.ceil(length / cells) for length, cells in zip(shape, grid, strict=True))
        self.cell = (frames, rows, columns)
        if isinstance(encoder, VisionTransformer):
            self.head = decoder_for(encoder, self.config, seed=self.seed)
            self.grey.requires_grad = False
            return
        require_no_decoder(encoder, self.config)
        head = nn.Linear(self.encoder_dim, metadata.channels * math.prod(self.cell))
        nn.init.trunc_normal_(head.weight, std=0.02, generator=generator(MASK_STREAM, 0, self.seed, use=1))
        nn.init.zeros_(head.bias)
        self.head = head
        with torch.no_grad():
            self.grey.fill_(metadata.mean)

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """Mean squared errors over the hidden pixels, of the painting and of one grey: float32 (items, 2)."""
        clips = batch.clips[items, 0]  # one clip of each item
        drawn = self.draw(len(batch.clips), clips.shape[2:], step=batch.step)[items]
        hidden = drawn.to(clips.device)[:, None]  # (n, 1, t, h, w)
        if isinstance(encoder, VisionTransformer):
            kept = places_kept(drawn, encoder.patch).to(clips.device)
            painted = self.paint_kept(encoder, clips, kept)
        else:
            painted = self.paint(encoder, torch.where(hidden, self.grey.to(clips.dtype), clips))
        wanted = self.targets(encoder, clips)
        seen_mean = masked_mean(wanted, ~hidden)[:, None, None, None, None]
        guesses = (painted.float(), seen_mean)
        return torch.stack([masked_mean((guess - wanted).square(), hidden) for guess in guesses], dim=1)

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and ``error_of_chance``: over that of the mean grey of what is left; 1 is chance."""
        del batch
        error, chance = projections.mean(0)
        return error, {"error_of_chance": error.detach() / chance.detach().clamp_min(LEAST_VARIANCE)}

    def paint(self, encoder: Encoder, clips: Tensor) -> Tensor:
        """Clips, partly hidden (n, c, t, h, w), to pixels of the same shape as the encoder sees them."""
        features = encoder.feature_map(clips)  # (n, dim, t', h', w')
        pixels = self.head(features.movedim(1, -1))
        frames, height, width = clips.shape[2:]
        # a cell at the edge may reach beyond it
        return unfold_cells(pixels, clips.shape[1], self.cell)[:, :, :frames, :height, :width]

    def paint_kept(self, encoder: VisionTransformer, clips: Tensor, kept: Tensor) -> Tensor:
        """Clips (n, c, t, h, w), of which the patches (n, kept) are seen, to pixels of the same shape."""
        pixels = self.head(encoder.visible_tokens(clips, kept), kept)
        return unfold_cells(pixels.unflatten(1, encoder.grid(clips.shape[2:])), clips.shape[1], self.cell)

    def targets(self, encoder: Encoder, clips: Tensor) -> Tensor:
        """What is to be painted: the clips as the encoder sees them, or each patch for itself; float32."""
        clips = stretched(clips.float()) if encoder.metadata.grey == "clip_min_max" else clips.float()
        pixels = (clips - encoder.mean) / encoder.std
        return standardised_patches(pixels, self.config.patch) if self.config.normalise_patches else pixels

    def draw(self, items: int, shape: torch.Size | tuple[int, int, int], *, step: int) -> Tensor:
        """Which pixels of each item are hidden: bool (items, t, h, w), on the CPU, a function of the step.

        The number of hidden patches is the same in every item, so that the mean over items is the mean over
        pixels.
        """
        frames, height, width = shape
        times, side = self._times(frames), self.config.patch
        grid = (times, height // side, width // side)
        numbers = draw_numbers(items, math.prod(grid), stream=MASK_STREAM, step=step, seed=self.seed)
        is_hidden = numbers.argsort(1).argsort(1) < self._count(math.prod(grid))
        hidden = is_hidden.reshape(items, *grid).repeat_interleave(side, 2).repeat_interleave(side, 3)
        return hidden.repeat_interleave(frames // times, 1)

    def check(self, clip: ClipConfig) -> None:
        """Refuse masks that clips of so many frames cannot have."""
        config = self.config
        if config.mask == "random" and clip.num_frames % config.patch_frames:
            raise UserError(
                f"objective masked: patches of {config.patch_frames} frames do not fill clips of "
                f"{clip.num_frames}; set patch_frames to a divisor of it, 1 for still pictures"
            )

    def _times(self, frames: int) -> int:
        """How often in a clip other places are hidden."""
        return 1 if self.config.mask == "tube" else frames // self.config.patch_frames

    def _count(self, patches: int) -> int:
        return round(self.config.ratio * patches)

    def _require_some(self, frames: int, size: int) -> None:
        patches = self._times(frames) * (size // self.config.patch) ** 2
        if not 0 < self._count(patches) < patches:
            raise UserError(
                f"objective masked: ratio {self.config.ratio:g} of {patches} patches hides "
                f"{self._count(patches)} of them, expected some and not all; set a smaller patch"
            )


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values (n, c, t, h, w) where the mask (n, 1, t, h, w) is true: (n,)."""
    weights = mask.to(values.dtype).expand_as(values)
    return (values * weights).flatten(1).sum(1) / weights.flatten(1).sum(1)


def unfold_cells(pixels: Tensor, channels: int, cell: tuple[int, int, int]) -> Tensor:
    """Pixels of each cell, laid out in place.

    Args:
        pixels: (n, t', h', w', channels x frames x rows x columns of a cell).
        channels: of the picture.
        cell: frames, rows and columns of a cell.

    Returns:
        (n, channels, t' x frames, h' x rows, w' x columns).
    """
    times, rows, columns = pixels.shape[1:4]
    parts = pixels.reshape(-1, times, rows, columns, channels, *cell).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return parts.reshape(-1, channels, times * cell[0], rows * cell[1], columns * cell[2])


def standardised_patches(pixels: Tensor, side: int) -> Tensor:
    """Each patch of each frame less its mean, over its deviation (section 4 of arXiv 2111.06377).

    Args:
        pixels: (n, c, t, h, w), h and w multiples of ``side``.
        side: of a patch.
    """
    items, channels, frames, height, width = pixels.shape
    parts = pixels.reshape(items, channels, frames, height // side, side, width // side, side)
    mean, variance = parts.mean((4, 6), keepdim=True), parts.var((4, 6), keepdim=True)
    return ((parts - mean) / (variance + LEAST_VARIANCE).sqrt()).reshape(pixels.shape)


def _grid_of(encoder: Encoder, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Frames, rows and columns of the feature map of a clip; the encoder is left as it was."""
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        features = encoder.feature_map(encoder.mean.new_zeros(1, *shape))
    encoder.train(was_training)
    return tuple(features.shape[2:])
