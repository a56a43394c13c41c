"""``echossl pretrain``: from a manifest and a clip store to ``encoder.safetensors``."""

import json
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from echossl.augment import Augmentation
from echossl.config.training import PretrainConfig
from echossl.data.clips import TrainingClips
from echossl.distributed import rank
from echossl.encoders.files import FILE_NAME, save_encoder
from echossl.objectives.alignment import FILE_NAME as ALIGNMENT_NAME
from echossl.objectives.alignment import save_alignments
from echossl.runs import RunFolder
from echossl.training.bad_steps import BadSteps
from echossl.training.bad_videos import BadVideos
from echossl.training.checkpoint import Checkpoints
from echossl.training.distributed import process_group, require_same_step, writer_first
from echossl.training.hardware import Hardware
from echossl.training.learner import Learner
from echossl.training.logging import FILE_NAME as METRICS_NAME
from echossl.training.logging import Log, MetricsLog
from echossl.training.loop import Training, train
from echossl.training.monitors.best import read_best
from echossl.training.monitors.look import Looks
from echossl.training.optimiser import build_optimiser
from echossl.training.parts import Parts, build_parts
from echossl.training.prefetch import device_batches
from echossl.training.tensorboard_log import open_tensorboard
from echossl.training.wandb_log import open_wandb, wandb_mode


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
        with writer_first():
            run = RunFolder.open(config.out, config, command="pretrain")
        train_parts(config, parts, run)
        with writer_first():
            if rank() == 0:
                run.finish(summarise(config, parts.learner, parts.hardware, parts.table))
        return encoder_file


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
                # first, as the encoder's file says that training is done
                if alignments := learner.objective.artifacts():
                    save_alignments(alignments, run.path / ALIGNMENT_NAME)
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
