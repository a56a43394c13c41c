"""ResNet-50 and Swin V2 of torchvision, against their own forward passes; timm's files fit too."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from echossl.config.encoder import EncoderConfig
from echossl.config.objective import MaskedConfig
from echossl.config.training import HardwareConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.picture_networks import PICTURE_NETWORKS
from echossl.encoders.start import load_start
from echossl.errors import UserError
from echossl.objectives import build_objectives
from echossl.training.hardware import Hardware

SIZE = 64


def make(name: str, *, channels: int = 3, frames: int = 1, **more: object) -> Encoder:
    settings: EncoderConfig = TypeAdapter(EncoderConfig).validate_python({"name": name, **more})
    clip = ClipConfig(num_frames=frames)
    torch.manual_seed(0)
    return build_encoder(
        EncoderMetadata(architecture=settings, clip=clip, size=SIZE, channels=channels, mean=0.4, std=0.2)
    )


def plain_network(name: str) -> nn.Module:
    """The network as its own package makes it, with statistics and biases as after training."""
    torch.manual_seed(1)
    network: nn.Module = getattr(import_module("torchvision.models"), name)()
    for value in network.state_dict().values():
        if value.ndim == 1 and value.is_floating_point():
            value.add_(torch.rand_like(value) * 0.1)
    return network.eval()


def without_content(shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Tensors of these shapes that take no room in a file."""
    return {name: torch.full((1,), 0.5).expand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", ["resnet50", "swin_v2_t"])
def test_features_are_those_of_torchvision(name: str) -> None:
    """And grey pictures give what the same picture in three colours gives."""
    network, encoder = plain_network(name), make(name).eval()
    state = {f"network.{key}": value for key, value in network.state_dict().items()}
    head = set(state) - encoder.state_dict().keys()
    assert len(head) == 2
    encoder.load_state_dict({key: value for key, value in state.items() if key not in head})
    setattr(network, "fc" if name == "resnet50" else "head", nn.Identity())
    pictures = torch.rand(2, 1, SIZE, SIZE).repeat(1, 3, 1, 1)
    coloured = pictures * torch.tensor([1.0, 0.8, 0.5]).view(3, 1, 1)
    with torch.inference_mode():
        expected = network((coloured - 0.4) / 0.2)
        torch.testing.assert_close(encoder(coloured[:, :, None]), expected, rtol=1e-4, atol=1e-5)
        assert encoder.feature_map(coloured[:, :, None]).shape == (2, encoder.dim, 1, 2, 2)
        grey, ours = make(name, channels=1).eval(), encoder.state_dict()
        for key, value in grey.state_dict().items():
            value.copy_(ours[key] if ours[key].shape == value.shape else ours[key].sum(1, keepdim=True))
        found = grey(pictures[:, :1, None])
        torch.testing.assert_close(found, encoder(pictures[:, :, None]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PICTURE_NETWORKS)
def test_one_face_for_pictures_alone(name: str) -> None:
    with torch.device("meta"):
        encoder = make(name, channels=1).eval()
        assert encoder.feature_map(torch.rand(3, 1, 1, 48, 80)).shape == (3, encoder.dim, 1, 2, 3)
        assert encoder.tokens(torch.rand(3, 1, 1, 48, 80)).shape == (3, 6, encoder.dim)
        with pytest.raises(UserError, match=f"encoder {name}: found clips of 4 frames .* at most 1 frame"):
            encoder(torch.rand(1, 1, 4, SIZE, SIZE))
        if name not in {"resnet50", "swin_v2_t"}:
            return  # the larger ones are made by the same lines
        with pytest.raises(UserError, match=r"nearest that works is 1 frames of 64 x 64: change clip\.num_f"):
            make(name, frames=4)
        with pytest.raises(UserError, match="clips of one frame have none"):
            make(name, motion="only")


@pytest.mark.parametrize(
    ("name", "layout"),
    [("resnet50", "torchvision"), ("resnet50", "timm"), ("swin_v2_t", "torchvision")],
)
def test_public_files_find_their_place(name: str, layout: str, tmp_path: Path) -> None:
    if layout == "timm":
        module = pytest.importorskip("timm", reason="timm names the weights of its files")
        with torch.device("meta"):
            network = module.create_model(name)
    else:
        with torch.device("meta"):
            network = getattr(import_module("torchvision.models"), name)()
    shapes = {key: value.shape for key, value in network.state_dict().items() if value.is_floating_point()}
    torch.save(without_content(shapes), tmp_path / "weights.pth")
    encoder = make(name, channels=1)
    report = load_start(encoder, tmp_path / "weights.pth")
    assert report.match is not None
    assert report.match.share >= 0.99
    assert len(report.match.head) == 2
    assert len(report.match.reshaped) == 1
    assert (report.mean, report.std, report.statistics_from) == (0.449, 0.226, "of ImageNet")


def test_weights_of_torchvision_are_known_by_name() -> None:
    with torch.device("meta"):
        encoder = make("resnet50")
    with pytest.raises(UserError, match=r"there are: torchvision:IMAGENET1K_V1, torchvision:IMAGENET1K_V2"):
        load_start(encoder, "torchvision:KINETICS400_V1")


def test_settings_reach_the_network() -> None:
    with torch.device("meta"):
        encoder = make("swin_v2_t", stochastic_depth=0.4)
    depths = [vars(layer)["p"] for layer in encoder.modules() if type(layer).__name__ == "StochasticDepth"]
    assert depths == pytest.approx([0.4 * number / 11 for number in range(12)])


@pytest.mark.parametrize("name", ["resnet50", "swin_v2_t"])
def test_masked_pictures_train_it(name: str) -> None:
    encoder = make(name, channels=1)
    objective = build_objectives([MaskedConfig(ratio=0.7, patch=16)], encoder.dim)
    objective.attach(encoder)
    pictures = torch.rand(2, 1, 1, 1, SIZE, SIZE)
    loss, _ = objective(encoder, Batch(pictures, torch.arange(2), torch.zeros(2, 1, dtype=torch.int64)))
    loss.backward()
    assert loss.isfinite()
    assert all(value.grad is not None for value in encoder.parameters())


@pytest.mark.parametrize("name", ["vit", "resnet50"])
def test_networks_with_kernels_of_pictures_are_placed(name: str) -> None:
    more = {"width": 32, "heads": 2, "depth": 1, "patch_frames": 1} if name == "vit" else {}
    placed = Hardware.resolve(HardwareConfig(device="cpu", precision="fp32")).place(make(name, **more))
    assert placed(torch.rand(1, 3, 1, SIZE, SIZE)).shape == (1, placed.dim)
