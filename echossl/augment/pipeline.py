"""The augmentation of a batch: what the scanner does, then where the picture moves, then grey values."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from echossl.augment.acquisition import (
    attenuation_factor,
    shadow_factor,
    speckle_factor,
    time_gain_factor,
)
from echossl.augment.blur import gaussian_blur
from echossl.augment.geometry import Polar, affine, cropped, flipped, narrowed, resample, sector_mask
from echossl.augment.streams import (
    EFFECTS,
    GAIN,
    GAMMA,
    GRAIN_STREAM,
    NOISE_STREAM,
    base_draws,
    effect_draws,
    normal_pictures,
)
from echossl.config.training import AugmentConfig

# as many as fit into a processor's cache: should not affect results, only speed (twice as fast)
CLIPS_AT_A_TIME_ON_CPU = 4


def to_float(clips: Tensor) -> Tensor:
    """Grey values 0..255 (uint8, any shape) as float32 in 0..1.

    Raises:
        TypeError: if the clips are not uint8, so that nothing is divided by 255 twice.
    """
    if clips.dtype != torch.uint8:
        raise TypeError(f"clips must be uint8, found {clips.dtype}")
    return clips.to(torch.float32).div_(255.0)


class Augmentation:
    """Random changes of whole clips; no flip unless it is asked for.

    In this order: time gain, attenuation, speckle and shadow, as seen from the probe; a narrower sector;
    crop; flip; zoom, rotation, shift; blur; gamma; gain; noise; black outside the moved sector. The draws are
    a pure function of (seed, step, number of the clip in the batch) and are made on the CPU, so that every
    device, process and resumed run sees the same ones.

    Args:
        config: how strong.
        seed: seed of the run.
    """

    def __init__(self, config: AugmentConfig, *, seed: int) -> None:
        self.config = config
        self.seed = seed

    @torch.no_grad()
    def __call__(self, clips: Tensor, *, step: int, first_clip: int = 0) -> Tensor:
        """Augment a batch, or a stretch of it.

        Args:
            clips: uint8 (..., channels, frames, height, width), on any device.
            step: which update this batch belongs to.
            first_clip: number of the first of these clips in the whole batch, where only a part is given.

        Returns:
            float32 in 0..1 of the same shape, also under autocast.
        """
        num_clips, device = math.prod(clips.shape[:-4]), clips.device
        # time and channels folded together: one two-dimensional resampling serves all frames of a clip
        frames = clips.reshape(num_clips, -1, *clips.shape[-2:])
        numbers = range(first_clip, first_clip + num_clips)
        at_a_time = CLIPS_AT_A_TIME_ON_CPU if device.type == "cpu" else max(num_clips, 1)
        out = torch.empty(frames.shape, dtype=torch.float32, device=device)
        with torch.autocast(device.type, enabled=False):
            draws, polar = self._draws(step, numbers, clips.shape[-2:]), Polar.of(clips.shape[-2:], device)
            draws = {name: values.to(device) for name, values in draws.items()}
            for first in range(0, num_clips, at_a_time):
                part = slice(first, first + at_a_time)
                own = {name: values[part] for name, values in draws.items()}
                out[part] = self._augmented(to_float(frames[part]), own, polar, step, numbers[part])
        return out.view(clips.shape)

    def _draws(self, step: int, numbers: range, sides: torch.Size) -> dict[str, Tensor]:
        """All random numbers but those per pixel, and the maps ``theta`` made of them; each (clips, ...)."""
        base = base_draws(self.seed, step, numbers)
        draws = {name: effect_draws(name, self.seed, step, numbers) for name in EFFECTS}
        theta = affine(self.config, base, *sides)
        if self.config.flip:
            theta = flipped(theta, draws["flip"][:, 0] < self.config.flip)
        return {"base": base, "theta": theta, **draws}

    def _augmented(
        self, frames: Tensor, draws: Mapping[str, Tensor], polar: Polar, step: int, numbers: range
    ) -> Tensor:
        """Augment float frames (clips, channels x frames, height, width), which may be changed in place."""
        config, theta = self.config, draws["theta"]
        sector = sector_mask(frames) if config.narrow or config.remask else None
        factor = self._acquisition(frames, draws, polar, step, numbers)
        if factor is not None:
            frames = frames.mul_(factor).clamp_(max=1)
        if sector is not None and config.narrow:
            sector = narrowed(sector, polar, config.narrow * draws["narrow"])
            frames = frames.mul_(sector)
        if config.crop_pixels:
            frames = cropped(frames, draws["crop"], config.crop_pixels)
            sector = None if sector is None else cropped(sector, draws["crop"], config.crop_pixels)
        moved = resample(frames, theta)
        if config.blur:
            moved = gaussian_blur(moved, config.blur * draws["blur"][:, 0], most=config.blur)
        moved = self._grey_values_(moved, draws["base"])
        if config.noise:
            noise = normal_pictures(NOISE_STREAM, self.seed, step, numbers, moved.shape[1:])
            moved += config.noise * noise.to(moved.device)
        if sector is not None and config.remask:
            moved *= resample(sector, theta) > 0
        return moved.clamp_(0, 1)

    def _acquisition(
        self, frames: Tensor, draws: Mapping[str, Tensor], polar: Polar, step: int, numbers: range
    ) -> Tensor | None:
        """The product of all factors of the scanner, (clips, 1, height, width); None without any."""
        config, factors = self.config, []
        if config.time_gain:
            factors.append(time_gain_factor(draws["time_gain"], polar, config.time_gain))
        if config.attenuation:
            factors.append(attenuation_factor(draws["attenuation"], polar, config.attenuation))
        if config.speckle:
            sides = torch.Size((1, *frames.shape[-2:]))
            normal = normal_pictures(GRAIN_STREAM, self.seed, step, numbers, sides).to(frames.device)
            factors.append(
                speckle_factor(normal, draws["speckle"], config.speckle, config.speckle_grain_pixels)
            )
        if config.shadow:
            factors.append(shadow_factor(draws["shadow"], polar, config.shadow))
        return math.prod(factors[1:], start=factors[0]) if factors else None

    def _grey_values_(self, frames: Tensor, draws: Tensor) -> Tensor:
        """Gamma, then gain, in place; frames (clips, channels x frames, height, width)."""
        if self.config.gamma:
            exponent = torch.exp(self.config.gamma * draws[:, GAMMA])
            frames.pow_(exponent[:, None, None, None])
        if self.config.gain:
            frames *= (1 + self.config.gain * draws[:, GAIN])[:, None, None, None]
        return frames
