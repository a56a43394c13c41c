"""Settings of saliency."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from echossl.config.base import Config
from echossl.config.evaluation import BootstrapConfig
from echossl.config.saliency import METHOD_NAMES, CamSettings, CheckName, ChecksSettings, MethodSettings


class ExplainConfig(Config):
    """``echossl explain``: saliency maps of a fine-tuned run, with controls."""

    run: Path = Field(description="Run folder of echossl finetune.")
    out: Path = Field(description="Folder to write to.")
    split: str = Field("test", description="Split whose studies are explained; it must have been predicted.")
    studies: int = Field(
        6, ge=1, description="Studies, half of them positive, drawn by the seed and not by their score."
    )
    methods: tuple[MethodSettings, ...] = Field(
        (CamSettings(),),
        min_length=1,
        description="Names of methods, or methods with their settings; the first is drawn in overlay.mp4.",
    )
    output: str | None = Field(
        None,
        description="Which answer is explained: a column, a class (log odds against the others), a cut of "
        "grades such as at_least_severe; empty takes the only one. Of a measurement, studies above the "
        "median stand for the positive ones.",
    )
    layer: str | None = Field(
        None,
        description="Part of the encoder whose output is explained, for finer cells, or input, or "
        "feature_map; empty: the last map for class activation maps, the pixels for the other methods.",
    )
    clips: Literal["middle", "score"] = Field(
        "middle",
        description="The clip in the middle of each video, or all clips that the study's score is the mean "
        "of, on one scale per study.",
    )
    region: Path | None = Field(
        None,
        description="Where the maps should point: a table of boxes or masks (.csv), or a phantom folder, "
        "whose true valve and walls are taken.",
    )
    checks: ChecksSettings = Field(ChecksSettings(), description="Checks of the methods.")
    bootstrap: BootstrapConfig = Field(BootstrapConfig(), description="Intervals of the checks.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where the maps are worked out.")
    seed: int = Field(0, ge=0, description="Seed of the choice of studies and of the random-weights control.")

    @model_validator(mode="after")
    def _methods_fit(self) -> "ExplainConfig":
        names = [method.name for method in self.methods]
        if len(set(names)) < len(names):
            raise ValueError(f"methods: each may be named once, found {', '.join(names)}")
        if self.layer is not None and "attention_rollout" in names:
            raise ValueError("layer: attention_rollout goes through all layers; leave out one of them")
        return self


def words_of(
    words: Sequence[str], options: Mapping[str, object], *, methods: str | None, checks: bool
) -> list[str]:
    """The words of a command line with its options among them; words that are said outright come last.

    Args:
        words: a run folder, a file of settings, ``key=value``.
        options: values by name of the setting; those that are None were not given.
        methods: names with commas between them, or ``all``: every one but attention_rollout, for which most
            networks lack the attention.
        checks: whether all checks are made.
    """
    runs = [word for word in words if "=" not in word and Path(word).is_dir()]
    rest = [word for word in words if word not in runs]
    files, said = [word for word in rest if "=" not in word], [word for word in rest if "=" in word]
    found: list[str] = []
    for run in runs:
        found += [f"run={run}", f"out={Path(run) / 'saliency'}"]
    found += [f"{name}={value}" for name, value in options.items() if value is not None]
    if methods is not None:
        every = [name for name in METHOD_NAMES if name != "attention_rollout"]
        names = every if methods == "all" else methods.split(",")
        found.append(f"methods=[{','.join(name.strip() for name in names)}]")
    if checks:
        found.append(f"checks.which=[{','.join(get_args(CheckName))}]")
    return [*files, *found, *said]
