import pytest
import torch
from torch import nn
from torchvision.models.video import r3d_18

from echossl.config.encoder import Compact3DConfig, EncoderConfig, R3D18Config
from echossl.config.video import ClipConfig
from echossl.encoders import ENCODERS, Encoder, EncoderMetadata, build_encoder
from echossl.encoders.compact3d import space_time_to_depth
from echossl.errors import UserError

NETWORKS = [R3D18Config(width=4), Compact3DConfig(width=4)]


def metadata(architecture: EncoderConfig, **changes: object) -> EncoderMetadata:
    values = {"clip": ClipConfig(num_frames=8), "size": 32, "mean": 0.2, "std": 0.25} | changes
    return EncoderMetadata.model_validate({"architecture": architecture, **values})


def make(architecture: EncoderConfig, **changes: object) -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_encoder(metadata(architecture, **changes))


def test_r3d_18_equals_torchvision() -> None:
    ours = make(R3D18Config(), channels=3, mean=0.0, std=1.0).eval()
    theirs = r3d_18(weights=None).eval()
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")}
    for name, value in state.items():  # statistics as after training, so that every part counts
        if name.endswith(("running_mean", "running_var")):
            value.add_(torch.rand_like(value, dtype=torch.float32) * 0.1)
    ours.load_state_dict(state)
    clips = torch.rand(1, 3, 8, 32, 32)
    trunk = nn.Sequential(theirs.stem, theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4)
    with torch.inference_mode():
        expected = trunk(clips)
        torch.testing.assert_close(ours.feature_map(clips), expected)
        torch.testing.assert_close(ours(clips), theirs.avgpool(expected).flatten(1))
    assert sum(parameter.numel() for parameter in ours.parameters()) == 33_371_472 - (512 * 400 + 400)


def test_compact3d_is_the_small_network() -> None:
    encoder = make(Compact3DConfig(), clip=ClipConfig(num_frames=12), size=48)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 900_384
    assert encoder.dim == 128
    assert encoder.feature_map(torch.rand(2, 1, 12, 48, 48)).shape == (2, 128, 1, 3, 3)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_one_face(architecture: EncoderConfig) -> None:
    encoder = make(architecture).eval()
    clips = torch.rand(3, 1, 8, 32, 32)
    features = encoder.feature_map(clips)
    assert features.shape[:2] == (3, encoder.dim)
    torch.testing.assert_close(encoder(clips), features.mean((2, 3, 4)))
    tokens = encoder.tokens(clips)
    assert tokens.shape == (3, features[0, 0].numel(), encoder.dim)
    torch.testing.assert_close(tokens.mean(1), encoder(clips))
    torch.testing.assert_close(tokens[1, 1], features[1].flatten(1)[:, 1])


@pytest.mark.parametrize("architecture", NETWORKS)
def test_float32_out_under_autocast(architecture: EncoderConfig) -> None:
    encoder = make(architecture)
    with torch.autocast("cpu", torch.bfloat16):
        out = encoder(torch.rand(2, 1, 8, 32, 32))
    assert out.dtype == torch.float32
    out.square().sum().backward()


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_parameter_is_trained_by_a_whole_clip(architecture: EncoderConfig) -> None:
    """Trap 19: no convolution may get a gradient of exactly zero in part of its taps."""
    encoder = make(architecture, clip=ClipConfig(num_frames=16), size=64)
    encoder(torch.rand(4, 1, 16, 64, 64)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        if parameter.ndim == 5 and not name.startswith("layer4"):  # the last map can have a single frame
            assert (parameter.grad.flatten(2).abs().sum((0, 1)) > 0).all(), name


@pytest.mark.parametrize("architecture", NETWORKS)
def test_mean_and_std_are_used(architecture: EncoderConfig) -> None:
    """Trap 21: what is stored with the weights is what the input is normalised with."""
    clips = torch.rand(2, 1, 8, 32, 32)
    shifted = make(architecture, mean=0.3, std=0.5).eval()
    plain = make(architecture, mean=0.0, std=1.0).eval()
    torch.testing.assert_close(shifted(clips), plain((clips - 0.3) / 0.5))
    assert not {"mean", "std"} & shifted.state_dict().keys()


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_seed_decides_the_weights(architecture: EncoderConfig) -> None:
    first, second = make(architecture).state_dict(), make(architecture).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_colour_clips_and_single_images() -> None:
    assert make(Compact3DConfig(width=4), channels=3).eval()(torch.rand(1, 3, 4, 16, 16)).shape == (1, 32)
    assert make(R3D18Config(width=4)).eval()(torch.rand(1, 1, 1, 32, 32)).shape == (1, 32)


def test_odd_clips_are_refused_in_words() -> None:
    with pytest.raises(UserError, match=r"7 frames of 32 x 32 .* expected even .*r3d_18"):
        make(Compact3DConfig(), clip=ClipConfig(num_frames=7))
    with pytest.raises(UserError, match="8 frames of 32 x 31"):
        make(Compact3DConfig(width=4))(torch.rand(1, 1, 8, 32, 31))


def test_integer_clips_are_refused() -> None:
    with pytest.raises(TypeError, match="to_float"):
        make(Compact3DConfig(width=4))(torch.zeros(1, 1, 8, 32, 32, dtype=torch.uint8))


def test_space_time_to_depth_loses_nothing() -> None:
    clips = torch.rand(2, 3, 4, 6, 8)
    out = space_time_to_depth(clips)
    assert out.shape == (2, 24, 2, 3, 4)
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    for channel, frame, row, column in [(0, 0, 0, 0), (2, 3, 5, 7), (1, 2, 3, 4)]:
        position = channel * 8 + (frame % 2) * 4 + (row % 2) * 2 + column % 2
        there = out[:, position, frame // 2, row // 2, column // 2]
        assert torch.equal(there, clips[:, channel, frame, row, column])


def test_every_network_of_the_settings_can_be_built() -> None:
    assert {"r3d_18", "compact3d"} < set(ENCODERS)
