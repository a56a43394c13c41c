import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from echossl.config.encoder import Compact3DConfig, EncoderConfig, FactorisedResNetConfig, R3D18Config
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.export import export_encoder, plain_weights, write_onnx
from echossl.encoders.files import PLAIN_METADATA_KEY, save_encoder
from echossl.encoders.start import load_start
from echossl.errors import EchosslError, UserError


def make(architecture: EncoderConfig, *, num_frames: int = 4, size: int = 16, channels: int = 1) -> Encoder:
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=architecture,
        clip=ClipConfig(num_frames=num_frames),
        size=size,
        channels=channels,
        mean=0.3,
        std=0.2,
        provenance={"run": "first"},
    )
    encoder = build_encoder(metadata)
    for layer in encoder.modules():  # as after training: not the statistics of a new network
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return encoder.eval()


@pytest.fixture
def onnx_packages() -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)


@pytest.mark.usefixtures("onnx_packages")
@pytest.mark.parametrize(
    ("architecture", "num_frames", "channels"),
    [
        (Compact3DConfig(width=4), 4, 1),
        # two frames: the training network pads them beforehand, the graph has no need to
        (R3D18Config(width=4), 2, 3),
    ],
)
def test_onnx_computes_the_same_for_any_batch(
    tmp_path: Path, architecture: EncoderConfig, num_frames: int, channels: int
) -> None:
    import onnx
    import onnxruntime

    encoder = make(architecture, num_frames=num_frames, channels=channels)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    out = tmp_path / "deeper" / "model.onnx"
    done = export_encoder(tmp_path / "encoder.safetensors", out)
    assert done.path == out
    assert done.clip == (channels, num_frames, 16, 16)
    assert done.deviation is not None
    assert done.deviation < 1e-4
    assert f"(batch, {encoder.dim})" in str(done)
    # the weights are inside
    assert {path.name for path in out.parent.iterdir()} == {"model.onnx", "MODEL_CARD.md"}

    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", channels, num_frames, 16, 16]
    assert session.get_outputs()[0].shape == ["batch", encoder.dim]
    for batch in (1, 2, 5):
        clips = torch.rand(batch, channels, num_frames, 16, 16)
        (found,) = session.run(["features"], {"clips": clips.numpy()})
        with torch.inference_mode():
            assert np.abs(found - encoder(clips).numpy()).max() < 1e-4

    model = onnx.load(out)
    onnx.checker.check_model(model)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    operations = {node.op_type for node in model.graph.node}
    assert "Pad" not in operations
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert EncoderMetadata.model_validate_json(properties["echossl"]) == encoder.metadata
    assert json.loads(properties["output"]) == {"features": ["batch", encoder.dim]}


class Different(nn.Module):
    """Computes something else when it is exported."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips + 0.01 if torch.compiler.is_exporting() else clips


class DataDependent(nn.Module):
    """Takes a way that depends on values, which no graph can hold."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips * 2 if clips.sum() > 0 else clips


class CountsClips(nn.Module):
    """Takes the number of clips for a constant."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.reshape(len(clips), *clips.shape[1:])


@pytest.mark.usefixtures("onnx_packages")
@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            Different(),
            r"model\.onnx: not written: for 1 random clip.* differs from PyTorch by .* of .*1e-04 at most",
        ),
        (
            DataDependent(),
            r"encoder compact3d: PyTorch .* cannot export it to ONNX .*take a \.safetensors file",
        ),
    ],
)
def test_what_cannot_be_exported_right_is_not_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], part: nn.Module, message: str
) -> None:
    encoder = make(Compact3DConfig(width=4))
    encoder.get_submodule("layer4").append(part)
    out = tmp_path / "model.onnx"
    out.write_bytes(b"before")
    with pytest.raises(EchosslError, match=message) as caught:
        write_onnx(encoder, out)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert out.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_exporting_leaves_the_encoder_as_it_was() -> None:
    encoder = make(R3D18Config(width=4))
    kinds = [type(layer) for layer in encoder.modules()]
    plain_weights(encoder)
    assert [type(layer) for layer in encoder.modules()] == kinds
    assert encoder.get_parameter("stem.0.weight").shape[1] == 1


def test_missing_package_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", sys)
    with pytest.raises(UserError, match=r"needs the package onnxruntime; pip install 'echossl\[onnx\]'"):
        export_encoder(tmp_path / "absent", tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["model", "model.pt", "model.onnx.gz"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"found suffix '.*', expected \.onnx or \.safetensors"):
        export_encoder(tmp_path / "absent", tmp_path / name)


@pytest.mark.parametrize("architecture", [R3D18Config(), FactorisedResNetConfig(name="mc3_18")])
def test_plain_weights_load_into_torchvision_and_compute_the_same(
    tmp_path: Path, architecture: R3D18Config | FactorisedResNetConfig
) -> None:
    video = pytest.importorskip("torchvision.models.video")
    encoder = make(architecture)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    out = tmp_path / "plain.safetensors"
    done = export_encoder(tmp_path, out)
    assert done.deviation is None
    assert str(done) == f"{out}: plain weights"

    theirs = getattr(video, architecture.name)(weights=None)
    answer = theirs.load_state_dict(load_file(out), strict=False)
    assert answer.missing_keys == ["fc.weight", "fc.bias"]
    assert answer.unexpected_keys == []
    theirs.fc = nn.Identity()
    clips = torch.rand(2, 1, 4, 16, 16)
    colours = ((clips - 0.3) / 0.2).repeat(1, 3, 1, 1, 1)
    with torch.inference_mode():
        assert torch.allclose(theirs.eval()(colours), encoder(clips), atol=1e-4)

    with safe_open(out, framework="pt") as content:
        metadata = EncoderMetadata.model_validate_json(content.metadata()[PLAIN_METADATA_KEY])
    assert metadata == encoder.metadata


@pytest.mark.parametrize(
    "architecture", [Compact3DConfig(width=4), R3D18Config(width=4), FactorisedResNetConfig(name="mc3_18")]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_plain_weights_are_a_start(tmp_path: Path, architecture: EncoderConfig, channels: int) -> None:
    encoder = make(architecture, channels=channels)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    export_encoder(tmp_path, tmp_path / "plain.safetensors")
    again = make(architecture, channels=channels)
    for parameter in again.parameters():
        nn.init.zeros_(parameter)
    load_start(again, tmp_path / "plain.safetensors")
    state = encoder.state_dict()
    assert all(torch.allclose(value, state[name], atol=1e-6) for name, value in again.state_dict().items())
