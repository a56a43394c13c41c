import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.encoder import Compact3DConfig, EncoderConfig, R3D18Config
from echossl.config.video import ClipConfig
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.convolution import Conv3d

# kernel, stride, padding, heights and widths that occur
KINDS = {
    "block": ((3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 2, 3, 6)),
    "shrinking block": ((3, 3, 3), (2, 2, 2), (1, 1, 1), (1, 2, 3, 6)),
    "shortcut": ((1, 1, 1), (2, 2, 2), (0, 0, 0), (1, 2, 3, 6)),
    "stem": ((3, 7, 7), (1, 2, 2), (1, 3, 3), (2, 8, 15)),
    "long in time": ((7, 1, 1), (1, 1, 1), (3, 0, 0), (2, 8)),
    "long in time, shrinking": ((7, 1, 1), (2, 1, 1), (3, 0, 0), (2, 8)),
    "fast to slow": ((7, 1, 1), (4, 1, 1), (3, 0, 0), (2, 8)),
    "fast stem": ((5, 7, 7), (1, 2, 2), (2, 3, 3), (2, 12)),
}
# of SlowFast, S3D and X3D, whose kernels are as long as a clip
LONG = (1, 2, 3, 4, 5, 6, 7, 8, 9)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("name", KINDS)
def test_bfloat16_gradients_equal_those_of_float64(name: str) -> None:
    """Two frames, or one row with a stride, give garbage in plain PyTorch 2.12 on AVX-512 BF16."""
    kernel, stride, padding, sides = KINDS[name]
    for num_frames, side in itertools.product(LONG if kernel[0] > 3 else (1, 2, 3, 4), sides):
        torch.manual_seed(0)
        layer = Conv3d(8, 16, kernel, stride=stride, padding=padding, bias=False)
        layer = layer.to(memory_format=torch.channels_last_3d)
        clips = torch.randn(4, 8, num_frames, side, side).bfloat16()
        clips = clips.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(clips)
        weighting = torch.randn(out.shape)
        (out.float() * weighting).sum().backward()
        exact_weight = layer.weight.detach().double().requires_grad_()
        exact_clips = clips.detach().double().contiguous().requires_grad_()
        exact = F.conv3d(exact_clips, exact_weight, stride=stride, padding=padding)
        (exact * weighting).sum().backward()
        errors = (
            relative_error(out, exact),
            relative_error(clips.grad, exact_clips.grad),
            relative_error(layer.weight.grad, exact_weight.grad),
        )
        assert max(errors) < 0.02, (num_frames, side, errors)


def test_depthwise_convolutions_over_short_clips() -> None:
    for num_frames in range(1, 8):
        torch.manual_seed(num_frames)
        layer = Conv3d(24, 24, (5, 1, 1), padding=(2, 0, 0), groups=24, bias=False)
        clips = torch.randn(4, 24, num_frames, 8, 8).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(clips)
        weighting = torch.randn(out.shape)
        (out.float() * weighting).sum().backward()
        weight = layer.weight.detach().double().requires_grad_()
        exact = F.conv3d(clips.double(), weight, padding=(2, 0, 0), groups=24)
        (exact * weighting).sum().backward()
        assert relative_error(layer.weight.grad, weight.grad) < 0.02, num_frames


@pytest.mark.parametrize("num_frames", [1, 2, 3])
def test_float32_is_the_plain_convolution(num_frames: int) -> None:
    torch.manual_seed(0)
    layer = Conv3d(4, 6, 3, padding=1)
    plain = nn.Conv3d(4, 6, 3, padding=1)
    plain.load_state_dict(layer.state_dict())
    for side in (1, 5):
        clips = torch.rand(2, 4, num_frames, side, side)
        torch.testing.assert_close(layer(clips), plain(clips))


@pytest.mark.parametrize("architecture", [Compact3DConfig(), R3D18Config(width=16)])
@pytest.mark.parametrize("num_frames", [4, 12, 16])
def test_every_layer_learns_the_same_in_bfloat16(architecture: EncoderConfig, num_frames: int) -> None:
    """Each layer's weight gradient points where that of float32 points."""
    torch.manual_seed(0)
    clip = ClipConfig(num_frames=num_frames)
    encoder = build_encoder(EncoderMetadata(architecture=architecture, clip=clip, size=32))
    encoder = encoder.to(memory_format=torch.channels_last_3d)
    clips, direction = torch.rand(8, 1, num_frames, 32, 32), torch.randn(8, encoder.dim)
    gradients = []
    for enabled in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            (encoder(clips) * direction).sum().backward()
        gradients.append({name: value.grad.clone() for name, value in encoder.named_parameters()})
    for name, expected in gradients[0].items():
        if expected.ndim == 5:
            cosine = F.cosine_similarity(expected.flatten(), gradients[1][name].flatten(), dim=0)
            assert cosine > 0.9, f"{name}: {cosine:.3f}"


@pytest.mark.parametrize("channels", [4, 64])
def test_one_frame_under_a_large_kernel_is_right_in_bfloat16(channels: int) -> None:
    torch.manual_seed(0)
    layer = Conv3d(1, channels, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
    layer = layer.to(memory_format=torch.channels_last_3d)
    for _ in range(5):
        clips = torch.rand(4, 1, 1, 48, 48).to(memory_format=torch.channels_last_3d)
        expected = torch.nn.functional.conv3d(clips, layer.weight, None, layer.stride, layer.padding)
        (wanted,) = torch.autograd.grad(expected.sum(), layer.weight)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = layer(clips)
        (gradient,) = torch.autograd.grad(found.float().sum(), layer.weight)
        torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)
        torch.testing.assert_close(gradient, wanted, rtol=0.02, atol=2.0)
