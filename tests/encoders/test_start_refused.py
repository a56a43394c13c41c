"""Starts that are damaged, dangerous, of another network or out of reach, and what is said of each."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from weights_of_others import State, make, other_tool

from echossl.encoders.start import load_start
from echossl.errors import UserError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {name: value for name, value in state.items() if "layer4" not in name},
            r"fits \d+% of the weights of the encoder r3d_18, expected 90% or more \(missing: layer4",
        ),
        (
            lambda state: {name: value for name, value in state.items() if value.ndim == 5},
            r"missing: stem.1.weight",  # 99 % of the numbers, a third of the tensors
        ),
        (lambda _: {"other": torch.zeros(1)}, "fits 0% .* not of this network: other"),
        (lambda _: {}, "fits 0%"),
    ],
)
def test_trap_21_less_than_nine_tenths_are_refused(
    tmp_path: Path, change: Callable[[State], State], message: str
) -> None:
    torch.save(change(other_tool()), tmp_path / "part.pt")
    encoder = make()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with pytest.raises(UserError, match=message):
        load_start(encoder, tmp_path / "part.pt")
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert encoder.metadata.provenance == {"run": "here"}


def test_old_files_without_counters_are_whole(tmp_path: Path) -> None:
    state = {name: value for name, value in other_tool().items() if not name.endswith("tracked")}
    torch.save(state, tmp_path / "old.pt")
    report = load_start(make(), tmp_path / "old.pt")
    assert report.match is not None
    assert report.match.share == 1
    assert not report.match.missing


class Harm:
    """Runs a command when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (__import__("os").system, (f"touch {self.place}",))


def test_trap_32_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"state_dict": other_tool(), "more": Harm(tmp_path / "harm")}, tmp_path / "bad.pt")
    with pytest.raises(UserError, match=r"bad\.pt: not a file of weights alone, .* save only the state_dict"):
        load_start(make(), tmp_path / "bad.pt")
    assert not (tmp_path / "harm").exists()


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("not weights at all")
    torch.save(other_tool(), tmp_path / "whole.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:5000])
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("text.pt", "half.pt", "empty.pt"):
        with pytest.raises(UserError, match=name):
            load_start(make(), tmp_path / name)
    with pytest.raises(UserError, match="no such file"):
        load_start(make(), tmp_path / "none.pt")
    with pytest.raises(UserError, match=r"no encoder\.safetensors here"):
        load_start(make(), tmp_path)
    save_file(other_tool(), tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"half\.safetensors: a damaged safetensors file"):
        load_start(make(), tmp_path / "half.safetensors")


def test_weights_that_cannot_be_fetched_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    for name, start in (("mc3_18", "torchvision:KINETICS400_V1"), ("x3d_s", "pytorchvideo:x3d_s")):
        with pytest.raises(UserError, match=rf"start {start}: cannot be fetched .*fetch https://"):
            load_start(make(name), start)


def test_unknown_names_of_weights_are_answered_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights 'V9' for the encoder mc3_18; .*KINETICS400_V1"):
        load_start(make("mc3_18"), "torchvision:V9")
    with pytest.raises(UserError, match=r"for the encoder compact3d; there are: none"):
        load_start(make("compact3d"), "torchvision:KINETICS400_V1")
    with pytest.raises(UserError, match="pytorchvideo has no weights 'x3d_xxl'"):
        load_start(make(), "pytorchvideo:x3d_xxl")


def test_fetched_weights_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folder where torch.hub keeps what it has fetched before."""
    pytest.importorskip("pytorchvideo", reason="needs the extra pytorchvideo")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.manual_seed(5)
    theirs = make("x3d_xs")
    state = {name.removeprefix("network."): value for name, value in theirs.state_dict().items()}
    torch.save({"model_state": state}, tmp_path / "hub" / "checkpoints" / "X3D_XS.pyth")
    encoder = make("x3d_xs", channels=1)
    report = load_start(encoder, "pytorchvideo:x3d_xs")
    assert report.statistics_from == "of the start"
    assert encoder.std.item() == pytest.approx(0.225)
    assert encoder.metadata.provenance["start"] == "pytorchvideo:x3d_xs"
    name = "network.blocks.3.res_blocks.0.branch2.conv_b.weight"
    assert torch.equal(encoder.state_dict()[name], theirs.state_dict()[name])
