"""The plan of a study: which runs there are and in which folder each lies. Pure; nothing runs here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from echossl.adapt.finetune import PREDICTIONS_NAME
from echossl.config.adapt import FinetuneConfig, LabelBudget
from echossl.config.logging import WandbConfig
from echossl.config.study import ArmConfig, StudyConfig
from echossl.config.training import PretrainConfig


@dataclass(frozen=True)
class Cell:
    """One adaptation: an arm, a label fraction, a label draw and a seed."""

    arm: ArmConfig
    fraction: float
    draw: int
    seed: int
    config: FinetuneConfig

    @property
    def is_finished(self) -> bool:
        """Whether its result and its predictions are there; a run whose table is gone is not finished."""
        return all((self.config.out / name).is_file() for name in ("result.json", PREDICTIONS_NAME))


def plan_pretrainings(config: StudyConfig) -> Iterator[PretrainConfig]:
    """Every pre-training that some arm starts from, once per seed."""
    needed = {arm.pretraining for arm in config.arms}
    for seed in _seeds(config):
        for pretraining in config.pretrainings:
            if pretraining.name in needed:
                yield PretrainConfig(
                    data=pretraining.data or config.data,
                    out=pretraining_folder(config, pretraining.name, seed),
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
    for arm in config.arms:
        seeds = _seeds(config)[: arm.seeds]
        for fraction in config.fractions:
            for draw in range(config.draws):
                for seed in seeds:
                    yield Cell(arm, fraction, draw, seed, _finetune_config(config, arm, fraction, draw, seed))


def cell_name(config: StudyConfig, cell: Cell) -> str:
    """Name of a cell, which is where its folder lies below the study's ``cells``."""
    return cell.config.out.relative_to(config.out / "cells").as_posix()


def pretraining_folder(config: StudyConfig, name: str, seed: int) -> Path:
    """Where the run of a pre-training lies."""
    return config.out / "pretrain" / f"{name}-seed{seed}"


def _pretraining_wandb(config: StudyConfig, name: str, seed: int) -> WandbConfig:
    if config.wandb.mode in {"auto", "disabled"}:
        return WandbConfig(mode="disabled")
    tags = (f"seed{seed}", *config.wandb.tags)
    return config.wandb.model_copy(update={"group": name, "job_type": "pretrain", "tags": tags})


def _seeds(config: StudyConfig) -> range:
    return range(config.first_seed, config.first_seed + config.seeds)


def _start(config: StudyConfig, arm: ArmConfig, seed: int) -> Path | None:
    if arm.is_given:
        return Path(arm.start)
    return pretraining_folder(config, arm.pretraining, seed) if arm.pretraining else None


def _finetune_config(
    config: StudyConfig, arm: ArmConfig, fraction: float, draw: int, seed: int
) -> FinetuneConfig:
    folder = config.out / "cells" / arm.name / f"fraction{fraction:g}-draw{draw}-seed{seed}"
    return FinetuneConfig(
        data=config.data,
        out=folder,
        start=_start(config, arm, seed),
        encoder=config.encoder,
        clip=config.clip,
        clip_from=arm.clip_from,
        labels=LabelBudget(
            column=config.column,
            fraction=fraction,
            draw=draw,
            validation_share=config.validation_share,
        ),
        recipe=arm.recipe,
        augment=config.augment,
        seed=seed,
        hardware=config.hardware,
    )
