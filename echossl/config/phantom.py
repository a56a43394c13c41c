"""Settings of the phantom."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from echossl.config.base import Config

Container = Literal["avi", "mp4", "dcm", "png"]
ViewName = Literal["plax", "a4c"]
SourceName = Literal["phantom", "harbour", "hill", "lake"]
# the least that the lower end of a range may be
LEAST = {"videos_per_study": 1, "beats": 0.3, "frames_per_second": 5.0, "image_height": 48}


class FindingSettings(Config):
    """Findings that have nothing to do with each other or with the valve; each is seen in the picture."""

    left_atrial_enlargement: float = Field(0.3, ge=0, le=1, description="Share of the patients who have it.")
    left_ventricular_hypertrophy: float = Field(
        0.3, ge=0, le=1, description="Share of the patients who have it."
    )
    pericardial_effusion: float = Field(0.2, ge=0, le=1, description="Share of the patients who have it.")
    assessed: float = Field(
        0.8, ge=0, le=1, description="Share of the cells that are filled; the others are empty: not assessed."
    )
    doubt: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the filled cells where the reader was in doubt: the source lake writes the "
        "word uncertain, the others leave such cells empty.",
    )


class ReportSettings(Config):
    """Free-text reports from the truth: paraphrased, with negations, errors of typing and silence."""

    language: Literal["english", "german"] = Field("english", description="Language of the reports.")
    left_out: float = Field(
        0.15, ge=0, le=1, description="Chance that a report says nothing about a part of the heart."
    )
    typos: float = Field(0.01, ge=0, le=1, description="Share of the words with two letters in wrong order.")


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
    views: tuple[ViewName, ...] = Field(
        ("plax",),
        min_length=1,
        description="Views of a study in turn, from a random one on: parasternal long axis, apical four "
        "chambers (which does not show the aortic valve). A study of fewer videos lacks a view.",
    )
    sources: tuple[SourceName, ...] = Field(
        ("phantom",),
        min_length=1,
        description="Hospitals, by chance one for each patient; they differ in grey curve, speckle, opening "
        "of the fan, words on the screen, which grades and which findings they have.",
    )
    findings: FindingSettings | None = Field(
        None, description="Findings beside the stenosis, as columns of 0, 1 or empty; any of these turns on."
    )
    reports: ReportSettings | None = Field(
        None, description="Free-text reports in place of one sentence; any of these turns them on."
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
        ("avi", "mp4", "dcm"),
        min_length=1,
        description="File kinds, used in turn; png alone: a still picture at a random moment, no video.",
    )
    workers: int = Field(0, ge=0, description="Processes; 0 takes one per core.")

    @property
    def stills(self) -> bool:
        """Whether pictures are written instead of videos."""
        return self.containers == ("png",)

    @field_validator("views", "sources")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("one is named twice; name each once")
        return value

    @field_validator("containers")
    @classmethod
    def _stills_have_no_time(
        cls, value: tuple[Container, ...], info: ValidationInfo
    ) -> tuple[Container, ...]:
        if "png" not in value:
            return value
        if len(value) > 1:
            raise ValueError("png is a still picture and stands alone; make two phantoms")
        for name in ("beats", "frames_per_second"):
            if info.data.get(name) != cls.model_fields[name].default:
                raise ValueError(f"a still picture has no {name}; leave {name} out")
        return value


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
