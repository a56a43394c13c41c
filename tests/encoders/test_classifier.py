import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from echossl.config.encoder import Compact3DConfig
from echossl.config.task import TaskSettings
from echossl.config.video import ClipConfig
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.attention import GatedAttention
from echossl.encoders.classifier import StudyPooling, load_classifier, save_classifier
from echossl.encoders.files import find_file, load_encoder, save_encoder
from echossl.errors import UserError

TASK = TaskSettings(name="binary", columns=("severe_as",))


def _classifier():
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=8), size=32, mean=0.2, std=0.3
    )
    encoder = build_encoder(metadata)
    return encoder, nn.Linear(encoder.dim, 1)


def test_file_gives_back_the_same_classifier(tmp_path) -> None:
    encoder, head = _classifier()
    encoder(torch.rand(4, 1, 8, 32, 32))  # so that the running statistics are not those of a new network
    save_classifier(encoder, head, TASK, tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        found, found_head, task = load_classifier(path)
        assert task == TASK
        assert found.metadata == encoder.metadata
        assert not found.training
        clips = torch.rand(2, 1, 8, 32, 32)
        assert torch.equal(found_head(found(clips)), head(encoder.eval()(clips)))


def test_the_encoder_in_it_is_read_like_any_other(tmp_path) -> None:
    encoder, head = _classifier()
    attention = StudyPooling("attention", GatedAttention(encoder.dim, 4))
    save_classifier(encoder, head, TASK, tmp_path / "model.safetensors", attention)
    found = load_encoder(tmp_path)
    clips = torch.rand(2, 1, 8, 32, 32)
    assert torch.equal(found(clips), encoder.eval()(clips))
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    assert find_file(tmp_path).name == "encoder.safetensors"


def test_loading_leaves_the_random_numbers_alone(tmp_path) -> None:
    save_classifier(*_classifier(), TASK, tmp_path / "model.safetensors")
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_classifier(tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_folder_without_a_model_says_what_to_give(tmp_path) -> None:
    with pytest.raises(
        UserError, match=r"no model\.safetensors here; give a finished run of echossl finetune"
    ):
        load_classifier(tmp_path)


def test_encoder_without_a_head_is_no_classifier(tmp_path) -> None:
    encoder, _ = _classifier()
    save_encoder(encoder, tmp_path / "encoder.safetensors")
    with pytest.raises(UserError, match=r"head\.bias is missing, head\.weight is missing"):
        load_classifier(tmp_path / "encoder.safetensors")


def test_trap_32_pickle_is_not_opened(tmp_path) -> None:
    encoder, _ = _classifier()
    torch.save(encoder.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="not a safetensors file, or a damaged one"):
        load_classifier(tmp_path)


def test_file_of_another_tool_is_refused(tmp_path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="it has no 'echossl' metadata"):
        load_classifier(tmp_path)
    save_file({"weight": torch.zeros(2)}, tmp_path / "model.safetensors", metadata={"echossl": '{"size": 0}'})
    with pytest.raises(UserError, match="its metadata cannot be used"):
        load_classifier(tmp_path)
