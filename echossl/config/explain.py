"""Settings of saliency."""

from pathlib import Path

from pydantic import Field

from echossl.config.base import Config
from echossl.config.evaluation import BootstrapConfig


class ExplainConfig(Config):
    """``echossl explain``: saliency maps of a fine-tuned run, with controls."""

    run: Path = Field(description="Run folder of echossl finetune.")
    out: Path = Field(description="Folder to write to.")
    split: str = Field("test", description="Split whose studies are explained; it must have been predicted.")
    studies: int = Field(
        6, ge=1, description="Studies, half of them positive, drawn by the seed and not by their score."
    )
    layer: str | None = Field(
        None,
        description="Part of the encoder whose output is explained, for finer cells; empty: the last map.",
    )
    region: Path | None = Field(
        None, description="Phantom folder whose true valve region the maps are checked against."
    )
    bootstrap: BootstrapConfig = Field(BootstrapConfig(), description="Intervals of the region check.")
    seed: int = Field(0, ge=0, description="Seed of the choice of studies and of the random-weights control.")
