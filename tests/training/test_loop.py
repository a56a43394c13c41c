import json
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from echossl.augment import Augmentation
from echossl.config.data import DataConfig
from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import ContrastiveConfig, FrameOrderConfig
from echossl.config.training import HardwareConfig, OptimiserConfig, PretrainConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.errors import EchosslError
from echossl.objectives import Objective, build_objectives
from echossl.training.bad_steps import BadSteps
from echossl.training.bad_videos import BadVideos
from echossl.training.checkpoint import Checkpoints
from echossl.training.hardware import Hardware
from echossl.training.interrupt import StoppedError
from echossl.training.learner import Learner
from echossl.training.logging import MetricsLog
from echossl.training.loop import Training, train
from echossl.training.optimiser import build_optimiser, learning_rate

CONFIG = PretrainConfig(
    data=DataConfig(manifest=Path("m.csv"), store=Path("s")),
    out=Path("out"),
    encoder=Compact3DConfig(width=4),
    objectives=(ContrastiveConfig(hidden_dim=8, projection_dim=4), FrameOrderConfig()),
    clip=ClipConfig(num_frames=4),
    optimiser=OptimiserConfig(steps=7, warmup_steps=2),
    checkpoint_every=3,
    max_bad_steps=2,
    log_every=2,
    hardware=HardwareConfig(device="cpu", precision="fp32"),
)


def batches(first_step: int, steps: int) -> Iterator[Batch]:
    for step in range(first_step, steps):
        generator = torch.Generator().manual_seed(step)
        clips = torch.randint(256, (4, 2, 1, 4, 16, 16), dtype=torch.uint8, generator=generator)
        yield Batch(clips, torch.arange(4), torch.zeros(4, 2, dtype=torch.int64), step=step)


class Watcher(Objective):
    """The real objectives, and a look or a blow at chosen steps."""

    num_clips = 2

    def __init__(self, encoder_dim: int, *, at_steps: tuple[int, ...] = (), event: str = "") -> None:
        super().__init__()
        self.real = build_objectives(CONFIG.objectives, encoder_dim)
        self.at_steps, self.event = at_steps, event
        self.updates = 0
        self.seen: list[tuple[bool, torch.dtype, float]] = []

    def forward(self, encoder: Encoder, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append((encoder.training, batch.clips.dtype, batch.clips.max().item()))
        loss, metrics = self.real(encoder, batch)
        if batch.step in self.at_steps and self.event == "nan":
            self.real(encoder, replace(batch, clips=batch.clips * math.nan))  # poisons the running means
            loss = loss * math.nan
        if batch.step in self.at_steps and self.event.startswith("SIG"):
            os.kill(os.getpid(), signal.Signals[self.event])
        return loss, metrics

    def after_update(self, encoder: Encoder) -> None:
        del encoder
        self.updates += 1


def make(folder: Path, *, at_steps: tuple[int, ...] = (), event: str = "", resumed_step: int = 0) -> Training:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=CONFIG.encoder, clip=CONFIG.clip, size=16)
    encoder = build_encoder(metadata)
    hardware = Hardware.resolve(CONFIG.hardware)
    learner = hardware.place(Learner(encoder, Watcher(encoder.dim, at_steps=at_steps, event=event)))
    return Training(
        config=CONFIG,
        learner=learner,
        optimiser=build_optimiser(learner, CONFIG.optimiser),
        augmentation=Augmentation(CONFIG.augment, seed=0),
        hardware=hardware,
        checkpoints=Checkpoints(folder / "checkpoints", keep=2),
        logs=(MetricsLog(folder / "metrics.jsonl", resumed_step=resumed_step),),
        bad_videos=BadVideos(folder, num_videos=100, most=0.01),
        bad_steps=BadSteps(folder, most=CONFIG.max_bad_steps, paths=["only.avi"], resumed_step=resumed_step),
    )


def weights(training: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.learner.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_logs_and_checkpoints_come_when_they_should(tmp_path: Path) -> None:
    training = make(tmp_path)
    training.learner.eval()
    train(training, batches(0, 7), first_step=0)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 7]
    assert set(lines[0]) == {
        "step",
        "loss",
        "gradient_norm",
        "contrastive/loss",
        "contrastive/pair_accuracy",
        "contrastive/temperature",
        "frame_order/loss",
        "frame_order/accuracy",
        "learning_rate",
        "clips_per_second",
        "bad_videos",
        "bad_steps",
    }
    assert lines[1]["learning_rate"] == learning_rate(3, CONFIG.optimiser)
    expected = lines[0]["contrastive/loss"] + 0.5 * lines[0]["frame_order/loss"]
    assert lines[0]["loss"] == pytest.approx(expected, rel=1e-6)
    assert [path.name for path in training.checkpoints.paths] == ["step_000000006.pt", "step_000000007.pt"]


def test_the_encoder_trains_on_augmented_floats(tmp_path: Path) -> None:
    training = make(tmp_path)
    training.learner.eval()
    train(training, batches(0, 7), first_step=0)
    assert len(training.learner.objective.seen) == 7
    for in_training, dtype, brightest in training.learner.objective.seen:
        assert in_training
        assert dtype == torch.float32
        assert 0.5 < brightest <= 1


def test_every_step_gets_its_own_rate_and_every_weight_moves(tmp_path: Path) -> None:
    training = make(tmp_path)
    before = weights(training)
    train(training, batches(0, 7), first_step=0)
    after = weights(training)
    assert all(not torch.equal(before[name], after[name]) for name in before)
    assert training.optimiser.param_groups[0]["lr"] == learning_rate(6, CONFIG.optimiser)


def test_steps_that_are_not_finite_are_skipped_and_counted(tmp_path: Path) -> None:
    training = make(tmp_path, at_steps=(1, 4), event="nan")
    train(training, batches(0, 7), first_step=0)
    assert all(value.isfinite().all() for value in weights(training).values())
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["bad_steps"] for line in lines] == [1, 1, 2, 2]
    assert [line["loss"] is None for line in lines] == [True, False, False, False]
    states = training.optimiser.state.values()
    assert {int(state["step"]) for state in states} == {5}
    assert training.learner.objective.updates == 5


def test_too_many_in_a_row_stop_the_run_and_leave_the_last_good_weights(tmp_path: Path) -> None:
    training = make(tmp_path, at_steps=(4, 5, 6), event="nan")
    with pytest.raises(
        EchosslError, match=r"step 7: loss nan, .* the 3\. such step in a row; .*bad_steps\.csv"
    ):
        train(training, batches(0, 7), first_step=0)
    good = make(tmp_path / "good", at_steps=(3,), event="SIGTERM")
    with pytest.raises(StoppedError):
        train(good, batches(0, 7), first_step=0)
    assert same(weights(training), weights(good))
    assert pd.read_csv(tmp_path / "bad_steps.csv")["step"].tolist() == [5, 6, 7]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_saves_after_the_step_and_the_rest_gives_the_same_weights(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path / "whole")
    train(whole, batches(0, 7), first_step=0)
    stopped = make(tmp_path / "stopped", at_steps=(3,), event=name)
    with pytest.raises(
        StoppedError, match=f"{name}: saved at step 4 of 7; the same command continues"
    ) as error:
        train(stopped, batches(0, 7), first_step=0)
    assert error.value.exit_code == (130 if name == "SIGINT" else 0)
    again = make(tmp_path / "stopped", resumed_step=4)
    assert again.checkpoints.restore(again.learner, again.optimiser) == 4
    train(again, batches(4, 7), first_step=4)
    assert same(weights(whole), weights(again))
    lines = (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6, 7]


def test_a_signal_in_the_last_step_is_no_interruption(tmp_path: Path) -> None:
    training = make(tmp_path, at_steps=(6,), event="SIGTERM")
    train(training, batches(0, 7), first_step=0)
    assert training.checkpoints.paths[-1].name == "step_000000007.pt"


def test_all_steps_done_already_changes_nothing(tmp_path: Path) -> None:
    training = make(tmp_path)
    before = weights(training)
    train(training, batches(7, 7), first_step=7)
    assert same(before, weights(training))
