"""The plan of a study: which runs there are and in which folder each lies. Pure; nothing runs here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from echossl.adapt.finetune import PREDICTIONS_NAME
from echossl.config.across import AcrossConfig, AssessedLabels
from echossl.config.adapt import FinetuneConfig, LabelBudget
from echossl.config.logging import WandbConfig
from echossl.config.study import ArmConfig, PretrainingConfig, StudyConfig
from echossl.config.training import PretrainConfig
from echossl.study.across_run import predictions_name
from echossl.study.places import Place, places, pretrained_places, require_classes


@dataclass(frozen=True)
class Cell:
    """One adaptation: an arm, a label fraction, a label draw and a seed; of several sources also a place."""

    arm: ArmConfig
    fraction: float
    draw: int
    seed: int
    config: FinetuneConfig
    place: Place | None = None

    @property
    def is_finished(self) -> bool:
        """Whether its result and its predictions are there; a run whose table is gone is not finished."""
        names = (
            [predictions_name(one.name) for one in self.place.tested] if self.place else [PREDICTIONS_NAME]
        )
        return all((self.config.out / name).is_file() for name in ("result.json", *names))


def plan_pretrainings(config: StudyConfig) -> Iterator[PretrainConfig]:
    """Every pre-training that some arm starts from, once per seed and per set of sources."""
    needed = {arm.pretraining for arm in config.arms}
    for seed in _seeds(config):
        for pretraining in config.pretrainings:
            if pretraining.name not in needed:
                continue
            if not config.sources:
                yield _pretrain_config(config, pretraining, seed)
            for place in pretrained_places(config, pretraining.name):
                yield _pretrain_config(config, pretraining, seed, place)


def _pretrain_config(
    config: StudyConfig, pretraining: PretrainingConfig, seed: int, place: Place | None = None
) -> PretrainConfig:
    fusion = pretraining.sources.fused(place.pretrained) if place else pretraining.fusion
    return PretrainConfig(
        data=place.pretraining_data if place else pretraining.data or config.data,
        fusion=fusion,
        out=pretraining_folder(config, pretraining.name, seed, place),
        clip=pretraining.clip or config.clip,
        encoder=pretraining.encoder or config.encoder,
        start=pretraining.start,
        objectives=pretraining.objectives,
        augment=pretraining.augment or config.augment,
        optimiser=pretraining.optimiser or config.optimiser,
        pairs=pretraining.pairs,
        grey=pretraining.grey,
        batch_size=pretraining.batch_size or config.batch_size,
        seed=seed,
        hardware=config.hardware,
        wandb=_pretraining_wandb(config, pretraining.name, seed),
    )


def plan_cells(config: StudyConfig) -> Iterator[Cell]:
    """Every adaptation. The label draws are the same for every arm and seed, so differences are paired."""
    if config.sources:
        require_classes(config)
    for arm in config.arms:
        seeds = _seeds(config)[: arm.seeds]
        for place in places(config, arm) if config.sources else [None]:
            for fraction in config.fractions:
                for draw in range(config.draws):
                    for seed in seeds:
                        made = _finetune_config(config, arm, place, fraction, draw, seed)
                        yield Cell(arm, fraction, draw, seed, made, place)


def cell_name(config: StudyConfig, cell: Cell) -> str:
    """Name of a cell, which is where its folder lies below the study's ``cells``."""
    return cell.config.out.relative_to(config.out / "cells").as_posix()


def pretraining_folder(config: StudyConfig, name: str, seed: int, place: Place | None = None) -> Path:
    """Where the run of a pre-training lies."""
    made_of = f"-{place.pretrained_name}" if place else ""
    return config.out / "pretrain" / f"{name}{made_of}-seed{seed}"


def _pretraining_wandb(config: StudyConfig, name: str, seed: int) -> WandbConfig:
    if config.wandb.mode in {"auto", "disabled"}:
        return WandbConfig(mode="disabled")
    tags = (f"seed{seed}", *config.wandb.tags)
    return config.wandb.model_copy(update={"group": name, "job_type": "pretrain", "tags": tags})


def _seeds(config: StudyConfig) -> range:
    return range(config.first_seed, config.first_seed + config.seeds)


def _start(config: StudyConfig, arm: ArmConfig, seed: int, place: Place | None) -> Path | None:
    if arm.is_given:
        return Path(arm.start)
    return pretraining_folder(config, arm.pretraining, seed, place) if arm.pretraining else None


def _finetune_config(
    config: StudyConfig, arm: ArmConfig, place: Place | None, fraction: float, draw: int, seed: int
) -> FinetuneConfig:
    folder = config.out / "cells" / arm.name
    folder = folder / place.name if place else folder
    common = {
        "out": folder / f"fraction{fraction:g}-draw{draw}-seed{seed}",
        "start": _start(config, arm, seed, place),
        "encoder": arm.encoder or config.encoder,
        "clip": config.clip,
        "clip_from": arm.clip_from,
        "recipe": arm.recipe,
        "augment": config.augment,
        "seed": seed,
        "hardware": config.hardware,
    }
    labels = {
        "column": config.column,
        "fraction": fraction,
        "draw": draw,
        "validation_share": config.validation_share,
    }
    if place is None:
        return FinetuneConfig(data=config.data, labels=LabelBudget(**labels), **common)
    return AcrossConfig(
        data=place.adaptation_data,
        labels=AssessedLabels(classes=config.classes, **labels),
        adapted=place.adapted,
        tested=place.tested,
        **common,
    )
