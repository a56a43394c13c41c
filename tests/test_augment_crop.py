"""Moving by whole pixels, by padding with zeros and cropping, against a loop over the pixels."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from echossl.augment import Augmentation, to_float
from echossl.augment.geometry import cropped
from echossl.augment.streams import effect_draws
from echossl.config.training import AugmentConfig

STILL = {"scale": 0, "shift": 0, "rotation_degrees": 0, "gamma": 0, "gain": 0}
PIXELS, SEED, STEP = 8, 3, 7


def noise(num_clips: int = 6, height: int = 24, width: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (num_clips, 1, 3, height, width), dtype=torch.uint8, generator=generator)


def slow_crop(clip: np.ndarray, top: int, left: int) -> np.ndarray:
    """One clip (c, t, h, w): each pixel comes from (top - 8, left - 8) further on, or is black."""
    out = np.zeros_like(clip)
    height, width = clip.shape[-2:]
    for row in range(height):
        for column in range(width):
            y, x = row + top - PIXELS, column + left - PIXELS
            if 0 <= y < height and 0 <= x < width:
                out[..., row, column] = clip[..., y, x]
    return out


def offsets(num_clips: int) -> np.ndarray:
    return np.floor(effect_draws("crop", SEED, STEP, range(num_clips)).numpy() * (2 * PIXELS + 1)).astype(int)


def test_equals_padding_and_cropping_pixel_by_pixel() -> None:
    clips = noise()
    config = AugmentConfig.model_validate(STILL | {"crop_pixels": PIXELS})
    out = Augmentation(config, seed=SEED)(clips, step=STEP)
    expected = [
        slow_crop(clip, *place) for clip, place in zip(to_float(clips).numpy(), offsets(6), strict=True)
    ]
    np.testing.assert_allclose(out.numpy(), np.stack(expected), atol=1e-6)


def test_every_value_stays_as_it_was() -> None:
    frames = torch.rand(5, 4, 11, 9, generator=torch.Generator().manual_seed(1))
    draws = effect_draws("crop", SEED, STEP, range(5))
    moved = cropped(frames, draws, PIXELS).numpy()
    expected = [slow_crop(clip, *place) for clip, place in zip(frames.numpy(), offsets(5), strict=True)]
    np.testing.assert_array_equal(moved, np.stack(expected))


def test_every_place_is_reached_and_none_beyond() -> None:
    clips = torch.zeros(2000, 1, 1, 21, 21, dtype=torch.uint8)
    clips[..., 10, 10] = 255
    config = AugmentConfig.model_validate(STILL | {"crop_pixels": 2})
    out = Augmentation(config, seed=0)(clips, step=0)[:, 0, 0]
    brightest = out.flatten(1).argmax(1)
    rows, columns = brightest // 21 - 10, brightest % 21 - 10
    counts = np.zeros((5, 5))
    np.add.at(counts, (rows.numpy() + 2, columns.numpy() + 2), 1)
    assert counts.sum() == 2000
    assert counts.min() > 2000 / 25 * 0.6


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_it_comes_before_the_flip(flip: float) -> None:
    clips = noise()
    crop = AugmentConfig.model_validate(STILL | {"crop_pixels": PIXELS})
    alone = Augmentation(crop, seed=SEED)(clips, step=STEP)
    both = Augmentation(crop.model_copy(update={"flip": flip}), seed=SEED)(clips, step=STEP)
    torch.testing.assert_close(both, alone.flip(-1) if flip else alone, atol=1e-5, rtol=0)


def test_the_sector_moves_along() -> None:
    clips = torch.zeros(8, 1, 2, 24, 24, dtype=torch.uint8)
    clips[..., 8:16, 8:16] = 200
    config = AugmentConfig.model_validate(STILL | {"crop_pixels": 6, "noise": 0.3, "remask": True})
    lit = Augmentation(config, seed=SEED)(clips, step=STEP).amax(dim=(1, 2)).numpy() > 0
    plain = config.model_copy(update={"noise": 0.0, "remask": False})
    square = Augmentation(plain, seed=SEED)(clips, step=STEP).amax(dim=(1, 2)).numpy() > 0.1
    assert lit[square].mean() > 0.9
    assert not lit[~ndimage.binary_dilation(square, np.ones((1, 3, 3)))].any()
