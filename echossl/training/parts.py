"""What a pre-training is made of, checked before anything is written: videos, batches, encoder, objective."""

import logging
from dataclasses import dataclass, replace

import pandas as pd
import torch

from echossl import __version__
from echossl.config.training import AugmentConfig, PretrainConfig
from echossl.data.clips import PairSampler, TrainingClips
from echossl.data.reports import reports_of_studies
from echossl.data.samplers import Sampler
from echossl.data.store import ClipStore
from echossl.data.study_pairs import StudyPairSampler
from echossl.data.study_sampler import StudySampler
from echossl.distributed import rank, world_size
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.start import load_start
from echossl.errors import ConfigError, UserError
from echossl.objectives import Objective, build_objectives
from echossl.training.distributed import share_batch_norm
from echossl.training.fit import require_shapes
from echossl.training.fusion import fused_sampler, fused_videos, said_of_sources, stored_videos
from echossl.training.gradient_cache import require_partwise
from echossl.training.hardware import Hardware
from echossl.training.learner import Learner
from echossl.training.monitors.look import Watched
from echossl.training.statistics import grey_statistics
from echossl.training.tensorboard_log import require_tensorboard
from echossl.training.wandb_log import require_wandb

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What a run is made of, before anything is written.

    Attributes:
        hardware: device and precision.
        store: the clips.
        table: the videos that are trained on.
        learner: with random weights, or those it starts from, on the device.
        clips: the batches.
        watched: what the monitors look at; None without monitors.
    """

    hardware: Hardware
    store: ClipStore
    table: pd.DataFrame
    learner: Learner
    clips: TrainingClips
    watched: Watched | None = None


def build_parts(config: PretrainConfig) -> Parts:
    """Make everything that can fail because of the settings; writes nothing.

    Raises:
        UserError: if settings, manifest or store are wrong, or a log that is asked for cannot be written.
    """
    require_effect(config.augment)
    require_wandb(config.wandb)
    require_tensorboard(wanted=config.tensorboard)
    hardware = Hardware.resolve(config.hardware)
    store, table = select_videos(config)
    learner = build_learner(config, store, table)
    hardware = _for_slots(hardware, learner.objective)
    clips = build_clips(config, learner, store, table)
    watched = Watched.build(config, store)
    if config.hardware.sync_batch_norm:
        share_batch_norm(learner, hardware.device)
    return Parts(hardware, store, table, hardware.place(learner), clips, watched)


def _for_slots(hardware: Hardware, objective: Objective) -> Hardware:
    """Without compilation where studies may lack slots: code is made for one number of clips, which varies.

    Raises:
        ConfigError: if compilation was asked for.
    """
    if len(objective.slots) < 2 or not hardware.compile:
        return hardware
    if not hardware.compile_may_fail:
        raise ConfigError(
            "hardware.compile: is on, but the number of clips varies with the slots that studies lack; set "
            "it to auto or off"
        )
    return replace(hardware, compile=False)


def require_effect(augment: AugmentConfig) -> None:
    """Refuse settings of augmentation that do nothing.

    Raises:
        ConfigError: naming the first, and what it would need.
    """
    for name, needed in augment.without_effect.items():
        raise ConfigError(f"augment.{name}: is set, but without effect; set {needed} too, or leave it out")


def select_videos(config: PretrainConfig) -> tuple[ClipStore, pd.DataFrame]:
    """The store, and the manifest's rows of the split that is trained on, with their places in the store.

    Raises:
        UserError: if the split has no videos.
    """
    if config.fusion.sources:
        return fused_videos(config)
    column = config.report_column if config.reads_reports else None
    return stored_videos(config.data.manifest, config.data.store, split=config.split, report_column=column)


def build_learner(config: PretrainConfig, store: ClipStore, table: pd.DataFrame) -> Learner:
    """Encoder and objective; random weights depend on the seed alone, those of a start are read from it."""
    mean, std = grey_statistics(store, table["row"].to_numpy(), config.grey)
    metadata = EncoderMetadata(
        architecture=config.encoder,
        clip=config.clip,
        size=store.size,
        grey=config.grey,
        mean=mean,
        std=std,
        provenance=provenance(config, table),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = build_encoder(metadata)
        start = load_start(encoder, config.start)
        reports = reports_of_studies(table) if config.reads_reports else None
        objective = build_objectives(config.objectives, encoder.dim, seed=config.seed, reports=reports)
    objective.check(config.clip)
    if config.micro_batch is not None:
        require_partwise(objective)
    objective.attach(encoder)
    if config.start != "random" and rank() == 0:
        logger.warning("%s", start.as_text())
    learner = Learner(encoder, objective)
    require_shapes(learner)
    encoder.describe(clip=objective.encoded_clip(config.clip))
    return learner


def build_clips(
    config: PretrainConfig, learner: Learner, store: ClipStore, table: pd.DataFrame
) -> TrainingClips:
    """The batches that the objective asks for, this process's share of them.

    Raises:
        UserError: if the batch cannot be shared evenly by the processes.
    """
    if config.batch_size % world_size():
        raise UserError(
            f"batch_size: {config.batch_size} patients cannot be shared evenly by {world_size()} processes; "
            f"make it a multiple of {world_size()}"
        )
    return TrainingClips(
        store,
        build_sampler(config, learner, table),
        steps=config.optimiser.steps,
        rank=rank(),
        world_size=world_size(),
    )


def build_sampler(config: PretrainConfig, learner: Learner, table: pd.DataFrame) -> Sampler:
    """What the batches are made of, as the settings and the objectives ask for."""
    if config.fusion.sources:
        return fused_sampler(config, learner.objective, table)
    if learner.objective.reads_reports:
        return _study_sampler(config, learner.objective, table)
    if config.pairs == "all_pairs":
        return StudyPairSampler(table, batch_size=config.batch_size, clip=config.clip, seed=config.seed)
    return PairSampler(
        table,
        positives=learner.objective.positives or "two_videos",
        num_clips=learner.objective.num_clips,
        batch_size=config.batch_size,
        clip=config.clip,
        seed=config.seed,
    )


def _study_sampler(config: PretrainConfig, objective: Objective, table: pd.DataFrame) -> StudySampler:
    sampler = StudySampler(
        table,
        slots=objective.slots,
        slot_column=objective.slot_column,
        batch_size=config.batch_size,
        clip=config.clip,
        seed=config.seed,
    )
    if sampler.num_left_out and rank() == 0:
        logger.warning(
            "%s: %d studies have no video whose %s is one of %s and are left out",
            config.data.manifest,
            sampler.num_left_out,
            objective.slot_column,
            ", ".join(objective.slots),
        )
    return sampler


def provenance(config: PretrainConfig, table: pd.DataFrame) -> dict[str, str]:
    """What is kept in the weights' file about their origin; names only, no paths of this machine."""
    return {
        "command": "pretrain",
        "run": config.out.absolute().name,
        "manifest": config.data.manifest.name,
        "patients": str(table["patient_id"].nunique()),
        "videos": str(len(table)),
        **({"sources": said_of_sources(config, table)} if config.fusion.sources else {}),
        "objectives": " + ".join(objective.name for objective in config.objectives),
        "steps": str(config.optimiser.steps),
        "batch_size": str(config.batch_size),
        "seed": str(config.seed),
        "echossl": __version__,
        "torch": torch.__version__,
    }
