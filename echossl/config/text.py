"""Settings of the networks that read reports: an own small one, or a local folder of Hugging Face."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from echossl.config.base import Config


class OwnTextConfig(Config):
    """A small transformer that is trained from random weights, on a vocabulary of the reports themselves."""

    name: Literal["own"] = "own"
    width: int = Field(128, ge=8, description="Length of a token and of a report's vector.")
    depth: int = Field(3, ge=1, description="Blocks.")
    heads: int = Field(4, ge=1, description="Heads of the attention, each of width / heads channels.")
    length: int = Field(
        128, ge=4, description="Word pieces of a report that are read; what is longer is cut, and counted."
    )
    vocabulary_size: int = Field(
        2000, ge=200, description="Word pieces that are learned from the reports, at most."
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> "OwnTextConfig":
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not a multiple of heads {self.heads}; change one of them"
            )
        return self


class HuggingFaceTextConfig(Config):
    """A text model in a local folder, as transformers saves it; nothing is downloaded."""

    name: Literal["hugging_face"] = "hugging_face"
    path: Path = Field(description="Folder with config.json, weights and tokenizer; needs echossl[text].")
    length: int = Field(
        128, ge=4, description="Word pieces of a report that are read; what is longer is cut, and counted."
    )


TextConfig = Annotated[OwnTextConfig | HuggingFaceTextConfig, Field(discriminator="name")]
