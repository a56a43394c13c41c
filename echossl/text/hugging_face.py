"""A text model of Hugging Face, from a local folder; nothing is downloaded and nothing is executed."""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from echossl.config.text import HuggingFaceTextConfig
from echossl.errors import UserError
from echossl.text.model import KIND, NETWORK, SETTINGS, TOKENIZER, TextModel

PADDING = "pad_token_id"


class HuggingFaceText(TextModel):
    """A network of the library ``transformers`` and its tokenizer; the vector is that of its first token.

    Its pooling layer, which is trained on other things, is taken off, and it drops nothing out, so that a run
    that was stopped goes on as if it had not been.

    Args:
        config: where it came from, and how much of a report is read.
        tokenizer: of the library ``tokenizers``.
        network: gives ``last_hidden_state`` for ``input_ids`` and ``attention_mask``.
    """

    def __init__(self, config: HuggingFaceTextConfig, tokenizer: Any, network: Any) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.dim = int(network.config.hidden_size)
        self.length = min(
            config.length, int(getattr(network.config, "max_position_embeddings", config.length))
        )
        if getattr(network, "pooler", None) is not None:
            network.pooler = None
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        self.network: nn.Module = network
        self.padding = int(getattr(network.config, PADDING, None) or 0)
        tokenizer.no_truncation()
        tokenizer.no_padding()

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Vectors of reports, on the device of the weights: (texts, dim)."""
        rows = [self._pieces(text) for text in texts]
        longest = max(len(row) for row in rows)
        ids = torch.tensor([row + [self.padding] * (longest - len(row)) for row in rows])
        seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        device = next(self.network.parameters()).device
        hidden: Tensor = self.network(
            input_ids=ids.to(device), attention_mask=seen.to(device)
        ).last_hidden_state
        return hidden[:, 0]

    def cut_share(self, texts: Sequence[str]) -> float:
        """Share of the texts that are longer than what is read of them, 0 to 1."""
        counts = [len(self.tokenizer.encode(text).ids) for text in texts]
        return sum(count > self.length for count in counts) / len(counts)

    def records(self) -> dict[str, str]:
        """Settings, tokenizer and the network's own settings."""
        return {
            KIND: self.config.name,
            SETTINGS: self.config.model_dump_json(),
            TOKENIZER: self.tokenizer.to_str(),
            NETWORK: json.dumps(self.network.config.to_dict()),  # type: ignore[union-attr, operator]
        }

    def _pieces(self, text: str) -> list[int]:
        """Numbers of the pieces; of a text that is too long the special end stays."""
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids if len(ids) <= self.length else [*ids[: self.length - 1], ids[-1]]


def read_folder(config: HuggingFaceTextConfig) -> HuggingFaceText:
    """Read weights and tokenizer.

    Raises:
        UserError: if the library is missing, or the folder holds no such model.
    """
    library = _library()
    if not (config.path / "config.json").is_file():
        raise UserError(
            f"{config.path}: found no config.json, expected the folder of a text model that transformers "
            "saved; download one there by other means"
        )
    try:
        wrapped = library.AutoTokenizer.from_pretrained(config.path, local_files_only=True)
        network = library.AutoModel.from_pretrained(
            config.path, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{config.path}: not a text model with a tokenizer ({reason}); expected config.json, "
            "model.safetensors and tokenizer.json or vocab.txt"
        ) from error
    tokenizer = getattr(wrapped, "backend_tokenizer", None)
    if tokenizer is None:
        raise UserError(
            f"{config.path}: its tokenizer has no fast form; save it again with transformers' "
            "AutoTokenizer(use_fast=True)"
        )
    return HuggingFaceText(config, tokenizer, network)


def from_records(records: Mapping[str, str]) -> HuggingFaceText:
    """The model of :meth:`HuggingFaceText.records`, with random weights."""
    library, tokenizers = _library(), import_module("tokenizers")
    network = json.loads(records[NETWORK])
    settings = library.AutoConfig.for_model(network.pop("model_type"), **network)
    config = HuggingFaceTextConfig.model_validate(json.loads(records[SETTINGS]))
    tokenizer = tokenizers.Tokenizer.from_str(records[TOKENIZER])
    return HuggingFaceText(config, tokenizer, library.AutoModel.from_config(settings))


def _library() -> Any:
    try:
        return import_module("transformers")
    except ImportError as error:
        raise UserError(
            "text hugging_face: needs the package transformers; pip install 'echossl[text]'"
        ) from error
