"""A report becomes a vector: a tokenizer and a network behind one face."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from echossl.config.text import HuggingFaceTextConfig, OwnTextConfig, TextConfig
from echossl.errors import UserError
from echossl.text.tokenizer import Tokenizer
from echossl.text.transformer import TextTransformer

# names of what a file says about its text model
KIND, SETTINGS, TOKENIZER, NETWORK = "text_kind", "text_settings", "text_tokenizer", "text_network"


class TextModel(nn.Module, ABC):
    """What reads reports.

    Attributes:
        dim: length of a report's vector.
    """

    dim: int

    @abstractmethod
    def forward(self, texts: Sequence[str]) -> Tensor:
        """Vectors of reports, on the device of the weights: (texts, dim)."""

    @abstractmethod
    def cut_share(self, texts: Sequence[str]) -> float:
        """Share of the texts that are longer than what is read of them, 0 to 1."""

    @abstractmethod
    def records(self) -> dict[str, str]:
        """What :func:`restored_text` makes the model again from, but for the weights."""


class OwnText(TextModel):
    """A small transformer with a vocabulary of its own; the vector is that of ``[CLS]``.

    Args:
        config: size of the network.
        tokenizer: trained on the reports.
    """

    def __init__(self, config: OwnTextConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.config, self.tokenizer, self.dim = config, tokenizer, config.width
        self.network = TextTransformer(config, len(tokenizer), reads_pictures=False, says_words=False)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Vectors of reports, on the device of the weights: (texts, dim)."""
        ids = torch.from_numpy(self.tokenizer.encode(texts, length=self.config.length))
        hidden: Tensor = self.network(ids.to(self.network.pos_embed.device))
        return hidden[:, 0]

    def cut_share(self, texts: Sequence[str]) -> float:
        """Share of the texts that are longer than what is read of them, 0 to 1."""
        return float(self.tokenizer.cut(texts, length=self.config.length).mean())

    def records(self) -> dict[str, str]:
        """Settings and tokenizer."""
        return {
            KIND: self.config.name,
            SETTINGS: self.config.model_dump_json(),
            TOKENIZER: self.tokenizer.to_json(),
        }


def build_text(config: TextConfig, reports: Sequence[str]) -> TextModel:
    """Make what reads reports; random weights come from torch's global generator.

    Args:
        config: which kind, and its size.
        reports: those of the training split, which the own kind learns its vocabulary from.

    Raises:
        UserError: if a library is missing, or the folder holds no text model.
    """
    match config:
        case OwnTextConfig():
            return OwnText(config, Tokenizer.train(reports, size=config.vocabulary_size))
        case HuggingFaceTextConfig():
            from echossl.text.hugging_face import read_folder  # a library that takes seconds to import

            return read_folder(config)


def restored_text(records: Mapping[str, str]) -> TextModel:
    """The model of :meth:`TextModel.records`, with random weights; the file's go in afterwards.

    Raises:
        UserError: if the records are not of a text model.
    """
    kind = records.get(KIND)
    if kind == "own":
        config = OwnTextConfig.model_validate(json.loads(records[SETTINGS]))
        return OwnText(config, Tokenizer.from_json(records[TOKENIZER]))
    if kind == "hugging_face":
        from echossl.text.hugging_face import from_records

        return from_records(records)
    raise UserError(
        f"{KIND}: found {kind}, expected own or hugging_face; take a file that pre-training wrote"
    )
