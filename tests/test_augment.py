import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from echossl.augment import DRAW_STREAM, Augmentation, seeded_generator, to_float
from echossl.config.training import AugmentConfig

STILL = AugmentConfig(scale=0, shift=0, rotation_degrees=0, gamma=0, gain=0, noise=0)


def speckle(*shape: int, seed: int = 0) -> Tensor:
    """Smooth uint8 pictures, so that resampling is well conditioned."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, sigma=(0,) * (len(shape) - 2) + (1.5, 1.5))
    return torch.from_numpy((127 + 90 * smooth / np.abs(smooth).max()).astype(np.uint8))


def draws_of(augmentation: Augmentation, step: int, num_clips: int) -> np.ndarray:
    return (
        torch.rand(num_clips, 6, generator=seeded_generator(DRAW_STREAM, augmentation.seed, step)) * 2 - 1
    ).numpy()


def slow_reference(clip: np.ndarray, draw: np.ndarray, config: AugmentConfig) -> np.ndarray:
    """One clip (c, t, h, w), frame by frame in SciPy, from the words of the settings."""
    height, width = clip.shape[-2:]
    zoom, angle = 1 + config.scale * draw[0], math.radians(config.rotation_degrees * draw[3])
    shift = config.shift * (width / 2) * draw[[2, 1]]  # rows, columns
    # where an output pixel comes from: undo the shift, the rotation, the zoom, all about the centre
    undo = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = centre - undo @ (centre + shift)
    out = np.empty(clip.shape)
    for channel in range(clip.shape[0]):
        for frame in range(clip.shape[1]):
            grey = clip[channel, frame].astype(float) / 255
            moved = ndimage.affine_transform(grey, undo, offset, order=1, mode="grid-constant")
            moved = np.clip(moved, 0, 1) ** math.exp(config.gamma * draw[4])
            out[channel, frame] = np.clip(moved * (1 + config.gain * draw[5]), 0, 1)
    return out


@pytest.mark.parametrize("shape", [(3, 2, 1, 4, 48, 48), (2, 1, 3, 2, 40, 56), (2, 1, 1, 30, 20)])
def test_equals_scipy_frame_by_frame(shape: tuple[int, ...]) -> None:
    config = AugmentConfig()
    clips = speckle(*shape)
    augmentation = Augmentation(config, seed=3)
    out = augmentation(clips, step=7)
    assert out.shape == clips.shape
    assert out.dtype == torch.float32
    flat = clips.flatten(0, -5).numpy()
    draws = draws_of(augmentation, 7, len(flat))
    expected = np.stack([slow_reference(clip, draw, config) for clip, draw in zip(flat, draws, strict=True)])
    np.testing.assert_allclose(out.reshape(flat.shape).numpy(), expected, atol=2e-4)


def test_every_frame_of_a_clip_gets_the_same_transform() -> None:
    still = speckle(1, 1, 48, 48).expand(4, 2, 1, 12, 48, 48)
    out = Augmentation(AugmentConfig(), seed=0)(still, step=0)
    assert torch.equal(out, out[:, :, :, :1].expand_as(out))
    # and every clip another one
    assert not torch.allclose(out[0, 0], out[0, 1], atol=0.02)
    assert not torch.allclose(out[0, 0], out[1, 0], atol=0.02)


def test_draws_depend_on_seed_step_and_index_alone() -> None:
    clips = speckle(8, 2, 1, 4, 32, 32)
    augmentation = Augmentation(AugmentConfig(noise=0.05), seed=1)
    first = augmentation(clips, step=5)
    torch.rand(100)  # the global generator plays no part
    assert torch.equal(first, augmentation(clips, step=5))
    assert torch.equal(first, Augmentation(AugmentConfig(noise=0.05), seed=1)(clips, step=5))
    assert torch.equal(first[:3], augmentation(clips[:3], step=5))
    assert not torch.equal(first, augmentation(clips, step=6))
    assert not torch.equal(first, Augmentation(AugmentConfig(noise=0.05), seed=2)(clips, step=5))


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Augmentation(AugmentConfig(noise=0.1), seed=1)(speckle(2, 1, 4, 16, 16), step=0)
    assert torch.equal(before, torch.get_rng_state())


def test_all_off_is_the_plain_conversion() -> None:
    clips = torch.arange(256, dtype=torch.uint8).view(1, 1, 1, 16, 16)
    out = Augmentation(STILL, seed=0)(clips, step=0)
    torch.testing.assert_close(out, to_float(clips), atol=1e-6, rtol=0)
    assert torch.equal(to_float(clips).flatten(), torch.arange(256) / 255)


def test_trap_9_no_flip_by_default() -> None:
    """A mark in the left upper corner region stays left and up, whatever is drawn."""
    clips = torch.zeros(64, 1, 1, 49, 49, dtype=torch.uint8)
    clips[..., 12:16, 12:16] = 255
    out = Augmentation(AugmentConfig(), seed=0)
    for step in range(10):
        moved = out(clips, step=step)
        rows = (moved.sum(-1) * torch.arange(49.0)).sum(-1) / moved.sum((-1, -2))
        columns = (moved.sum(-2) * torch.arange(49.0)).sum(-1) / moved.sum((-1, -2))
        assert rows.max() < 24
        assert columns.max() < 24


def test_strengths_are_reached_and_not_passed() -> None:
    clips = torch.full((500, 1, 1, 8, 8), 128, dtype=torch.uint8)
    gain = Augmentation(STILL.model_copy(update={"gain": 0.3}), seed=0)(clips, step=0)
    factors = gain[:, 0, 0, 4, 4] / (128 / 255)
    assert 0.7 <= factors.min() < 0.71
    assert 1.29 < factors.max() <= 1.3001
    gamma = Augmentation(STILL.model_copy(update={"gamma": 0.5}), seed=0)(clips, step=0)
    exponents = torch.log(gamma[:, 0, 0, 4, 4]) / math.log(128 / 255)
    assert math.exp(-0.5) <= exponents.min() + 1e-4 < 0.62
    assert 1.63 < exponents.max() <= math.exp(0.5) + 1e-4


def test_outside_is_black_and_values_stay_in_range() -> None:
    white = torch.full((64, 1, 2, 32, 32), 255, dtype=torch.uint8)
    out = Augmentation(AugmentConfig(noise=0.2), seed=0)(white, step=0)
    assert out.min() >= 0
    assert out.max() <= 1
    far = Augmentation(STILL.model_copy(update={"shift": 1.0}), seed=0)(white, step=0)
    assert (far == 0).any()


def test_noise_has_its_deviation_and_differs_between_frames() -> None:
    grey = torch.full((4, 1, 6, 32, 32), 128, dtype=torch.uint8)
    out = Augmentation(STILL.model_copy(update={"noise": 0.05}), seed=0)(grey, step=0)
    assert out.std().item() == pytest.approx(0.05, rel=0.05)
    assert not torch.equal(out[:, :, 0], out[:, :, 1])


def test_float32_under_autocast() -> None:
    clips = speckle(4, 1, 4, 32, 32)
    augmentation = Augmentation(AugmentConfig(), seed=0)
    plain = augmentation(clips, step=0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = augmentation(clips, step=0)
    assert mixed.dtype == torch.float32
    assert torch.equal(plain, mixed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_does_not_change_the_draws() -> None:
    clips = speckle(4, 2, 1, 4, 32, 32)
    augmentation = Augmentation(AugmentConfig(noise=0.02), seed=0)
    there = augmentation(clips.cuda(), step=3)
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), augmentation(clips, step=3), atol=1e-5, rtol=1e-5)


def test_float_clips_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        to_float(torch.zeros(2, 2))
