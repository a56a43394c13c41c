"""``echossl pretrain``: from a manifest and a clip store to ``encoder.safetensors``."""

import json
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from echossl import __version__
from echossl.augment import Augmentation
from echossl.config.training import PretrainConfig
from echossl.data.clips import PairSampler, TrainingClips
from echossl.data.manifest import read_manifest
from echossl.data.samplers import Sampler
from echossl.data.store import ClipStore
from echossl.data.study_pairs import StudyPairSampler
from echossl.distributed import rank, world_size
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.files import FILE_NAME, save_encoder
from echossl.encoders.start import load_start
from echossl.errors import UserError
from echossl.objectives import build_objectives
from echossl.runs import RunFolder
from echossl.training.bad_steps import BadSteps
from echossl.training.bad_videos import BadVideos
from echossl.training.checkpoint import Checkpoints
from echossl.training.distributed import process_group, require_same_step, share_batch_norm, writer_first
from echossl.training.fit import require_shapes
from echossl.training.gradient_cache import require_partwise
from echossl.training.hardware import Hardware
from echossl.training.learner import Learner
from echossl.training.logging import FILE_NAME as METRICS_NAME
from echossl.training.logging import Log, MetricsLog
from echossl.training.loop import Training, train
from echossl.training.monitors.best import read_best
from echossl.training.monitors.look import Looks, Watched
from echossl.training.optimiser import build_optimiser
from echossl.training.prefetch import device_batches
from echossl.training.statistics import grey_statistics
from echossl.training.tensorboard_log import open_tensorboard, require_tensorboard
from echossl.training.wandb_log import open_wandb, require_wandb, wandb_mode

logger = logging.getLogger(__name__)


def pretrain(config: PretrainConfig) -> Path:
    """Learn an encoder from unlabelled videos.

    A run that was stopped goes on from its newest checkpoint; a finished one returns at once.

    Args:
        config: settings of the run.

    Returns:
        The ``encoder.safetensors`` of the run folder.

    Raises:
        UserError: if settings, manifest, store or run folder are wrong; nothing is written then.
        StoppedError: if the run was asked to stop and has saved its state.
        EchosslError: if training fails.
    """
    with process_group():
        encoder_file = config.out / FILE_NAME
        if RunFolder(config.out).result is not None:
            RunFolder.open(config.out, config, command="pretrain")  # refuses a finished run of other settings
            return encoder_file
        parts = build_parts(config)
        require_wandb(config.wandb)
        require_tensorboard(wanted=config.tensorboard)
        with writer_first():
            run = RunFolder.open(config.out, config, command="pretrain")
        train_parts(config, parts, run)
        with writer_first():
            if rank() == 0:
                run.finish(summarise(config, parts.learner, parts.hardware, parts.table))
        return encoder_file


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
        UserError: if settings, manifest or store are wrong.
    """
    hardware = Hardware.resolve(config.hardware)
    store, table = select_videos(config)
    learner = build_learner(config, store, table)
    clips = build_clips(config, learner, store, table)
    watched = Watched.build(config, store)
    if config.hardware.sync_batch_norm:
        share_batch_norm(learner, hardware.device)
    return Parts(hardware, store, table, hardware.place(learner), clips, watched)


def train_parts(config: PretrainConfig, parts: Parts, run: RunFolder) -> None:
    """Go on from the newest checkpoint to the last step. One process writes, all others only compute."""
    learner, hardware, writes = parts.learner, parts.hardware, rank() == 0
    optimiser, loss_scale = build_optimiser(learner, config.optimiser), hardware.loss_scale()
    checkpoints = Checkpoints(run.path / "checkpoints", keep=config.keep_checkpoints)
    with writer_first():
        first_step = checkpoints.restore(learner, optimiser, loss_scale=loss_scale)
    require_same_step(first_step, hardware.device)
    batches = device_batches(parts.clips, hardware, first_step=first_step)
    with ExitStack() as stack:
        logs = open_logs(config, run, stack, resumed_step=first_step) if writes else ()
        most_bad = config.data.max_bad_fraction
        bad = BadVideos(run.path, num_videos=len(parts.table), most=most_bad, writes=writes)
        skipped = BadSteps(
            run.path,
            most=config.max_bad_steps,
            paths=parts.store.table["path"].tolist(),
            resumed_step=first_step,
            writes=writes,
        )
        augmentation = Augmentation(config.augment, seed=config.seed)
        watched = parts.watched
        looks = None if watched is None else Looks(watched, learner.encoder, hardware, writes=writes)
        training = Training(
            config,
            learner,
            optimiser,
            augmentation,
            hardware,
            checkpoints,
            logs,
            bad,
            skipped,
            looks,
            loss_scale=loss_scale,
        )
        if writes and first_step == 0:
            show_examples(training, parts.clips, run)
        train(training, batches, first_step=first_step)
        with writer_first():
            if writes:
                save_encoder(learner.encoder, run.path / FILE_NAME)
                for log in logs:
                    log.artifact(run.path / FILE_NAME)


def open_logs(
    config: PretrainConfig, run: RunFolder, stack: ExitStack, *, resumed_step: int
) -> tuple[Log, ...]:
    """Every log that the settings ask for; the stack closes them."""
    metrics = stack.enter_context(MetricsLog(run.path / METRICS_NAME, resumed_step=resumed_step))
    wandb = stack.enter_context(open_wandb(config.wandb, run=run, settings=config))
    tensorboard = open_tensorboard(run.path, wanted=config.tensorboard, resumed_step=resumed_step)
    return metrics, wandb, stack.enter_context(tensorboard)


def show_examples(training: Training, clips: TrainingClips, run: RunFolder) -> None:
    """Put a film of the first clips into the logs, where one of them shows films."""
    config = training.config.wandb
    if not config.example_clips or wandb_mode(config) == "disabled":
        return
    from echossl.training.examples import write_examples  # needs what draws films, which takes a moment

    path = run.path / "media" / "example_clips.mp4"
    write_examples(clips, training.augmentation, path, count=config.example_clips)
    for log in training.logs:
        log.media(0, "example_clips", path)


def select_videos(config: PretrainConfig) -> tuple[ClipStore, pd.DataFrame]:
    """The store, and the manifest's rows of the split that is trained on, with their places in the store.

    Raises:
        UserError: if the split has no videos.
    """
    manifest = read_manifest(config.data.manifest, files_needed=False)
    if "split" in manifest:
        found = sorted(set(manifest["split"]))
        manifest = manifest[manifest["split"] == config.split]
        if manifest.empty:
            raise UserError(
                f"{config.data.manifest}: column split: no video of split {config.split!r}, found "
                f"{', '.join(repr(name) for name in found)}; set split to one of them"
            )
    store = ClipStore.open(config.data.store)
    return store, store.rows_for(manifest)


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
        objective = build_objectives(config.objectives, encoder.dim)
    objective.check(config.clip)
    if config.micro_batch is not None:
        require_partwise(objective)
    objective.attach(encoder)
    if config.start != "random" and rank() == 0:
        logger.warning("%s", start.as_text())
    learner = Learner(encoder, objective)
    require_shapes(learner)
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


def provenance(config: PretrainConfig, table: pd.DataFrame) -> dict[str, str]:
    """What is kept in the weights' file about their origin; names only, no paths of this machine."""
    return {
        "command": "pretrain",
        "run": config.out.absolute().name,
        "manifest": config.data.manifest.name,
        "patients": str(table["patient_id"].nunique()),
        "videos": str(len(table)),
        "objectives": " + ".join(objective.name for objective in config.objectives),
        "steps": str(config.optimiser.steps),
        "batch_size": str(config.batch_size),
        "seed": str(config.seed),
        "echossl": __version__,
        "torch": torch.__version__,
    }


def summarise(
    config: PretrainConfig, learner: Learner, hardware: Hardware, table: pd.DataFrame
) -> dict[str, object]:
    """The content of ``result.json``, the figures of the last step among it."""
    last_line = (config.out / METRICS_NAME).read_text(encoding="utf-8").splitlines()[-1]
    best = read_best(config.out)
    return {
        "encoder": FILE_NAME,
        "num_patients": int(table["patient_id"].nunique()),
        "num_videos": len(table),
        "num_parameters": sum(parameter.numel() for parameter in learner.encoder.parameters()),
        "device": str(hardware.device),
        "precision": hardware.precision,
        "hardware": hardware.record(),
        "last": json.loads(last_line),
        **({"best": best} if best else {}),
    }
