"""Settings of the data room."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from echossl.config.base import Config
from echossl.config.video import Backend, ClipConfig


class CheckConfig(Config):
    """``echossl check``: decode every video of a manifest and name what cannot be used."""

    manifest: Path = Field(description="The table of videos.")
    clip: ClipConfig = Field(
        ClipConfig(),
        description="What will be cut from the videos: a shorter one gets a note, or is a problem with "
        "clip.too_short=error.",
    )
    backend: Backend = Field(
        "auto", description="Video decoder: that of prepare, as another may refuse other files."
    )
    seconds_per_video: float = Field(
        600.0, gt=0, description="A video that takes longer to decode is unreadable."
    )
    workers: int = Field(0, ge=0, description="Processes; 0 takes one per core.")


class PrepareConfig(Config):
    """``echossl prepare``: decode every video once into the clip store."""

    manifest: Path = Field(description="The table of videos.")
    out: Path = Field(description="Folder of the clip store.")
    size: int = Field(112, ge=8, description="Height and width of a stored frame in pixels.")
    sector: Literal["mask_and_crop", "mask", "keep"] = Field(
        "mask_and_crop",
        description="Blank what lies outside the ultrasound sector and crop to it, only blank, or keep all.",
    )
    doppler: Literal["keep", "blank"] = Field(
        "keep", description="Colour Doppler inside the sector: keep it (as grey), or blank its pixels."
    )
    format: Literal["raw", "compressed", "files"] = Field(
        "raw",
        description="Frames uncompressed (fastest), losslessly compressed (large collections), or not stored "
        "at all: only where the sector is, and clips are decoded from the video files.",
    )
    backend: Backend = Field("auto", description="Video decoder.")
    workers: int = Field(0, ge=0, description="Processes; 0 takes one per core.")
    videos_per_shard: int = Field(32, ge=1, description="Videos per file of the store; the unit of resuming.")
    shard: str = Field(
        "1/1",
        pattern=r"^[1-9]\d*/[1-9]\d*$",
        description="i/n does the i-th of n parts, for clusters; the last to end finishes the store.",
    )
    seconds_per_video: float = Field(
        600.0, gt=0, description="A video that takes longer to decode is rejected."
    )

    @field_validator("shard")
    @classmethod
    def _is_one_of_the_parts(cls, value: str) -> str:
        index, num_parts = value.split("/")
        if int(index) > int(num_parts):
            raise ValueError(f"there is no part {index} of {num_parts}; count from 1 to {num_parts}")
        return value


class DataConfig(Config):
    """What training reads: the labels from the manifest, the frames from the store."""

    manifest: Path = Field(description="The table of videos, with labels and splits.")
    store: Path = Field(description="Clip store made by echossl prepare.")
    max_bad_fraction: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the videos that may turn out unreadable while training; they are replaced, "
        "logged and counted, beyond it the run stops with their list.",
    )


class SourceConfig(Config):
    """Videos from another place, with a manifest and a store of their own."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="Short name; stands before its patient ids, so that those of two sources never meet.",
    )
    manifest: Path = Field(description="The table of its videos.")
    store: Path = Field(description="Its clip store, of the same size as the others.")


class FusionConfig(Config):
    """Several sources in one pre-training; nothing is fused where no further source is named."""

    sources: tuple[SourceConfig, ...] = Field((), description="Further sources, beside the one of data.")
    name: str = Field(
        "data",
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="Name of the source that data names, among the others.",
    )
    sampling: Literal["proportional", "uniform", "temperature"] = Field(
        "proportional",
        description="Share of a source in every batch: as it has patients, the same for all, or its patients "
        "to the power of 1 / temperature.",
    )
    temperature: float | None = Field(
        None, gt=0, description="With sampling temperature: 1 is proportional, a large one nearly uniform."
    )
    grey: Literal["as_is", "matched"] = Field(
        "as_is",
        description="Grey values as they are, or those above 0 moved and scaled to the mean and deviation "
        "that they have in data. In pre-training alone: adaptation sees the videos as they are.",
    )

    @model_validator(mode="after")
    def _settings_have_effect(self) -> "FusionConfig":
        changed = [name for name in self.model_fields_set if name != "sources"]
        if not self.sources and changed and self != FusionConfig():
            raise ValueError(
                f"{changed[0]} is set, but there are no further sources; add some, or leave it out"
            )
        if (self.temperature is not None) != (self.sampling == "temperature"):
            raise ValueError("sampling temperature and a temperature belong together; set both or none")
        names = [self.name, *(source.name for source in self.sources)]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two sources are named {twice[0]}; name each once")
        return self
