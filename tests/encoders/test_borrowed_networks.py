"""Networks of torchvision and pytorchvideo behind the one face, against their own forward passes."""

import itertools
import sys
from importlib import import_module

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from echossl.config.encoder import EncoderConfig
from echossl.config.video import ClipConfig
from echossl.encoders import ENCODERS, Encoder, EncoderMetadata, build_encoder
from echossl.encoders.borrowed import first_convolutions
from echossl.encoders.convolution import Conv3d
from echossl.encoders.limits import ClipLimits
from echossl.encoders.pytorchvideo_networks import HUB
from echossl.errors import UserError

TORCHVISION = ["mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t"]
BORROWED = [*TORCHVISION, *HUB]
FRAMES, SIZE = 8, 32


def make(
    name: str, *, num_frames: int = FRAMES, size: int = SIZE, channels: int = 3, **more: object
) -> Encoder:
    if name in HUB:
        pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    settings = TypeAdapter(EncoderConfig).validate_python({"name": name, **more})
    clip = ClipConfig(num_frames=num_frames)
    return build_encoder(
        EncoderMetadata(architecture=settings, clip=clip, size=size, channels=channels, mean=0.4, std=0.2)
    )


def plain_network(name: str) -> nn.Module:
    """The network as its own package makes it, with statistics and biases as after training."""
    torch.manual_seed(1)
    if name in HUB:
        network = getattr(import_module(f"pytorchvideo.models.hub.{HUB[name]}"), name)()
    else:
        network = getattr(import_module("torchvision.models.video"), name)()
    for value in network.state_dict().values():
        if value.ndim == 1 and value.is_floating_point():
            value.add_(torch.rand_like(value) * 0.1)
    return network.eval()


def plain_vector(network: nn.Module, name: str, clips: Tensor) -> Tensor:
    """What the package's own forward hands to its last linear layers, on clips that are normalised."""
    vectors = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        vectors.append(inputs[0])

    if name.startswith("x3d"):
        pool = network.blocks[5].pool
        pool.pool = nn.AdaptiveAvgPool3d(1)
        pool.post_conv.register_forward_pre_hook(keep)
    elif name == "slowfast_r50":
        network.blocks[5].pool = nn.ModuleList([nn.AdaptiveAvgPool3d(1), nn.AdaptiveAvgPool3d(1)])
        network.blocks[6].proj.register_forward_pre_hook(keep)
        slow = torch.linspace(0, clips.shape[2] - 1, clips.shape[2] // 4).long()
        clips = [clips.index_select(2, slow), clips]
    elif name in HUB:
        network.blocks[5].pool = nn.AdaptiveAvgPool3d(1)
        network.blocks[5].proj.register_forward_pre_hook(keep)
    else:
        if name == "s3d":
            network.avgpool = nn.AdaptiveAvgPool3d(1)
        if name == "mvit_v2_s":  # its forward knows one size, which it is told here
            network.pos_encoding.temporal_size = clips.shape[2] // 2
            network.pos_encoding.spatial_size = (clips.shape[3] // 4, clips.shape[4] // 4)
        last = {"s3d": "classifier", "mvit_v2_s": "head", "swin3d_t": "head"}.get(name, "fc")
        network.get_submodule(last).register_forward_pre_hook(keep)
    network(clips)
    return vectors[0].flatten(1)


@pytest.mark.parametrize("name", [*TORCHVISION, "x3d_s", "slow_r50", "csn_r101", "slowfast_r50"])
def test_features_are_those_of_the_package(name: str) -> None:
    """And grey clips give what the same picture in three colours gives."""
    more = {"pooling": "class_token"} if name == "mvit_v2_s" else {}
    num_frames = 16 if name == "slowfast_r50" else FRAMES
    encoder = make(name, num_frames=num_frames, **more).eval()
    plain = plain_network(name)
    state = {f"network.{key}": value for key, value in plain.state_dict().items()}
    head = set(state) - encoder.state_dict().keys()
    assert len(head) in {2, 3}, head  # the classifier, and the linear layer of x3d before it
    encoder.load_state_dict({key: value for key, value in state.items() if key not in head})
    clips = torch.rand(2, 1, num_frames, SIZE, SIZE).repeat(1, 3, 1, 1, 1)
    coloured = clips * torch.tensor([1.0, 0.8, 0.5]).view(3, 1, 1, 1)
    with torch.inference_mode():
        expected = plain_vector(plain, name, (coloured - 0.4) / 0.2)
        torch.testing.assert_close(encoder(coloured), expected, rtol=1e-4, atol=1e-5)
        grey = make(name, num_frames=num_frames, channels=1, **more).eval()
        ours = encoder.state_dict()
        for key, value in grey.state_dict().items():
            value.copy_(ours[key] if ours[key].shape == value.shape else ours[key].sum(1, keepdim=True))
        torch.testing.assert_close(grey(clips[:, :1]), encoder(clips), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", BORROWED)
def test_one_face_and_own_convolutions(name: str) -> None:
    with torch.device("meta"):
        encoder = make(name, channels=1).eval()
        clips = torch.rand(3, 1, FRAMES, SIZE, SIZE)
    features = encoder.feature_map(clips)
    assert features.shape[:2] == (3, encoder.dim)
    assert encoder(clips).shape == (3, encoder.dim)
    assert encoder.tokens(clips).shape == (3, features[0, 0].numel(), encoder.dim)
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv3d)]
    assert all(type(layer) is Conv3d for layer in convolutions)
    grey = [layer for layer in convolutions if layer.weight.shape[1] == 1 and layer.groups == 1]
    assert len(grey) == (2 if name == "slowfast_r50" else 1)
    assert not first_convolutions(encoder)
    with pytest.raises(TypeError, match="to_float"):
        encoder(clips.to(torch.uint8))


@pytest.mark.parametrize("name", ["mvit_v2_s", "x3d_xs", "slowfast_r50", "swin3d_t"])
def test_the_vector_is_the_mean_of_the_feature_map(name: str) -> None:
    encoder = make(name).eval()
    clips = torch.rand(2, 3, FRAMES, SIZE, SIZE)
    with torch.inference_mode():
        features = encoder.feature_map(clips)
        torch.testing.assert_close(encoder(clips), features.mean((2, 3, 4)))
        torch.testing.assert_close(encoder.tokens(clips)[1], features[1].flatten(1).T)


@pytest.mark.parametrize("name", [name for name in BORROWED if name not in {"x3d_s", "x3d_m"}])
def test_the_stated_limits_are_those_of_the_network(name: str) -> None:
    """On tensors without content: what is within the limits works, what is not does not."""
    with torch.device("meta"):
        encoder = make(name, num_frames=16, size=64).eval()
        limits, encoder.limits = encoder.limits, ClipLimits()
        for num_frames, size in itertools.chain(
            ((frames, 48) for frames in (1, 4, 5, 13)),
            ((8, size) for size in (1, 16, 17, 45)),
        ):
            allowed = limits.nearest_frames(num_frames) == num_frames and limits.least_pixels <= size
            clips = torch.rand(1, 3, num_frames, size, size)
            if allowed:
                assert encoder(clips).shape == (1, encoder.dim), (num_frames, size)
            else:
                with pytest.raises(RuntimeError):
                    encoder(clips)


@pytest.mark.parametrize(
    ("name", "num_frames", "size", "message"),
    [
        (
            "s3d",
            4,
            48,
            "4 frames of 48 x 48 .* at least 5 frames .* nearest that works is 5 frames of 48 x 48",
        ),
        ("s3d", 16, 16, "16 frames of 16 x 16 .* nearest that works is 16 frames of 17 x 17"),
        ("slowfast_r50", 14, 48, "a multiple of 4 frames; the nearest that works is 16 frames"),
        ("slowfast_r50", 2, 48, "nearest that works is 4 frames"),
    ],
)
def test_clips_that_do_not_fit_are_refused_when_built(
    name: str, num_frames: int, size: int, message: str
) -> None:
    with torch.device("meta"), pytest.raises(UserError, match=message):
        make(name, num_frames=num_frames, size=size)


def test_clips_that_do_not_fit_are_refused_when_seen() -> None:
    with torch.device("meta"):
        encoder = make("s3d")
        with pytest.raises(UserError, match="encoder s3d: found clips of 3 frames"):
            encoder(torch.rand(1, 3, 3, 32, 32))
        with pytest.raises(UserError, match="channels = 2, expected 1 or 3"):
            make("s3d", channels=2)


def test_settings_reach_the_network() -> None:
    with torch.device("meta"):
        deep = make("mvit_v2_s", stochastic_depth=0.3)
        assert deep.network.blocks[-1].stochastic_depth.p == pytest.approx(0.3)
        deep = make("swin3d_t", stochastic_depth=0.0)
        assert deep.network.features[-1][-1].stochastic_depth.p == 0
        fast = make("slowfast_r50", slow_every=2, num_frames=6)
        assert fast.feature_map(torch.rand(1, 3, 6, 32, 32)).shape == (1, 2304, 3, 1, 1)


def test_every_network_of_the_settings_is_known() -> None:
    names = set()
    for family in TypeAdapter(EncoderConfig).json_schema()["$defs"].values():
        name = family["properties"]["name"]
        names |= set(name.get("enum", [name.get("const")]))
    assert names == set(ENCODERS)
    assert set(BORROWED) < names


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorchvideo", None)
    for module in [name for name in sys.modules if name.startswith("pytorchvideo.")]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=r"encoder x3d_s: .*pip install 'echossl\[pytorchvideo\]'"):
        make_without_check("x3d_s")


def make_without_check(name: str) -> Encoder:
    settings = TypeAdapter(EncoderConfig).validate_python({"name": name})
    return build_encoder(EncoderMetadata(architecture=settings, clip=ClipConfig(), size=32))
