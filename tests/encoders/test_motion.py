"""Motion as input: beside the grey values or in their place, for every network, and starts without it."""

from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import safe_open
from torch import Tensor

from echossl import load
from echossl.config.encoder import Compact3DConfig, EncoderConfig, NetworkConfig, R3D18Config
from echossl.config.task import TaskSettings
from echossl.config.video import ClipConfig
from echossl.encoders import ENCODERS, Encoder, EncoderMetadata, build_encoder
from echossl.encoders.classifier import load_classifier, save_classifier
from echossl.encoders.export import export_encoder
from echossl.encoders.files import METADATA_KEY, save_encoder, write_weights
from echossl.encoders.matching import match
from echossl.encoders.motion import motion
from echossl.encoders.picture_networks import PICTURE_NETWORKS
from echossl.encoders.pytorchvideo_networks import HUB
from echossl.encoders.start import load_start
from echossl.errors import UserError
from echossl.saliency.methods import grad_cam

NETWORKS = sorted(set(ENCODERS) - {"two_stream", *PICTURE_NETWORKS})
SMALL = [Compact3DConfig, R3D18Config]


def make(architecture: EncoderConfig, *, channels: int = 1, num_frames: int = 8, size: int = 32) -> Encoder:
    torch.manual_seed(0)
    values = {"clip": ClipConfig(num_frames=num_frames), "size": size, "mean": 0.3, "std": 0.2}
    return build_encoder(EncoderMetadata(architecture=architecture, channels=channels, **values))


def named(name: str, **more: object) -> EncoderConfig:
    if name in HUB:
        pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    architecture: EncoderConfig = TypeAdapter(EncoderConfig).validate_python({"name": name, **more})
    return architecture


def slow_motion(clips: Tensor, scale: float) -> Tensor:
    out = torch.empty_like(clips)
    for index in torch.cartesian_prod(*(torch.arange(n) for n in clips[:, :, 0].shape)).tolist():
        item, channel, row, column = index
        values = clips[item, channel, :, row, column].tolist()
        centre = sum(values) / len(values)
        out[item, channel, :, row, column] = torch.tensor([scale * (value - centre) for value in values])
    return out


def test_motion_equals_the_slow_loop() -> None:
    clips = torch.rand(2, 3, 5, 3, 4)
    torch.testing.assert_close(motion(clips, scale=8.0), slow_motion(clips, 8.0), rtol=1e-4, atol=1e-5)
    still = torch.rand(1, 1, 1, 4, 4).expand(1, 1, 6, 4, 4)
    torch.testing.assert_close(motion(still, scale=8.0), torch.zeros_like(still), rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_network_gets(channels: int) -> None:
    clips = torch.rand(2, channels, 8, 16, 16)
    grey, moving = (clips - 0.3) / 0.2, slow_motion(clips, 5.0)
    seen = {
        how: make(Compact3DConfig(width=4, motion=how, motion_scale=5.0), channels=channels).normalised(clips)
        for how in ("only", "beside")
    }
    torch.testing.assert_close(seen["only"], moving, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen["beside"], torch.cat((grey, moving), 1), rtol=1e-4, atol=1e-5)
    assert torch.equal(make(Compact3DConfig(width=4), channels=channels).normalised(clips), grey)


@pytest.mark.parametrize("kind", SMALL)
def test_without_motion_weights_and_features_are_what_they_were(kind: type[NetworkConfig]) -> None:
    """And a file that was written before there was motion is read."""
    plain, spelt_out = make(kind(width=4)), make(kind(width=4, motion="none"))
    clips = torch.rand(2, 1, 8, 32, 32)
    assert torch.equal(plain.eval()(clips), spelt_out.eval()(clips))
    old = plain.metadata.model_dump()
    for key in ("motion", "motion_scale"):
        del old["architecture"][key]
    del old["streams"]
    assert EncoderMetadata.model_validate(old) == plain.metadata


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", ["beside", "only"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_motion(name: str, how: str, channels: int) -> None:
    with torch.device("meta"):
        plain = make(named(name), channels=channels)
        encoder = make(named(name, motion=how), channels=channels)
        clips = torch.rand(2, channels, 8, 32, 32)
        assert encoder.feature_map(clips).shape == plain.feature_map(clips).shape
        assert encoder(clips).shape == (2, encoder.dim)
    before, after = plain.state_dict(), encoder.state_dict()
    others = [key for key in before if before[key].shape != after[key].shape]
    if how == "only":
        assert not others
        return
    assert len(others) == (2 if name == "slowfast_r50" else 1)
    for key in others:
        assert after[key].shape[1] == 2 * before[key].shape[1]


@pytest.mark.parametrize("how", ["beside", "only"])
@pytest.mark.parametrize("kind", SMALL)
def test_motion_is_seen_and_trained(kind: type[NetworkConfig], how: str) -> None:
    encoder = make(kind(width=4, motion=how))
    clips = torch.rand(2, 1, 8, 32, 32)
    encoder(clips).square().sum().backward()
    first = next(encoder.parameters())
    assert first.grad is not None
    assert (first.grad.flatten(2).abs().sum((0, 2)) > 0).all()
    encoder.eval()
    moved = clips + torch.linspace(-0.2, 0.2, 8)[:, None, None]  # the mean over time stays
    assert not torch.allclose(encoder(moved), encoder(clips))
    brighter = clips + 0.3
    alike = torch.allclose(encoder(brighter), encoder(clips), atol=1e-4)
    assert alike == (how == "only")


def test_a_borrowed_network_keeps_its_grey_weights_and_draws_those_of_motion() -> None:
    plain, beside = make(named("mc3_18")), make(named("mc3_18", motion="beside"))
    before = plain.state_dict()["network.stem.0.weight"]
    after = beside.state_dict()["network.stem.0.weight"]
    assert torch.equal(after[:, :1], before)
    assert after[:, 1:].std().item() == pytest.approx(before.std().item(), rel=0.1)


@pytest.mark.parametrize(("colours", "channels"), [(3, 1), (1, 1), (3, 3), (1, 3)])
def test_motion_beside_starts_as_the_network_without_it(tmp_path: Path, colours: int, channels: int) -> None:
    """The weights of motion are zero, whatever channels the start has; and they are trained from there."""
    start = make(R3D18Config(width=4), channels=colours).eval()
    torch.save(start.state_dict(), tmp_path / "theirs.pt")
    encoder = make(R3D18Config(width=4, motion="beside"), channels=channels).eval()
    report = load_start(encoder, tmp_path / "theirs.pt")
    assert report.match is not None
    assert report.match.share == 1
    assert report.match.reshaped == ("stem.0.weight",)
    assert "1 reshaped" in report.as_text()
    assert "\n  motion: starts at weights of zero" in report.as_text()
    grey = torch.rand(2, 1, 8, 32, 32)
    expected = start(grey.repeat(1, colours, 1, 1, 1))
    torch.testing.assert_close(encoder(grey.repeat(1, channels, 1, 1, 1)), expected, rtol=1e-4, atol=1e-5)
    encoder(grey.repeat(1, channels, 1, 1, 1)).square().sum().backward()
    gradient = next(encoder.parameters()).grad
    assert gradient is not None
    assert gradient[:, channels:].abs().sum() > 0


def test_motion_only_takes_the_weights_of_grey_values(tmp_path: Path) -> None:
    start = make(Compact3DConfig(width=4))
    save_encoder(start, tmp_path / "encoder.safetensors")
    encoder = make(Compact3DConfig(width=4, motion="only"))
    text = load_start(encoder, tmp_path).as_text()
    assert text.endswith("\n  motion: takes the weights of grey values")
    assert all(torch.equal(value, start.state_dict()[key]) for key, value in encoder.state_dict().items())


def test_both_pathways_of_slowfast_get_motion() -> None:
    name = "slowfast_r50"
    with torch.device("meta"):
        theirs = make(named(name), channels=3).state_dict()
        found = match(make(named(name, motion="beside")), theirs)
    assert found.share == 1
    assert len(found.reshaped) == 2


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        ({"motion": "only"}, {}, "found a compact3d with motion 'only' .* expected 'none'"),
        ({"motion": "beside"}, {}, "expected 'none'"),
        ({"motion": "only"}, {"motion": "beside"}, "expected 'beside'"),
        ({"motion": "only", "motion_scale": 4}, {"motion": "only"}, "motion_scale 4, expected 'only' and 8"),
    ],
)
def test_a_start_that_sees_another_motion_is_refused(
    tmp_path: Path, theirs: dict[str, object], ours: dict[str, object], words: str
) -> None:
    save_encoder(make(Compact3DConfig(width=4, **theirs)), tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match=words):
        load_start(make(Compact3DConfig(width=4, **ours)), tmp_path)
    load_start(make(Compact3DConfig(width=4, **theirs)), tmp_path)


@pytest.mark.parametrize("kind", [Compact3DConfig, R3D18Config])
@pytest.mark.parametrize("how", ["beside", "only"])
def test_exported_weights_start_an_encoder_of_the_same_motion_alone(
    tmp_path: Path, kind: type[NetworkConfig], how: str
) -> None:
    """Their names and shapes may fit one that sees grey values; those of grey values may start motion."""
    seeing, grey = make(kind(width=4, motion=how)), make(kind(width=4))
    for encoder, name in ((seeing, "seeing"), (grey, "grey")):
        save_encoder(encoder, tmp_path / name / "encoder.safetensors")
        export_encoder(tmp_path / name, tmp_path / f"{name}.safetensors")
    with pytest.raises(UserError, match=f"with motion '{how}' .* expected 'none'"):
        load_start(make(kind(width=4)), tmp_path / "seeing.safetensors")
    again = make(kind(width=4, motion=how))
    load_start(again, tmp_path / "seeing.safetensors")
    clips = torch.rand(2, 1, 8, 32, 32)
    torch.testing.assert_close(again.eval()(clips), seeing.eval()(clips))
    report = load_start(make(kind(width=4, motion=how)), tmp_path / "grey.safetensors")
    assert "\n  motion: " in report.as_text()


@pytest.mark.parametrize("how", ["beside", "only"])
def test_files_maps_and_classifiers_just_work(tmp_path: Path, how: str) -> None:
    encoder = make(Compact3DConfig(width=4, motion=how)).eval()
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    clips = torch.rand(2, 1, 8, 32, 32)
    again = load(tmp_path)
    assert torch.equal(again(clips), encoder(clips))
    head = torch.nn.Linear(encoder.dim, 1)
    save_classifier(
        encoder, head, TaskSettings(name="binary", columns=("severe_as",)), tmp_path / "model.safetensors"
    )
    classifier, _, _ = load_classifier(tmp_path)
    maps = grad_cam(classifier, head, clips)
    assert maps.shape == (2, 8, 32, 32)
    assert maps.isfinite().all()


def test_a_file_says_what_its_network_sees(tmp_path: Path) -> None:
    encoder = make(Compact3DConfig(width=4, motion="only", motion_scale=6))
    write_weights(encoder.metadata, encoder.state_dict(), tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as content:
        assert '"motion":"only","motion_scale":6.0' in content.metadata()[METADATA_KEY]


def test_motion_without_effect_is_refused() -> None:
    with pytest.raises(UserError, match="clips of one frame have none; set clip"):
        make(R3D18Config(width=4, motion="beside"), num_frames=1)
    with pytest.raises(ValidationError, match="motion_scale is set, but there is no motion"):
        Compact3DConfig(motion_scale=4)
