"""Settings of the phantom."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from echossl.config.base import Config

Container = Literal["avi", "mp4", "dcm"]
# the least that the lower end of a range may be
LEAST = {"videos_per_study": 1, "beats": 0.3, "frames_per_second": 5.0, "image_height": 48}


class PhantomSettings(Config):
    """What the synthetic patients and their videos are like."""

    patients: int = Field(40, ge=1, description="Number of patients, one study each.")
    seed: int = Field(
        0, ge=0, description="Seed; patient i of a seed never depends on the number of patients."
    )
    view: Literal["valve", "sector"] = Field(
        "valve",
        description="Valve-centred parasternal long axis of 9-11 cm, or the whole 15 cm sector (hard).",
    )
    share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Part of the view and scanner variance that a patient's videos have in common.",
    )
    effect: float = Field(1.0, ge=0, description="Scale of what the disease does to the picture.")
    videos_per_study: tuple[int, int] = Field((2, 4), description="Fewest and most videos of a study.")
    beats: tuple[float, float] = Field((1.0, 3.0), description="Shortest and longest video, in heart beats.")
    frames_per_second: tuple[float, float] = Field((25.0, 60.0), description="Lowest and highest frame rate.")
    image_height: tuple[int, int] = Field(
        (112, 160), description="Smallest and largest picture height in pixels."
    )
    containers: tuple[Container, ...] = Field(
        ("avi", "mp4", "dcm"), min_length=1, description="File kinds, used in turn."
    )
    workers: int = Field(0, ge=0, description="Processes; 0 takes one per core.")


class PhantomConfig(PhantomSettings):
    """``echossl phantom``: synthetic patients as real encoded video files with known truth."""

    out: Path = Field(description="Folder to write to.")

    @field_validator(*LEAST)
    @classmethod
    def _check_range(cls, value: tuple[float, float], info: ValidationInfo) -> tuple[float, float]:
        smallest = LEAST[str(info.field_name)]
        if not smallest <= value[0] <= value[1]:
            raise ValueError(f"expected {smallest} <= lowest <= highest")
        return value
