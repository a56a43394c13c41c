"""Settings of what an encoder that has learned from reports can do without labels: words and retrieval."""

from pathlib import Path

from pydantic import Field, field_validator

from echossl.config.base import Config
from echossl.config.data import DataConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.objective import STUDY
from echossl.config.training import HardwareConfig

# classes of a column of 0 and 1
NEGATIVE, POSITIVE = "negative", "positive"
Sentences = tuple[str, ...]


class AlignedConfig(Config):
    """What the commands that compare pictures with words share."""

    run: Path = Field(
        description="Run folder of echossl pretrain with an objective that compares studies with reports."
    )
    data: DataConfig = Field(description="Manifest and clip store.")
    out: Path = Field(description="Run folder.")
    split: str = Field("test", description="Split whose studies are used; all if the manifest has none.")
    slot: str = Field(
        STUDY, description="Whose pictures are compared: the whole study, or one of the slots of the run."
    )
    clips_per_video: int = Field(2, ge=1, description="Evenly spread clips whose features are averaged.")
    hardware: HardwareConfig = Field(HardwareConfig(), description="Device and precision of the encoder.")


class ZeroshotConfig(AlignedConfig):
    """``echossl zeroshot``: labels predicted by the words for them, without any labelled study."""

    prompts: dict[str, dict[str, Sentences]] = Field(
        min_length=1,
        description="Label column to class to sentences, as a report would say it, whose vectors are "
        "averaged. The classes of a column of 0 and 1 are negative and positive.",
    )

    @field_validator("prompts")
    @classmethod
    def _two_classes(cls, value: dict[str, dict[str, Sentences]]) -> dict[str, dict[str, Sentences]]:
        for column, classes in value.items():
            if len(classes) < 2:
                raise ValueError(f"{column} has {len(classes)} class, expected two or more to choose from")
            binary = set(classes) & {NEGATIVE, POSITIVE}
            if binary and set(classes) != {NEGATIVE, POSITIVE}:
                raise ValueError(
                    f"{column}: {min(binary)} stands for 0 or 1, with its opposite and nothing else"
                )
            for name, sentences in classes.items():
                if not sentences or not all(sentence.strip() for sentence in sentences):
                    raise ValueError(f"{column}.{name}: expected one sentence or more, none of them empty")
        return value


class RetrieveConfig(AlignedConfig):
    """``echossl retrieve``: how often pictures find their report, and reports their pictures."""

    report_column: str = Field("report", description="Column of the manifest with the reports.")
    ranks: tuple[int, ...] = Field((1, 5, 10), min_length=1, description="K of R@K: found among the first K.")
    bootstrap: BootstrapConfig = Field(BootstrapConfig(), description="Intervals.")

    @field_validator("ranks")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 1 or len(set(value)) < len(value):
            raise ValueError(f"found {list(value)}; give different whole numbers from 1")
        return value
