import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.encoder import Compact3DConfig, MViTConfig, R3D18Config, Swin3DConfig, TwoStreamConfig
from echossl.config.saliency import (
    CamSettings,
    IntegratedGradientsSettings,
    OcclusionSettings,
    RolloutSettings,
    SmoothGradSettings,
)
from echossl.config.video import ClipConfig
from echossl.encoders import build_encoder
from echossl.encoders.base import Encoder, EncoderMetadata
from echossl.errors import UserError
from echossl.saliency.methods import METHODS, saliency_map
from echossl.saliency.methods.baseline import baseline
from echossl.saliency.methods.integrated_gradients import attributions
from echossl.saliency.methods.occlusion import blocks
from echossl.saliency.methods.score import Score
from echossl.saliency.methods.smooth_grad import smooth_gradient

SHAPE = (4, 8, 8)
ALL = (
    *(CamSettings(name=name) for name in ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam")),
    IntegratedGradientsSettings(steps=3),
    SmoothGradSettings(samples=3),
    OcclusionSettings(stretches=2, squares=2),
)


class Curved(Encoder):
    """Two layers with something bent between and behind them, in double precision for finite differences."""

    def __init__(self) -> None:
        metadata = EncoderMetadata(
            architecture=Compact3DConfig(), clip=ClipConfig(num_frames=4), size=8, mean=0.4, std=0.5
        )
        super().__init__(metadata, dim=3)
        self.early = nn.Conv3d(1, 2, 3, padding=1, stride=(1, 2, 2))
        self.late = nn.Conv3d(2, 3, 2, stride=2)

    def trunk(self, clips: Tensor) -> Tensor:
        return self.late(torch.tanh(self.early(clips)))

    def feature_map(self, clips: Tensor) -> Tensor:
        return self.trunk(self.normalised(clips))

    def forward(self, clips: Tensor) -> Tensor:
        return self.feature_map(clips).mul(3).logsumexp(dim=(2, 3, 4))


@pytest.fixture
def curved():
    torch.manual_seed(3)
    encoder = Curved().double().eval()
    return encoder, nn.Linear(3, 1).double(), torch.rand(2, 1, *SHAPE, dtype=torch.float64)


def slow_gradient(encoder, head, clips: Tensor, layer: str, at: Tensor | None = None) -> np.ndarray:
    """The logit's gradient by the cells of a layer by central differences, one cell after another."""
    score = Score(encoder, head, layer)
    cells = score.cells(clips) if at is None else at
    gradient = np.zeros(cells.shape)
    for place in np.ndindex(*cells.shape[1:]):
        moved = []
        for step in (1e-5, -1e-5):
            other = cells.clone()
            other[:, *place] += step
            moved.append(score.of_cells(clips, other).numpy())
        gradient[:, *place] = (moved[0] - moved[1]) / 2e-5
    return gradient


def upsampled(cells: np.ndarray) -> np.ndarray:
    return F.interpolate(
        torch.tensor(cells)[:, None].float(), size=SHAPE, mode="trilinear", align_corners=False
    )[:, 0].numpy()


@pytest.mark.parametrize("layer", ["input", "early", "feature_map"])
def test_gradients_are_those_of_finite_differences(curved, layer: str) -> None:
    encoder, head, clips = curved
    cells, gradient = Score(encoder, head, layer).gradient(clips)
    assert torch.equal(cells, Score(encoder, head, layer).cells(clips))
    assert np.allclose(gradient.numpy(), slow_gradient(encoder, head, clips, layer), atol=1e-8)


@pytest.mark.parametrize("layer", ["early", "late", "feature_map"])
@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam"])
def test_class_activation_maps_equal_their_formulas_place_by_place(curved, name: str, layer: str) -> None:
    encoder, head, clips = curved
    activations = Score(encoder, head, layer).cells(clips).numpy()
    gradient = slow_gradient(encoder, head, clips, layer)
    expected = np.zeros((len(activations), *activations.shape[2:]))
    for item, *place in np.ndindex(expected.shape):
        total = 0.0
        for channel in range(activations.shape[1]):
            own, slopes = activations[item, channel], gradient[item, channel]
            match name:
                case "grad_cam":
                    weight = slopes.mean()
                case "grad_cam_plus_plus":
                    shares = slopes**2 / (2 * slopes**2 + own.sum() * slopes**3)
                    weight = (shares * np.maximum(slopes, 0)).sum()
                case "hires_cam":
                    weight = slopes[*place]
                case "layer_cam":
                    weight = max(slopes[*place], 0)
            total += weight * own[*place]
        expected[item, *place] = max(total, 0)
    found = saliency_map(encoder, head, clips, CamSettings(name=name), layer=layer).numpy()
    assert np.allclose(found, upsampled(expected), atol=1e-6)
    assert found.max() > 0


def test_a_linear_head_on_the_mean_makes_grad_cam_and_hires_cam_one() -> None:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=8), size=32)
    encoder = build_encoder(metadata).eval()
    head, clips = nn.Linear(encoder.dim, 1), torch.rand(2, 1, 8, 32, 32)
    plain, fine = (
        saliency_map(encoder, head, clips, CamSettings(name=name)) for name in ("grad_cam", "hires_cam")
    )
    assert torch.allclose(plain, fine, atol=1e-6)
    assert plain.max() > 0


@pytest.mark.parametrize("layer", ["input", "early", "feature_map"])
def test_integrated_gradients_equal_a_slow_sum_and_add_up_to_the_score(curved, layer: str) -> None:
    encoder, head, clips = curved
    settings = IntegratedGradientsSettings(steps=2, baseline="mean")
    score = Score(encoder, head, layer)
    start, end = (score.cells(one) for one in (baseline(clips, "mean"), clips))
    total = np.zeros(end.shape)
    for step in range(2):
        at = start + (step + 0.5) / 2 * (end - start)
        total += slow_gradient(encoder, head, clips, layer, at) / 2
    found = attributions(score, clips, settings)
    assert np.allclose(found.numpy(), (end - start).numpy() * total, atol=1e-8)
    exact = attributions(score, clips, settings.model_copy(update={"steps": 200})).sum(dim=(1, 2, 3, 4))
    rise = score.of(clips) - score.of(baseline(clips, "mean"))
    assert torch.allclose(exact, rise, atol=1e-4)


def test_integrated_gradients_of_a_linear_score_are_exact_with_one_step(curved) -> None:
    encoder, head, clips = curved
    encoder.forward = lambda clips: encoder.early(clips).mean(dim=(2, 3, 4)) @ torch.ones(2, 3).double()
    settings = IntegratedGradientsSettings(steps=1, baseline="black")
    found = attributions(Score(encoder, head, "input"), clips, settings)
    assert np.allclose(found.numpy(), clips.numpy() * slow_gradient(encoder, head, clips, "input"), atol=1e-8)


def test_smooth_grad_is_the_mean_over_the_same_noise_for_every_clip(curved) -> None:
    encoder, head, clips = curved
    clips[1] *= 0.3  # another range of values, so another deviation
    settings = SmoothGradSettings(samples=2, noise=0.2, seed=4)
    generator = torch.Generator().manual_seed(4)
    expected = np.zeros(clips.shape)
    for _ in range(2):
        noise = torch.randn(1, *SHAPE, generator=generator).double()
        spans = torch.stack([clip.max() - clip.min() for clip in clips])[:, None, None, None, None]
        expected += slow_gradient(encoder, head, clips + 0.2 * spans * noise, "input") / 2
    score = Score(encoder, head, "input")
    assert np.allclose(smooth_gradient(score, clips, settings).numpy(), expected, atol=1e-8)
    found = saliency_map(encoder, head, clips, settings).numpy()
    assert np.allclose(found, np.abs(expected[:, 0]), atol=1e-6)


@pytest.mark.parametrize("name", ["blurred", "mean", "black"])
def test_occlusion_is_a_loop_over_blocks(curved, name: str) -> None:
    encoder, head, clips = curved
    empty = baseline(clips, name)
    expected = np.zeros((2, *SHAPE))
    for start in (0, 2):
        for top, bottom in ((0, 3), (3, 5), (5, 8)):
            for left, right in ((0, 3), (3, 5), (5, 8)):
                other = clips.clone()
                block = (slice(start, start + 2), slice(top, bottom), slice(left, right))
                other[:, :, *block] = empty[:, :, *block]
                with torch.no_grad():
                    fall = (head(encoder(clips)) - head(encoder(other)))[:, 0].clamp_min(0)
                expected[:, *block] = fall.numpy()[:, None, None, None]
    settings = OcclusionSettings(stretches=2, squares=3, baseline=name)
    found = saliency_map(encoder, head, clips, settings).numpy()
    assert np.allclose(found, expected, atol=1e-6)
    assert found.max() > 0


def test_blocks_tile_every_cell_once_and_are_no_more_than_the_cells() -> None:
    for size in ((4, 8, 8), (1, 3, 3), (12, 7, 48)):
        covered = np.zeros(size, dtype=int)
        for block in blocks(size, OcclusionSettings(stretches=4, squares=5)):
            covered[*block] += 1
        assert (covered == 1).all()
    assert len(list(blocks((1, 3, 3), OcclusionSettings(stretches=4, squares=8)))) == 9


def test_blurred_baseline_keeps_the_brightness_and_loses_the_structure() -> None:
    clips = torch.zeros(1, 1, 2, 48, 48)
    clips[..., 20:28, 20:28] = 1
    blurred = baseline(clips, "blurred")
    assert blurred.mean() == pytest.approx(float(clips.mean()), rel=0.02)
    assert blurred.max() < 0.4
    flat = torch.full((1, 1, 2, 16, 16), 0.3)
    assert torch.allclose(baseline(flat, "blurred"), flat)
    assert not clips[..., 0, 0].any()  # what is given stays as it is


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: settings.name)
@pytest.mark.parametrize(
    "architecture",
    [
        Compact3DConfig(width=4),
        Compact3DConfig(width=4, motion="beside"),
        Compact3DConfig(width=4, motion="only"),
        R3D18Config(width=4),
        TwoStreamConfig(),
    ],
    ids=lambda a: a.name,
)
def test_maps_of_real_networks_have_the_clips_size_and_are_deterministic(architecture, settings) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(
        EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=8), size=32)
    ).eval()
    head, clips = nn.Linear(encoder.dim, 1), torch.rand(2, 1, 8, 32, 32)
    for parameter in encoder.parameters():
        parameter.requires_grad_(requires_grad=False)
    maps = saliency_map(encoder, head, clips, settings)
    assert maps.shape == (2, 8, 32, 32)
    assert maps.dtype == torch.float32
    assert maps.min() >= 0
    assert torch.isfinite(maps).all()
    assert torch.equal(maps, saliency_map(encoder, head, clips, settings))
    alone = torch.cat([saliency_map(encoder, head, clip[None], settings) for clip in clips])
    assert torch.allclose(maps, alone, rtol=1e-3, atol=1e-5 * float(maps.max()))
    assert not [part for part in encoder.modules() if part._forward_hooks]


@pytest.mark.parametrize(
    ("architecture", "layer", "side"),
    [
        (Swin3DConfig(), "network.features.2", 4),
        (Swin3DConfig(), "network.patch_embed.proj", 8),
        (MViTConfig(), "network.blocks.2", 4),
    ],
)
def test_layers_of_transformers_are_read_with_their_places(architecture, layer: str, side: int) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(
        EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=4), size=32)
    ).eval()
    head, clips = nn.Linear(encoder.dim, 1), torch.rand(1, 1, 4, 32, 32)
    score = Score(encoder, head, layer)
    cells = score.cells(clips)
    assert cells.shape[0] == 1
    assert cells.shape[2:] == (2, side, side)
    # cells that are put back as they were change nothing
    assert torch.allclose(score.of_cells(clips, cells), score.of(clips), atol=1e-6)
    assert not torch.allclose(
        score.of_cells(clips, cells + torch.randn_like(cells)), score.of(clips), atol=1e-6
    )
    assert saliency_map(encoder, head, clips, CamSettings(), layer=layer).shape == (1, 4, 32, 32)


@pytest.mark.parametrize("settings", ALL, ids=lambda settings: settings.name)
def test_wrong_layers_and_training_mode_are_refused_by_every_method(curved, settings) -> None:
    encoder, head, clips = curved
    with pytest.raises(UserError, match="no such part; the outermost are early, late"):
        saliency_map(encoder, head, clips, settings, layer="leyer4")
    with pytest.raises(ValueError, match="eval"):
        saliency_map(encoder.train(), head, clips, settings)


def test_every_method_of_the_settings_is_in_the_table_and_the_other_way_round() -> None:
    assert set(METHODS) == {settings.name for settings in (*ALL, RolloutSettings())}


def test_captum_finds_the_same(curved) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed")
    encoder, head, clips = curved
    settings = IntegratedGradientsSettings(steps=8, baseline="mean")
    found = attributions(Score(encoder, head, "input"), clips, settings)
    other = captum.IntegratedGradients(lambda clips: head(encoder(clips))[:, 0])
    expected = other.attribute(clips, baselines=baseline(clips, "mean"), n_steps=8, method="riemann_middle")
    assert torch.allclose(found, expected, atol=1e-8)
