"""Reports to vectors: the own network, and a folder of Hugging Face made here."""

from pathlib import Path

import pytest
import torch

from echossl.config.base import load_config
from echossl.config.text import HuggingFaceTextConfig, OwnTextConfig
from echossl.errors import UserError
from echossl.text import build_text
from echossl.text.model import restored_text

REPORTS = [
    "Severe aortic stenosis, peak velocity 4.6 m/s.",
    "No aortic stenosis.",
    "Die Aortenklappe ist stark verkalkt.",
    "主动脉瓣重度狭窄。",
] * 3
OWN = OwnTextConfig(width=16, depth=1, heads=2, length=12, vocabulary_size=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with a word-piece vocabulary, as transformers saves it."""
    transformers = pytest.importorskip("transformers", reason="the extra text is not installed")
    path = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.,"]
    words += ["##" + letter for letter in "abcdefghijklmnopqrstuvwxyz"] + ["severe", "aortic", "stenosis"]
    (path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(path / "vocab.txt")).save_pretrained(path)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(path)
    return path


def test_own_vectors_do_not_depend_on_the_other_texts() -> None:
    model = build_text(OWN, REPORTS)
    with torch.no_grad():
        together = model(REPORTS[:4])
        alone = torch.cat([model([text]) for text in REPORTS[:4]])
    assert together.shape == (4, model.dim)
    torch.testing.assert_close(together, alone)


def test_own_vectors_are_those_of_equal_reports() -> None:
    model = build_text(OWN, REPORTS)
    with torch.no_grad():
        one, other, third = model(["No aortic stenosis.", "NO  aortic\nstenosis.", "Severe aortic stenosis."])
    assert torch.equal(one, other)
    assert not torch.allclose(one, third)


def test_every_weight_of_the_own_network_learns() -> None:
    model = build_text(OWN, REPORTS)
    model(REPORTS).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_own_model_comes_back_from_its_records() -> None:
    model = build_text(OWN, REPORTS)
    again = restored_text(model.records())
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(REPORTS), model(REPORTS))


def test_how_many_reports_are_cut_is_known() -> None:
    model = build_text(OWN, REPORTS)
    assert model.cut_share(["No stenosis.", "word " * 50]) == 0.5


def test_a_folder_gives_what_transformers_gives(folder: Path) -> None:
    import transformers

    model = build_text(HuggingFaceTextConfig(path=folder, length=20), REPORTS)
    texts = ["Severe aortic stenosis.", "No."]
    reader = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.BertModel.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = network(**reader(texts, padding=True, return_tensors="pt")).last_hidden_state[:, 0]
        found = model.train()(texts)  # nothing is dropped out while it trains either
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(model(texts[1:])[0], found[1], rtol=1e-4, atol=1e-5)
    assert model.dim == 16


def test_every_weight_of_a_folder_learns(folder: Path) -> None:
    model = build_text(HuggingFaceTextConfig(path=folder), REPORTS)
    model(REPORTS[:2]).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_reports_longer_than_the_folders_positions_are_cut(folder: Path) -> None:
    model = build_text(HuggingFaceTextConfig(path=folder, length=128), REPORTS)
    assert model(["aortic " * 60]).shape == (1, 16)
    assert model.cut_share(["aortic " * 60, "aortic"]) == 0.5


def test_a_folders_model_comes_back_from_its_records_alone(folder: Path, tmp_path: Path) -> None:
    model = build_text(HuggingFaceTextConfig(path=folder), REPORTS)
    records = {
        name: text.replace(str(folder), str(tmp_path / "gone")) for name, text in model.records().items()
    }
    again = restored_text(records)
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again(REPORTS[:2]), model(REPORTS[:2]))


def test_a_folder_without_a_model_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"found no config\.json"):
        build_text(HuggingFaceTextConfig(path=tmp_path), REPORTS)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(UserError, match="not a text model with a tokenizer"):
        build_text(HuggingFaceTextConfig(path=tmp_path), REPORTS)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UserError, match="width 10 is not a multiple of heads 4"):
        load_config(OwnTextConfig, None, ["width=10"])


def test_records_of_something_else_are_refused() -> None:
    with pytest.raises(UserError, match="expected own or hugging_face"):
        restored_text({})
