"""Whole files as public projects save them, tiny, with all else that lies in them: 90 % or more fit."""

import argparse
from pathlib import Path

import pytest
import torch
from test_vit import DEPTH, WIDTH, block_names, positions, vit
from weights_of_others import make, other_tool

from echossl.encoders.start import load_start
from echossl.errors import UserError


def retfound(*, finetuned: bool) -> dict[str, object]:
    """As RETFound saves: model, optimiser, epoch, arguments; fine-tuned with ``fc_norm`` and a head."""
    model = block_names() | positions(197)
    if finetuned:
        model |= {"fc_norm.weight": model.pop("norm.weight"), "fc_norm.bias": model.pop("norm.bias")}
        model |= {"head.weight": torch.zeros(5, WIDTH), "head.bias": torch.zeros(5)}
    else:
        model |= {"mask_token": torch.zeros(1, 1, 16), "decoder_embed.weight": torch.zeros(16, WIDTH)}
    options = argparse.Namespace(blr=1e-3, model="mae_vit_large_patch16")
    state = {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    return {"model": model, "optimizer": state, "epoch": 799, "scaler": {"scale": 65536.0}, "args": options}


def dinov2_training() -> dict[str, object]:
    """As DINOv2's training saves a teacher: backbone and heads, blocks in chunks of one."""
    state = block_names(layer_scale=True) | positions(1 + 37 * 37) | {"mask_token": torch.zeros(1, WIDTH)}
    names = {f"backbone.{name}": value for name, value in state.items()}
    return {"teacher": names | {"dino_head.last_layer.weight": torch.zeros(4, 4)}}


@pytest.mark.parametrize(
    ("content", "changes", "least"),
    [
        (retfound(finetuned=False), {}, 1.0),
        (retfound(finetuned=True), {}, 0.9),
        (dinov2_training(), {"layer_scale": 1.0}, 1.0),
    ],
    ids=["RETFound", "RETFound fine-tuned", "DINOv2 in training"],
)
def test_files_of_vision_transformers_fit(content, changes, least, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pth")
    encoder = vit(channels=1, **changes)
    report = load_start(encoder, tmp_path / "weights.pth")
    assert report.match is not None
    assert report.match.share >= least
    wanted = block_names(layer_scale=bool(changes))
    assert len(wanted) == 5 + DEPTH * (14 if changes else 12)
    model = content.get("model") or content["teacher"]
    name = next(name for name in model if name.endswith("blocks.0.attn.qkv.weight"))
    assert torch.equal(encoder.state_dict()["blocks.0.attn.qkv.weight"], model[name])


def test_a_file_of_r3d_18_fits_below_any_prefix(tmp_path: Path) -> None:
    for prefix in ("", "module.", "model.backbone."):
        state = {prefix + name: value for name, value in other_tool().items()}
        torch.save({"state_dict": state, "epoch": 3}, tmp_path / "weights.pth")
        report = load_start(make(), tmp_path / "weights.pth")
        assert report.match is not None
        assert report.match.share >= 0.9


def test_sister_trap_11_a_file_that_does_not_fit_is_refused_with_counts(tmp_path: Path) -> None:
    torch.save(retfound(finetuned=False), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"fits \d+% of the weights .* expected 90% or more \(missing: "):
        load_start(make(), tmp_path / "weights.pth")
