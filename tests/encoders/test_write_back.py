"""A refined encoder goes back into the file of the tool it came from, and that tool reads it whole."""

import argparse
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from typer.testing import CliRunner
from weights_of_others import make, other_tool, prefixed

from echossl.cli import app
from echossl.config.encoder import Compact3DConfig, ViTConfig
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.files import save_encoder
from echossl.encoders.start import load_start
from echossl.encoders.write_back import write_back
from echossl.errors import UserError

SIZE, WIDTH = 32, 24
PICTURE = {"width": WIDTH, "depth": 2, "heads": 3, "patch": 8, "patch_frames": 1}


def vit(*, frames: int = 1, size: int = SIZE, channels: int = 3, **changes: object) -> Encoder:
    torch.manual_seed(0)
    return build_encoder(
        EncoderMetadata(
            architecture=ViTConfig.model_validate(PICTURE | changes),
            clip=ClipConfig(num_frames=frames),
            size=size,
            channels=channels,
            mean=0.0,
            std=1.0,
        )
    ).eval()


def timm_vit(**changes: object) -> nn.Module:
    module = pytest.importorskip("timm.models.vision_transformer", reason="timm is the reader of these files")
    torch.manual_seed(1)
    settings = {"img_size": SIZE, "patch_size": 8, "embed_dim": WIDTH, "depth": 2, "num_heads": 3}
    network = module.VisionTransformer(**settings | {"num_classes": 5} | changes)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.1)
    return network.eval()


def refined(encoder: Encoder, start: Path, folder: Path) -> Path:
    """The encoder file of a run that began at a start: every weight has moved."""
    load_start(encoder, start)
    encoder.describe(mean=0.0, std=1.0)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    save_encoder(encoder, folder / "encoder.safetensors")
    return folder / "encoder.safetensors"


def shapes(state: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in state.items()}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"layer_scale": 1e-5}, {"init_values": 1e-5}),
        ({"registers": 4}, {"reg_tokens": 4, "no_embed_class": True}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_timm_reads_all_of_it_and_sees_what_the_encoder_sees(
    ours, theirs, channels: int, tmp_path: Path
) -> None:
    network, encoder = timm_vit(**theirs), vit(channels=channels, **ours)
    torch.save(network.state_dict(), tmp_path / "start.pth")
    source = refined(encoder, tmp_path / "start.pth", tmp_path)
    written = write_back(source, tmp_path / "start.pth", tmp_path / "refined.pth")
    assert written.deviation < 1e-5
    assert written.kept == ("head.weight", "head.bias")
    again = timm_vit(**theirs)
    again.load_state_dict(torch.load(tmp_path / "refined.pth", weights_only=True))  # strict: every name
    grey = torch.rand(2, 1, SIZE, SIZE)
    with torch.inference_mode():
        wanted = encoder.tokens(grey.expand(-1, channels, -1, -1)[:, :, None])
        found = again.forward_features(grey.expand(-1, 3, -1, -1))[:, again.num_prefix_tokens :]
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
    assert torch.equal(again.head.weight, network.head.weight)


def test_torchvision_names_come_back_with_prefix_and_counters(tmp_path: Path) -> None:
    start = tmp_path / "start.pt"
    content = {
        "state_dict": prefixed(other_tool(), "module."),
        "epoch": 7,
        "args": argparse.Namespace(lr=0.1),
    }
    torch.save(content, start)
    encoder = make(channels=1)
    written = write_back(refined(encoder, start, tmp_path), start, tmp_path / "refined.pt")
    with torch.serialization.safe_globals([argparse.Namespace]):
        back = torch.load(tmp_path / "refined.pt", weights_only=True)
    assert (back["epoch"], back["args"].lr) == (7, 0.1)
    assert shapes(back["state_dict"]) == shapes(content["state_dict"])
    assert list(back["state_dict"]) == list(content["state_dict"])
    assert written.kept == ("state_dict.module.fc.weight", "state_dict.module.fc.bias")
    # the colours keep what told them apart, and their sum is the kernel for grey
    old, new = (state["state_dict"]["module.stem.0.weight"] for state in (content, back))
    torch.testing.assert_close(new.sum(1, keepdim=True), encoder.state_dict()["stem.0.weight"])
    torch.testing.assert_close(new - new.mean(1, keepdim=True), old - old.mean(1, keepdim=True))
    again = make(channels=1)
    report = load_start(again, tmp_path / "refined.pt")
    assert report.match is not None
    assert report.match.share == 1.0
    torch.testing.assert_close(again.state_dict(), encoder.state_dict())


def dinov2(count: int) -> dict[str, Tensor]:
    """Names and shapes of a DINOv2 file with registers, in half precision."""
    state = {
        name: value for name, value in timm_vit(init_values=1.0).state_dict().items() if "head" not in name
    }
    state |= {"mask_token": torch.randn(1, WIDTH), "register_tokens": torch.randn(1, 4, WIDTH)}
    return {
        name: value.half() for name, value in (state | {"pos_embed": torch.randn(1, count, WIDTH)}).items()
    }


def test_dinov2_in_half_precision_as_safetensors(tmp_path: Path) -> None:
    start = tmp_path / "dinov2.safetensors"
    save_file(dinov2(17), start, metadata={"format": "pt", "of": "dinov2"})
    encoder = vit(layer_scale=1.0, registers=4, channels=1)
    written = write_back(refined(encoder, start, tmp_path), start, tmp_path / "refined.safetensors")
    with safe_open(tmp_path / "refined.safetensors", framework="pt") as content:
        back = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no mapping
        assert content.metadata() == {"format": "pt", "of": "dinov2"}
    assert shapes(back) == shapes(dinov2(17))
    assert written.kept == ("mask_token",)
    assert written.deviation < 1e-2  # of half precision
    torch.testing.assert_close(
        back["register_tokens"].float(), encoder.reg_token.detach(), rtol=1e-2, atol=1e-3
    )


def test_clips_of_a_network_of_pictures(tmp_path: Path) -> None:
    """A tubelet network of another size: frames are summed, positions come back nearly, time has no place."""
    start = tmp_path / "mae.pth"
    state = {name: value for name, value in timm_vit().state_dict().items() if "head" not in name}
    decoder = {"mask_token": torch.randn(1, 1, 16), "decoder_pred.weight": torch.randn(192, 16)}
    torch.save({"model": state | decoder | {"pos_embed": torch.randn(1, 50, WIDTH)}}, start)
    encoder = vit(frames=4, channels=1, patch_frames=2)
    written = write_back(refined(encoder, start, tmp_path), start, tmp_path / "refined.pth")
    back = torch.load(tmp_path / "refined.pth", weights_only=True)["model"]
    assert back["pos_embed"].shape == (1, 50, WIDTH)
    assert back["patch_embed.proj.weight"].shape == (WIDTH, 3, 8, 8)
    assert written.left_out == ("time_embed",)
    kernel = encoder.state_dict()["patch_embed.proj.weight"].sum(dim=(1, 2))
    torch.testing.assert_close(back["patch_embed.proj.weight"].sum(1), kernel, rtol=1e-4, atol=1e-5)
    timm_vit(img_size=56, num_classes=0).load_state_dict(
        {name: value for name, value in back.items() if name not in decoder}
    )


def test_what_did_not_move_is_what_it_was(tmp_path: Path) -> None:
    torch.save(timm_vit().state_dict(), tmp_path / "start.pth")
    encoder = vit(frames=4, channels=1, patch_frames=2, size=48)
    load_start(encoder, tmp_path / "start.pth")
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    write_back(tmp_path / "encoder.safetensors", tmp_path / "start.pth", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    torch.testing.assert_close(back, dict(timm_vit().state_dict()))


def test_the_command_writes_it_and_says_what_was_done(tmp_path: Path) -> None:
    torch.save(timm_vit().state_dict(), tmp_path / "start.pth")
    source = refined(vit(channels=1), tmp_path / "start.pth", tmp_path)
    words = ["export", str(source), "--like", str(tmp_path / "start.pth"), "-o", str(tmp_path / "out.pth")]
    said = CliRunner().invoke(app, words, catch_exceptions=False).output
    assert "tensors in the layout of start.pth" in said
    assert "2 tensors as they were: head.weight, head.bias" in said
    failed = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "out.onnx")])
    assert isinstance(failed.exception, UserError)
    assert "found suffix '.onnx', expected '.pth'" in str(failed.exception)


def test_what_cannot_go_back_is_refused(tmp_path: Path) -> None:
    start = tmp_path / "start.pth"
    torch.save(timm_vit().state_dict(), start)
    source = refined(vit(), start, tmp_path)
    with pytest.raises(UserError, match="is of echossl, whose layout"):
        write_back(source, source, tmp_path / "out.safetensors")
    save_encoder(vit(depth=4), tmp_path / "deep.safetensors")
    with pytest.raises(UserError, match=r"start\.pth: fits .* of the weights of the encoder vit"):
        write_back(tmp_path / "deep.safetensors", start, tmp_path / "out.pth")
    with pytest.raises(UserError, match="no such file"):
        write_back(source, tmp_path / "none.pth", tmp_path / "out.pth")
    seeing = EncoderMetadata(
        architecture=Compact3DConfig(width=4, motion="beside"), clip=ClipConfig(num_frames=4), size=16
    )
    save_encoder(build_encoder(seeing), tmp_path / "motion.safetensors")
    with pytest.raises(UserError, match="sees motion"):
        write_back(tmp_path / "motion.safetensors", start, tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()
