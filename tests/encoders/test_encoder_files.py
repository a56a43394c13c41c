from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import echossl
from echossl.config.encoder import Compact3DConfig, EncoderConfig, R3D18Config
from echossl.config.video import ClipConfig
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.files import load_encoder, save_encoder
from echossl.errors import UserError


def trained(architecture: EncoderConfig) -> Encoder:
    """An encoder whose statistics differ from those of a new one, in channels-last layout."""
    encoder = build_encoder(
        EncoderMetadata(
            architecture=architecture,
            clip=ClipConfig(num_frames=8, clip_seconds=0.7),
            size=32,
            mean=0.21,
            std=0.19,
            provenance={"run": "here"},
        )
    ).to(memory_format=torch.channels_last_3d)
    encoder(torch.rand(4, 1, 8, 32, 32))
    return encoder


@pytest.mark.parametrize("architecture", [Compact3DConfig(width=4), R3D18Config(width=4)])
def test_a_saved_encoder_comes_back_the_same(tmp_path: Path, architecture: EncoderConfig) -> None:
    encoder = trained(architecture)
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    clips = torch.rand(2, 1, 8, 32, 32)
    for place in (tmp_path, tmp_path / "encoder.safetensors", str(tmp_path)):
        back = load_encoder(place)
        assert not back.training
        assert back.metadata == encoder.metadata
        assert type(back) is type(encoder)
        torch.testing.assert_close(back(clips), encoder.eval()(clips))
    assert torch.equal(echossl.load(tmp_path)(clips), back(clips))
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.safetensors"]


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    encoder = trained(Compact3DConfig(width=4))
    save_encoder(encoder, tmp_path / "a.safetensors")
    save_encoder(load_encoder(tmp_path / "a.safetensors"), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_loading_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    save_encoder(trained(Compact3DConfig(width=4)), tmp_path / "encoder.safetensors")
    before = torch.get_rng_state()
    load_encoder(tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no encoder\.safetensors here"):
        load_encoder(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        load_encoder(tmp_path / "none.safetensors")


def test_trap_32_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="not a safetensors file"):
        load_encoder(tmp_path / "model.pt")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    save_encoder(trained(Compact3DConfig(width=4)), tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"half\.safetensors: not a safetensors file, or a damaged one"):
        load_encoder(tmp_path / "half.safetensors")


def test_other_safetensors_files_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="not of echossl"):
        load_encoder(tmp_path / "other.safetensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "new.safetensors", metadata={"echossl": '{"size": 3}'})
    with pytest.raises(UserError, match=r"cannot be used by this version .*architecture"):
        load_encoder(tmp_path / "new.safetensors")


def test_trap_21_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    encoder = trained(Compact3DConfig(width=4))
    label = {"echossl": encoder.metadata.model_dump_json()}
    state = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    faults = {
        "stem.0.weight is missing": {name: value for name, value in state.items() if name != "stem.0.weight"},
        "extra is unknown": state | {"extra": torch.zeros(1)},
        r"stem.0.weight has shape \(2,\), expected \(4, 8, 3, 3, 3\)": state
        | {"stem.0.weight": torch.zeros(2)},
    }
    for message, content in faults.items():
        save_file(content, tmp_path / "wrong.safetensors", metadata=label)
        with pytest.raises(UserError, match=message):
            load_encoder(tmp_path / "wrong.safetensors")
