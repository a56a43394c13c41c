"""Settings of the data room."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

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
