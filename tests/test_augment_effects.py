"""Effects that are off by default, against slow references frame by frame, and the draws behind them."""

import hashlib
import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from echossl.augment import Augmentation, seeded_generator, to_float
from echossl.augment.streams import EFFECTS, GRAIN_STREAM, effect_draws
from echossl.config.training import AugmentConfig

OFF = {"scale": 0, "shift": 0, "rotation_degrees": 0, "gamma": 0, "gain": 0}
EVERYTHING = AugmentConfig(
    rotation_about="probe",
    noise=0.02,
    time_gain=0.5,
    attenuation=1.0,
    speckle=0.3,
    shadow=0.8,
    blur=1.2,
    narrow=0.2,
    crop_pixels=3,
    remask=True,
    flip=0.5,
)
# sha256 of what the six first effects gave before there were others, by the instructions that torch uses
DIGESTS = {
    "DEFAULT": ("62d1e3011f2606bc", "e7eab57c3cb9f269", "2689c1e77dc8d646", "02eedcc66c919829"),
    "AVX2": ("4a8e374f73d8e922", "104797366343d341", "d3b39064152b3337", "cc2e2cc789ff5b0d"),
    "AVX512": ("4a8e374f73d8e922", "104797366343d341", "d3b39064152b3337", "cc2e2cc789ff5b0d"),
}


def only(**strengths: object) -> AugmentConfig:
    return AugmentConfig.model_validate(OFF | strengths)


def pattern(*shape: int) -> Tensor:
    """Grey values from whole-number arithmetic, the same everywhere."""
    number = torch.arange(math.prod(shape))
    return ((number * number // 7 + number * 31) % 256).to(torch.uint8).view(shape)


def sector_clips(num_clips: int = 6, frames: int = 3, height: int = 40, width: int = 44) -> Tensor:
    """(clips, 1, frames, height, width): textured sectors of 80 degrees, black outside."""
    depth, angle = polar(height, width)
    inside = (np.abs(angle) < math.radians(40)) & (depth < 0.95)
    noise = np.random.default_rng(0).uniform(60, 200, (num_clips, 1, frames, height, width))
    return torch.from_numpy((noise * inside).astype(np.uint8))


def polar(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance (picture heights) and angle from the middle of the top edge, pixel by pixel."""
    depth, angle = np.empty((height, width)), np.empty((height, width))
    for row in range(height):
        for column in range(width):
            down, right = (row + 0.5) / height, (column + 0.5 - width / 2) / height
            depth[row, column], angle[row, column] = math.hypot(down, right), math.atan2(right, down)
    return depth, angle


def draws(effect: str, num_clips: int, *, seed: int = 3, step: int = 7) -> np.ndarray:
    stream, columns = EFFECTS[effect]
    return torch.rand(num_clips, columns, generator=seeded_generator(stream, seed, step)).double().numpy()


def augmented(config: AugmentConfig, clips: Tensor) -> np.ndarray:
    out = Augmentation(config, seed=3)(clips, step=7)
    assert out.shape == clips.shape
    assert out.dtype == torch.float32
    return out.numpy()


def factor_of(config: AugmentConfig, *, sides: tuple[int, int] = (40, 44), num_clips: int = 6) -> np.ndarray:
    """What an even grey is multiplied by, (clips, height, width): dark enough that nothing saturates."""
    even = torch.full((num_clips, 1, 2, *sides), 40, dtype=torch.uint8)
    out = augmented(config, even) / (40 / 255)
    np.testing.assert_array_equal(out[:, :, 0], out[:, :, 1])
    return out[:, 0, 0]


def test_the_first_six_effects_are_what_they_were() -> None:
    expected = DIGESTS.get(torch.backends.cpu.get_cpu_capability())
    if expected is None:
        pytest.skip("no digests of this processor's instructions")
    cases = (
        (AugmentConfig(), (3, 2, 1, 4, 24, 28)),
        (AugmentConfig(noise=0.05), (3, 2, 1, 4, 24, 28)),
        (AugmentConfig(gamma=0), (5, 1, 3, 2, 17, 20)),
        (AugmentConfig(), (1, 1, 2, 16, 16)),
    )
    for (config, shape), digest in zip(cases, expected, strict=True):
        out = Augmentation(config, seed=3)(pattern(*shape), step=7)
        assert hashlib.sha256(out.numpy().tobytes()).hexdigest()[:16] == digest


def test_every_new_effect_is_off_by_default() -> None:
    new = {"time_gain", "attenuation", "speckle", "shadow", "blur", "narrow", "remask", "flip", "crop_pixels"}
    assert all(not getattr(AugmentConfig(), name) for name in new)
    assert AugmentConfig().rotation_about == "centre"
    assert AugmentConfig.model_validate({"scale": 0.1, "noise": 0.02}) == AugmentConfig(noise=0.02)


def test_one_more_effect_changes_no_other_draw() -> None:
    for name in EFFECTS:
        assert torch.equal(effect_draws(name, 1, 2, range(9))[4:], effect_draws(name, 1, 2, range(4, 9)))
    streams = [stream for stream, _ in EFFECTS.values()]
    assert len({*streams, GRAIN_STREAM}) == len(streams) + 1
    clips = sector_clips()
    bright = augmented(only(attenuation=1.0), clips)
    both = augmented(only(attenuation=1.0, shadow=1.0), clips)
    np.testing.assert_allclose(
        both, bright * np.clip(factor_of(only(shadow=1.0)), 0, 1)[:, None, None], atol=1e-6
    )


def test_time_gain_equals_sliders_joined_by_half_cosines() -> None:
    depth, _ = polar(40, 44)
    sliders = 0.5 * (2 * draws("time_gain", 6) - 1)
    expected = np.empty((6, 40, 44))
    for place in np.ndindex(*expected.shape):
        where = min(depth[place[1:]], 1.0) * 7
        above = min(int(where), 6)
        weight = (1 - math.cos(math.pi * (where - above))) / 2
        pair = sliders[place[0], above : above + 2]
        expected[place] = math.exp(pair[0] * (1 - weight) + pair[1] * weight)
    np.testing.assert_allclose(factor_of(only(time_gain=0.5)), expected, rtol=1e-4)
    assert expected.min() >= math.exp(-0.5)
    assert expected.max() <= math.exp(0.5)


def test_attenuation_equals_the_exponential() -> None:
    depth, _ = polar(40, 44)
    loss = 1.3 * draws("attenuation", 6)[:, :, None]
    np.testing.assert_allclose(
        factor_of(only(attenuation=1.3)), np.exp(-loss * np.minimum(depth, 1)), rtol=1e-4
    )


def test_speckle_equals_filtered_noise_and_has_its_deviation() -> None:
    noise = np.stack(
        [torch.randn(1, 40, 44, generator=seeded_generator(GRAIN_STREAM, 3, 7, clip))[0] for clip in range(6)]
    ).astype(np.float64)
    spike = ndimage.gaussian_filter(np.eye(1, 121, 60)[0], 1.2, radius=4)
    smooth = ndimage.gaussian_filter(noise, (0, 1.2, 1.2), mode="wrap", radius=(0, 4, 4))
    smooth /= (spike**2).sum()
    expected = np.maximum(1 + 0.4 * draws("speckle", 6)[:, :, None] * smooth, 0)
    np.testing.assert_allclose(factor_of(only(speckle=0.4, speckle_grain_pixels=1.2)), expected, atol=1e-4)
    large = factor_of(only(speckle=0.2), sides=(96, 96), num_clips=8)
    np.testing.assert_allclose(large.std((1, 2)), 0.2 * draws("speckle", 8)[:, 0], rtol=0.1)
    np.testing.assert_allclose(large.mean((1, 2)), 1, atol=0.02)


def test_a_shadow_is_a_dark_band_along_the_beam() -> None:
    depth, angle = polar(40, 44)
    expected = np.empty((6, 40, 44))
    for clip, (darkness, middle, width, start) in enumerate(draws("shadow", 6)):
        off = (angle - math.radians(40) * (2 * middle - 1)) / math.radians(2 + 6 * width)
        along = np.clip((depth - 0.5 * start) / 0.05, 0, 1)
        expected[clip] = 1 - 0.9 * darkness * np.exp(-0.5 * off**2) * along
    np.testing.assert_allclose(factor_of(only(shadow=0.9)), expected, atol=1e-4)


def test_blur_equals_scipy_frame_by_frame() -> None:
    clips = sector_clips()
    expected = np.empty(clips.shape)
    for clip, deviation in enumerate(1.4 * draws("blur", 6)[:, 0]):
        for frame in range(clips.shape[2]):
            grey = clips[clip, 0, frame].numpy() / 255
            expected[clip, 0, frame] = ndimage.gaussian_filter(grey, deviation, mode="nearest", radius=5)
    np.testing.assert_allclose(augmented(only(blur=1.4), clips), expected, atol=1e-5)


def test_rotation_about_the_probe_equals_scipy_and_leaves_the_probe_in_place() -> None:
    config = only(rotation_degrees=20, scale=0.2, rotation_about="probe")
    clips = sector_clips()
    uniform = torch.rand(6, 6, generator=seeded_generator(1, 3, 7)).double().numpy() * 2 - 1
    width = clips.shape[-1]
    probe = np.array([-0.5, (width - 1) / 2])
    expected = np.empty(clips.shape)
    for clip, frame in np.ndindex(6, 3):
        zoom, angle = 1 + 0.2 * uniform[clip, 0], math.radians(20 * uniform[clip, 3])
        undo = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
        grey = clips[clip, 0, frame].numpy() / 255
        expected[clip, 0, frame] = ndimage.affine_transform(
            grey, undo, probe - undo @ probe, order=1, mode="grid-constant"
        )
    np.testing.assert_allclose(augmented(config, clips), expected, atol=2e-4)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_flip_mirrors_the_chosen_clips_alone(share: float) -> None:
    clips = sector_clips(num_clips=40)
    chosen = draws("flip", 40)[:, 0] < share
    plain = to_float(clips).numpy()
    expected = np.where(chosen[:, None, None, None, None], plain[..., ::-1], plain)
    np.testing.assert_allclose(augmented(only(flip=share), clips), expected, atol=1e-5)
    assert chosen.sum() == {0.0: 0, 1.0: 40}.get(share, chosen.sum())
    assert share in {0.0, 1.0} or 4 <= chosen.sum() <= 20


def test_a_narrower_sector_loses_its_shares_on_either_side() -> None:
    clips = sector_clips(num_clips=12, height=90, width=110)
    depth, angle = polar(90, 110)
    out = augmented(only(narrow=0.3), clips)
    for clip, shares in enumerate(0.3 * draws("narrow", 12)):
        lit = clips[clip, 0].numpy().max(0) > 0
        opening = angle[lit & (depth >= 0.5)]
        low, high = opening.min() + shares * np.array([1, -1]) * np.ptp(opening), opening.max()
        high -= shares[1] * np.ptp(opening)
        kept = (angle >= low[0]) & (angle <= high)
        np.testing.assert_allclose(out[clip], to_float(clips[clip]).numpy() * kept, atol=1e-5)
        assert 0.4 <= kept[lit].mean() < 1


def test_remasking_changes_nothing_but_what_lies_outside_the_moved_sector() -> None:
    clips = sector_clips()
    moves = {"shift": 0.2, "rotation_degrees": 20, "rotation_about": "probe"}
    moved = augmented(only(**moves), clips)
    np.testing.assert_array_equal(moved, augmented(only(**moves, remask=True), clips))
    noisy = augmented(only(**moves, noise=0.2, blur=1.0), clips)
    masked = augmented(only(**moves, noise=0.2, blur=1.0, remask=True), clips)
    reach = ndimage.binary_dilation(moved.max(2)[:, 0] > 0, np.ones((1, 3, 3)))
    outside = np.broadcast_to(~reach[:, None, None], masked.shape)
    assert (noisy[outside] > 0).mean() > 0.3
    assert (masked[outside] == 0).all()
    inside = np.broadcast_to((moved.max(2, keepdims=True) > 0), masked.shape)
    np.testing.assert_array_equal(masked[inside], noisy[inside])


def test_a_dark_chamber_is_inside_the_sector() -> None:
    clips = sector_clips()
    clips[..., 16:24, 18:26] = 0
    chamber = augmented(only(noise=0.1, remask=True), clips)[..., 16:24, 18:26]
    assert (chamber > 0).mean() > 0.3


def test_every_frame_of_a_clip_gets_the_same_effects() -> None:
    still = sector_clips(num_clips=4, frames=1).expand(4, 1, 9, 40, 44)
    out = Augmentation(EVERYTHING.model_copy(update={"noise": 0}), seed=0)(still, step=0)
    assert torch.equal(out, out[:, :, :1].expand_as(out))
    assert not torch.allclose(out[0], out[1], atol=0.02)


@pytest.mark.parametrize("config", [AugmentConfig(), EVERYTHING], ids=["default", "everything"])
def test_any_split_of_a_batch_gives_the_same_bits(config: AugmentConfig) -> None:
    clips = sector_clips(num_clips=14, height=37, width=41).view(7, 2, 1, 3, 37, 41)
    augmentation = Augmentation(config, seed=5)
    whole = augmentation(clips, step=11)
    for parts in ([1] * 7, [3, 4], [6, 1], [2, 5]):
        firsts = np.cumsum([0, *parts[:-1]])
        pieces = [
            augmentation(clips[first : first + part], step=11, first_clip=2 * int(first))
            for first, part in zip(firsts, parts, strict=True)
        ]
        assert torch.equal(torch.cat(pieces), whole)


def test_values_stay_in_range_without_gradient_or_a_trace_in_the_global_generator() -> None:
    before = torch.get_rng_state()
    strong = EVERYTHING.model_copy(update={"time_gain": 3.0, "speckle": 3.0})
    out = Augmentation(strong, seed=0)(sector_clips(), step=0)
    assert 0 <= out.min() <= out.max() <= 1
    assert not out.requires_grad
    assert torch.equal(before, torch.get_rng_state())
    assert (
        Augmentation(EVERYTHING, seed=0)(torch.zeros(2, 1, 2, 16, 16, dtype=torch.uint8), step=0)
        .isfinite()
        .all()
    )


def test_trap_09_a_flip_must_be_asked_for() -> None:
    """With every other effect at work, a mark on the left stays on the left."""
    config = EVERYTHING.model_copy(update={"flip": 0.0, "narrow": 0.0, "noise": 0.0})
    clips = torch.zeros(64, 1, 1, 49, 49, dtype=torch.uint8)
    clips[..., 22:26, 8:12] = 255
    for step in range(5):
        moved = Augmentation(config, seed=0)(clips, step=step)
        columns = (moved.sum(-2) * torch.arange(49.0)).sum(-1) / moved.sum((-1, -2))
        assert columns.max() < 24


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_device_changes_nothing_but_rounding() -> None:
    config = EVERYTHING.model_copy(update={"remask": False, "narrow": 0.0})
    clips = sector_clips()
    there = Augmentation(config, seed=0)(clips.cuda(), step=3)
    torch.testing.assert_close(there.cpu(), Augmentation(config, seed=0)(clips, step=3), atol=1e-4, rtol=1e-4)
