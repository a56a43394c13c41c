"""Settings of prediction, and what a model has to know of the videos that it was trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from echossl.config.base import Config
from echossl.config.evaluation import LEAST_PER_CLASS
from echossl.config.saliency import CamSettings, MethodSettings
from echossl.config.training import HardwareConfig
from echossl.config.video import Backend, ClipPolicy


class VideoUse(Config):
    """How videos became clips when a classifier was trained; kept in its file."""

    sector: Literal["mask_and_crop", "mask", "keep"] = Field(
        description="What was done with what lies outside the ultrasound sector."
    )
    doppler: Literal["keep", "blank"] = Field(description="What was done with colour Doppler.")
    backend: Backend = Field("auto", description="Video decoder.")
    clips_per_video: int = Field(2, ge=1, description="Clips that are averaged to a video's score.")
    clip_policy: ClipPolicy = Field("uniform", description="Which clips those are.")
    seed: int = Field(0, ge=0, description="Seed of the clip policy random.")
    num_videos: int = Field(0, ge=0, description="Videos of the clip store.")
    with_sector: int = Field(0, ge=0, description="Of those, in how many a sector was found.")
    with_doppler: int = Field(0, ge=0, description="Of those, how many show colour Doppler.")
    stills: int = Field(0, ge=0, description="Of those, how many are of one frame.")


class PredictConfig(Config):
    """``echossl predict``: scores of new studies by a fine-tuned model, with what was refused and why."""

    model: Path = Field(description="Run folder of echossl finetune, or its model.safetensors.")
    studies: tuple[Path, ...] = Field(
        min_length=1,
        description="Folders of videos, video files, or tables of videos (.csv, .parquet) as `index` makes.",
    )
    out: Path = Field(Path("predicted"), description="New folder to write to.")
    fps: float | None = Field(None, gt=0, description="Frame rate of videos that state none.")
    frame_folders: bool = Field(False, description="Take every folder of pictures as one video.")
    unlike: Literal["refuse", "take"] = Field(
        "refuse",
        description="Videos of a kind that training hardly saw (colour Doppler, no sector, stills).",
    )
    store: Path | None = Field(
        None, description="Clip store of training, for a model that does not say how it was made."
    )
    validation: Path | None = Field(
        None,
        description="Table of this model's predictions for labelled studies that it was not trained on, to "
        "calibrate with; empty takes the run's own validation patients.",
    )
    calibration: Literal["platt", "temperature", "none"] = Field(
        "platt", description="Curve from scores to probabilities, of binary labels."
    )
    least_per_class: int = Field(
        LEAST_PER_CLASS,
        ge=2,
        description="Validation studies of each class without which nothing is calibrated.",
    )
    rule: Literal["sensitivity", "specificity", "youden"] = Field(
        "sensitivity", description="How the operating point is chosen on the validation studies."
    )
    target: float = Field(0.9, gt=0, lt=1, description="Sensitivity or specificity that it reaches there.")
    overlays: int = Field(1, ge=0, description="Videos of each study whose saliency is drawn, foremost ones.")
    method: MethodSettings = Field(CamSettings(), description="Method of saliency.")
    layer: str | None = Field(
        None, description="Part of the encoder whose output is explained; empty takes the method's own."
    )
    seconds_per_video: float = Field(600.0, gt=0, description="A video that takes longer is refused.")
    workers: int = Field(0, ge=0, description="Processes that decode; 0 takes one per core.")
    hardware: HardwareConfig = Field(HardwareConfig(), description="Device and precision.")

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> "PredictConfig":
        fields = type(self).model_fields
        if self.rule == "youden" and self.target != fields["target"].default:
            raise ValueError("target has no effect with rule youden; leave one of them out")
        drawn = (("method", self.method), ("layer", self.layer))
        for name, value in drawn:
            if not self.overlays and value != fields[name].default:
                raise ValueError(f"{name} has no effect with overlays=0; leave one of them out")
        if self.layer is not None and self.method.name == "attention_rollout":
            raise ValueError("layer: attention_rollout goes through all layers; leave out one of them")
        return self


def words_of(words: Sequence[str], *, out: Path | None) -> list[str]:
    """The words of a command line: a model, then studies, then ``key=value``; those said outright come last.

    Args:
        words: paths and ``key=value``. A path that exists is a path, also with ``=`` in its name; a file of
            settings is one that ends in ``.yaml`` or ``.yml``.
        out: folder to write to, if it was given.
    """
    said = [word for word in words if "=" in word and not Path(word).exists()]
    paths = [word for word in words if word not in said]
    files = [word for word in paths if Path(word).suffix in {".yaml", ".yml"}]
    model, *studies = [word for word in paths if word not in files] or [""]
    found = [f"model={model}"] if model else []
    found += [f"studies=[{','.join(_quoted(study) for study in studies)}]"] if studies else []
    found += [f"out={out}"] if out is not None else []
    return [*files, *found, *said]


def _quoted(text: str) -> str:
    """As one word of YAML, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"
