import numpy as np
import pytest
import torch
from torch import Tensor, nn

from echossl.config.encoder import Compact3DConfig, R3D18Config
from echossl.config.video import ClipConfig
from echossl.encoders.base import Encoder, EncoderMetadata
from echossl.encoders.compact3d import Compact3D
from echossl.encoders.r3d import R3D18
from echossl.errors import UserError
from echossl.saliency.methods import cell_pixels, grad_cam


def _metadata(architecture=None, num_frames: int = 4, size: int = 8) -> EncoderMetadata:
    clip = ClipConfig(num_frames=num_frames)
    return EncoderMetadata(architecture=architecture or Compact3DConfig(), clip=clip, size=size)


class OneConvolution(Encoder):
    """A map of 2 x 4 x 4 cells that can be computed by hand, and one more layer in front."""

    def __init__(self) -> None:
        super().__init__(_metadata(), dim=3)
        self.early = nn.Conv3d(1, 2, 1)
        self.late = nn.Conv3d(2, 3, 2, stride=2)
        self.vector = nn.Linear(3, 3)

    def trunk(self, clips: Tensor) -> Tensor:
        return self.late(torch.tanh(self.early(clips)))


class SoftMaximum(OneConvolution):
    """Pools with a log-sum-exp over the cells: forward is not the mean of the feature map."""

    def forward(self, clips: Tensor) -> Tensor:
        tokens = self.tokens(clips).to(self.vector.weight.dtype)
        return self.vector(tokens.mul(3).logsumexp(dim=1))


class PassedBy(OneConvolution):
    def forward(self, clips: Tensor) -> Tensor:
        return self.trunk(clips).mean(dim=(2, 3, 4))


def _setup(kind=OneConvolution, seed: int = 0, dim: int = 3):
    torch.manual_seed(seed)
    encoder = kind().eval()
    clips = torch.rand(2, 1, 4, 8, 8)
    return encoder, nn.Linear(dim, 1), clips


def test_linear_case_equals_the_map_computed_by_hand() -> None:
    encoder, head, clips = _setup()
    features = encoder.feature_map(clips).detach().numpy()  # (2, 3, 2, 4, 4)
    weights = head.weight.detach().numpy()[0]
    evidence = np.zeros((2, 2, 4, 4))
    for item, time, row, column in np.ndindex(evidence.shape):
        cells = 2 * 4 * 4  # the mean pool hands every cell 1/32 of the head's weight
        total = sum(weights[c] / cells * features[item, c, time, row, column] for c in range(3))
        evidence[item, time, row, column] = max(0.0, total)
    expected = torch.nn.functional.interpolate(
        torch.tensor(evidence)[:, None], size=(4, 8, 8), mode="trilinear", align_corners=False
    )[:, 0].numpy()
    expected = expected / expected.max(axis=(1, 2, 3), keepdims=True)
    assert np.allclose(grad_cam(encoder, head, clips), expected, atol=1e-6)


@pytest.mark.parametrize("layer", [None, "late"])
def test_channel_weights_equal_finite_differences_of_the_logit(layer: str | None) -> None:
    # shifting a whole channel by h changes the logit by h times the sum of its gradients
    encoder, head, clips = _setup(SoftMaximum, seed=1)
    encoder, head, clips = encoder.double(), head.double(), clips.double()
    features = encoder.feature_map(clips).detach().double()
    step = 1e-6

    def logits(shifted: Tensor) -> Tensor:
        tokens = shifted.flatten(2).transpose(1, 2)
        return head(encoder.vector(tokens.mul(3).logsumexp(dim=1)))[:, 0].detach()

    weights = torch.zeros(2, 3, dtype=torch.float64)
    for channel in range(3):
        shift = torch.zeros_like(features)
        shift[:, channel] = step
        weights[:, channel] = (logits(features + shift) - logits(features - shift)) / (2 * step) / 32
    evidence = torch.relu((weights[:, :, None, None, None] * features).sum(dim=1, keepdim=True))
    expected = torch.nn.functional.interpolate(
        evidence, size=(4, 8, 8), mode="trilinear", align_corners=False
    )[:, 0]
    expected = expected / expected.amax(dim=(1, 2, 3), keepdim=True)
    assert evidence.max() > 0
    # the feature map itself is handed out in float32
    assert torch.allclose(grad_cam(encoder, head, clips, layer=layer).double(), expected, atol=1e-5)


def test_earlier_layer_equals_automatic_differentiation_written_out() -> None:
    encoder, head, clips = _setup(SoftMaximum, seed=5)
    features = encoder.early(clips).detach().requires_grad_()
    pooled = encoder.late(torch.tanh(features)).flatten(2).transpose(1, 2).mul(3).logsumexp(dim=1)
    head(encoder.vector(pooled)).sum().backward()
    weights = features.grad.mean(dim=(2, 3, 4), keepdim=True)
    expected = torch.relu((weights * features).sum(dim=1)).detach()
    expected = (expected / expected.amax(dim=(1, 2, 3), keepdim=True)).nan_to_num()
    assert torch.allclose(grad_cam(encoder, head, clips, layer="early"), expected, atol=1e-6)
    # an all-zero map would agree with anything
    assert expected.max() == 1


@pytest.mark.parametrize(
    ("kind", "architecture"), [(Compact3D, Compact3DConfig()), (R3D18, R3D18Config(width=4))]
)
@pytest.mark.parametrize("layer", [None, "layer2", "layer1.0.conv1.1", "stem"])
def test_real_networks_give_maps_of_the_clip_size(kind, architecture, layer: str | None) -> None:
    torch.manual_seed(0)
    encoder = kind(_metadata(architecture, num_frames=8, size=32)).eval()
    head = nn.Linear(encoder.dim, 1)
    maps = grad_cam(encoder, head, torch.rand(3, 1, 8, 32, 32), layer=layer)
    assert maps.shape == (3, 8, 32, 32)
    assert maps.dtype == torch.float32
    assert maps.min() >= 0
    assert set(maps.amax(dim=(1, 2, 3)).tolist()) <= {0.0, 1.0}


def test_clips_of_a_batch_do_not_touch_each_other() -> None:
    encoder, head, clips = _setup(SoftMaximum)
    together = grad_cam(encoder, head, clips)
    alone = torch.cat([grad_cam(encoder, head, clip[None]) for clip in clips])
    assert torch.allclose(together, alone, atol=1e-6)


def test_clip_without_evidence_stays_zero() -> None:
    encoder, head, clips = _setup()
    nn.init.zeros_(head.weight)
    assert torch.equal(grad_cam(encoder, head, clips), torch.zeros(2, 4, 8, 8))


def test_evidence_against_the_class_is_not_shown() -> None:
    encoder, head, clips = _setup()
    with torch.no_grad():
        forwards = grad_cam(encoder, head, clips)
        head.weight.neg_()
        backwards = grad_cam(encoder, head, clips)
    # where one map is at its largest, the other has nothing
    assert (backwards[forwards == 1] == 0).all()


def test_no_trace_is_left_behind() -> None:
    encoder, head, clips = _setup()
    before = encoder(clips)
    grad_cam(encoder, head, clips)
    grad_cam(encoder, head, clips, layer="early")
    assert "feature_map" not in vars(encoder)
    assert not encoder.early._forward_hooks
    assert all(parameter.grad is None for parameter in [*encoder.parameters(), *head.parameters()])
    assert torch.equal(encoder(clips), before)


def test_frozen_encoder_has_a_map_too() -> None:
    encoder, head, clips = _setup()
    expected = grad_cam(encoder, head, clips)
    encoder.requires_grad_(False)
    assert torch.equal(grad_cam(encoder, head, clips), expected)


def test_trap_31_coarse_last_layer_is_said_and_can_be_left() -> None:
    encoder = Compact3D(_metadata(num_frames=12, size=48)).eval()
    clips = torch.rand(1, 1, 12, 48, 48)
    assert cell_pixels(encoder, clips) == 16
    assert cell_pixels(encoder, clips, layer="layer2") == 4


@pytest.mark.parametrize(
    ("layer", "words"),
    [("layer9", "no such part; the outermost are early, late, vector"), ("vector", "expected five")],
)
def test_wrong_layer_is_a_clear_error(layer: str, words: str) -> None:
    encoder, head, clips = _setup(SoftMaximum)
    with pytest.raises(UserError, match=words):
        grad_cam(encoder, head, clips, layer=layer)
    assert not encoder.vector._forward_hooks


def test_encoder_that_passes_its_feature_map_by_is_refused() -> None:
    encoder, head, clips = _setup(PassedBy)
    with pytest.raises(UserError, match="layer feature_map: forward does not go through it"):
        grad_cam(encoder, head, clips)
    assert grad_cam(encoder, head, clips, layer="late").max() == 1


def test_training_mode_is_refused_because_the_batch_would_mix() -> None:
    encoder, head, clips = _setup()
    with pytest.raises(ValueError, match="eval"):
        grad_cam(encoder.train(), head, clips)
