"""Weights of every common layout find their place, and what does not fit is said."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.video import mc3_18
from weights_of_others import State, make, numbered, other_tool, prefixed, wrong

from echossl.config.task import TaskSettings
from echossl.encoders.classifier import save_classifier
from echossl.encoders.files import load_encoder, save_encoder
from echossl.encoders.matching import match
from echossl.encoders.start import load_start, published_statistics

LAYOUTS: dict[str, tuple[str, Callable[[State], object]]] = {
    "torchvision": ("", lambda state: state),
    "pytorchvideo": ("model_state.", lambda state: {"model_state": state, "cfg": "TRAIN: 1"}),
    "EchoNet-Dynamic": (
        "state_dict.module.",
        lambda state: {
            "epoch": 3,
            "state_dict": prefixed(state, "module."),
            "best_loss": np.float64(4.2),
            "r2": np.float32(0.5),
            "period": 2,
            "opt_dict": {"state": {0: {"momentum_buffer": torch.zeros(4, 3, 3, 7, 7)}}},
        },
    ),
    "EchoCLR": (
        "model_state_dict.encoder.",
        lambda state: {
            "model_state_dict": prefixed(state, "encoder.") | {"projector.0.weight": torch.zeros(8, 32)},
            "args": argparse.Namespace(lr=0.1),
        },
    ),
    "EchoCLR in numbered parts": ("encoder.", lambda state: prefixed(numbered(state), "encoder.")),
    "PanEcho": (
        "weights.module.encoder.model.",
        lambda state: {"weights": prefixed(state, "module.encoder.model.")},
    ),
    "lightning model": ("state_dict.model.", lambda state: {"state_dict": prefixed(state, "model.")}),
    "lightning backbone": (
        "state_dict.backbone.",
        lambda state: {"state_dict": prefixed(state, "backbone.")},
    ),
    "compiled": ("model._orig_mod.", lambda state: {"model": prefixed(state, "_orig_mod.")}),
    "MoCo": (
        "state_dict.module.encoder_q.",
        lambda state: {
            "state_dict": prefixed(wrong(state), "module.encoder_k.")
            | prefixed(state, "module.encoder_q.")
            | {"module.queue": torch.zeros(32, 8)}
        },
    ),
    "DINO": (
        "teacher.backbone.",
        lambda state: {
            "student": prefixed(wrong(state), "module.backbone."),
            "teacher": prefixed(state, "backbone."),
        },
    ),
    "BYOL": (
        "state_dict.online_encoder.",
        lambda state: {
            "state_dict": prefixed(wrong(state), "target_encoder.") | prefixed(state, "online_encoder.")
        },
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_finds_its_place(tmp_path: Path, layout: str) -> None:
    prefix, wrap = LAYOUTS[layout]
    state = other_tool()
    torch.save(wrap(state), tmp_path / "theirs.pt")
    encoder = make()
    report = load_start(encoder, tmp_path / "theirs.pt")
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert report.match is not None
    assert report.match.prefix == prefix
    assert report.match.share == 1
    assert (report.match.missing, report.match.misfits, report.match.reshaped) == ((), (), ())
    if layout != "EchoCLR in numbered parts":  # there the classifier has a number too
        assert report.match.head == ("fc.weight", "fc.bias")
        assert not report.match.unexpected
    assert encoder.metadata.provenance == {"run": "here", "start": "theirs.pt", "start_matched": "100.0%"}
    assert (encoder.metadata.mean, encoder.metadata.std) == (0.2, 0.3)


def test_safetensors_of_another_tool(tmp_path: Path) -> None:
    state = other_tool()
    save_file(prefixed(state, "model."), tmp_path / "theirs.safetensors")
    encoder = make()
    load_start(encoder, str(tmp_path / "theirs.safetensors"))
    assert torch.equal(encoder.state_dict()["layer4.1.conv2.0.weight"], state["layer4.1.conv2.0.weight"])


def test_a_grey_network_takes_the_sum_of_the_colours(tmp_path: Path) -> None:
    torch.save(other_tool(), tmp_path / "theirs.pt")
    coloured, grey = make().eval(), make(channels=1).eval()
    load_start(coloured, tmp_path / "theirs.pt")
    report = load_start(grey, tmp_path / "theirs.pt")
    assert report.match is not None
    assert report.match.reshaped == ("stem.0.weight",)
    clips = torch.rand(1, 1, 4, 32, 32)
    expected = coloured.trunk(clips.repeat(1, 3, 1, 1, 1))
    torch.testing.assert_close(grey.trunk(clips), expected, rtol=1e-4, atol=1e-4)


def test_a_coloured_network_takes_grey_weights(tmp_path: Path) -> None:
    grey = make(channels=1).eval()
    save_encoder(grey, tmp_path / "encoder.safetensors")
    coloured = make().eval()
    load_start(coloured, tmp_path)
    clips = torch.rand(1, 1, 4, 32, 32)
    torch.testing.assert_close(coloured(clips.repeat(1, 3, 1, 1, 1)), grey(clips), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["compact3d", "mc3_18"])
def test_trap_21_mean_and_std_travel_with_a_run(tmp_path: Path, name: str) -> None:
    first = make(name, channels=1).eval()
    first.metadata = first.metadata.model_copy(update={"mean": 0.11, "std": 0.07})
    task = TaskSettings(name="binary", columns=("severe_as",))
    save_classifier(first, nn.Linear(first.dim, 1), task, tmp_path / "model.safetensors")
    save_encoder(first, tmp_path / "encoder.safetensors")
    expected = load_encoder(tmp_path)
    for place in (tmp_path, tmp_path / "model.safetensors"):
        second = make(name, channels=1).eval()
        report = load_start(second, place)
        assert (report.mean, report.std, report.statistics_from) == (0.11, 0.07, "of the start")
        clips = torch.rand(1, 1, 4, 32, 32)
        torch.testing.assert_close(second(clips), expected(clips))
        assert second.metadata.mean == 0.11


def test_a_kinetics_classifier_brings_its_own_mean_and_std(tmp_path: Path) -> None:
    theirs = mc3_18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "mc3_18.pth")
    encoder = make("mc3_18", channels=1)
    report = load_start(encoder, tmp_path / "mc3_18.pth")
    assert encoder.mean.item() == pytest.approx((0.43216 + 0.394666 + 0.37645) / 3)
    assert encoder.std.item() == pytest.approx((0.22803 + 0.22145 + 0.216989) / 3)
    assert "mean 0.4011, std 0.2222 (of Kinetics-400)" in report.as_text()
    assert torch.equal(
        encoder.state_dict()["network.stem.0.weight"],
        theirs.state_dict()["stem.0.weight"].sum(1, keepdim=True),
    )
    assert published_statistics("swin3d_t") == pytest.approx((0.449, 0.226))
    assert published_statistics("x3d_s") == (0.45, 0.225)
    assert published_statistics("compact3d") is None


def test_pytorchvideo_checkpoints(tmp_path: Path) -> None:
    pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    theirs = import_module("pytorchvideo.models.hub.x3d").x3d_xs()
    torch.save({"model_state": theirs.state_dict()}, tmp_path / "hub.pyth")
    report = load_start(make("x3d_xs", channels=1), tmp_path / "hub.pyth")
    assert report.match is not None
    assert report.match.share == 1
    assert report.match.reshaped == ("blocks.0.conv.conv_t.weight",)
    assert report.match.head == (
        "blocks.5.pool.post_conv.weight",
        "blocks.5.proj.weight",
        "blocks.5.proj.bias",
    )
    assert not report.match.unexpected
    assert (report.mean, report.std) == (0.45, 0.225)


def test_both_pathways_of_slowfast_are_found() -> None:
    pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    with torch.device("meta"):
        theirs = import_module("pytorchvideo.models.hub.slowfast").slowfast_r50()
        found = match(make("slowfast_r50", channels=1), theirs.state_dict())
    assert found.share == 1
    assert len(found.reshaped) == 2
    assert found.head == ("blocks.6.proj.weight", "blocks.6.proj.bias")
    assert not found.unexpected


def test_random_leaves_everything_as_it_is() -> None:
    encoder = make()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    report = load_start(encoder, "random")
    assert report.as_text() == "start: random weights; mean 0.2000, std 0.3000 (of the training clips)"
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_a_tenth_may_be_missing_and_is_named(tmp_path: Path) -> None:
    state = other_tool()
    del state["layer1.0.conv1.0.weight"]
    state["layer1.1.conv1.0.weight"] = torch.zeros(3, 3)
    state["layer9.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "most.pt")
    report = load_start(make(), tmp_path / "most.pt")
    text = report.as_text()
    assert "1 missing, 1 unexpected, 2 head left out" in text
    assert "\n  missing: layer1.0.conv1.0.weight\n  unexpected: layer9.weight\n" in text
    assert "wrong shape: layer1.1.conv1.0.weight (3, 3) instead of (4, 4, 3, 3, 3)" in text
