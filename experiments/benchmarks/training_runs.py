"""The runs that the benchmark of pre-training measures: a phantom, and the package's own loop in parts."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from clip_files import write_video

from echossl.augment import Augmentation
from echossl.config.data import PrepareConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.training import PretrainConfig
from echossl.data import ClipStore, prepare
from echossl.data.clips import Batch
from echossl.data.sources import index_source
from echossl.phantom import generate
from echossl.training.bad_steps import BadSteps
from echossl.training.bad_videos import BadVideos
from echossl.training.checkpoint import Checkpoints
from echossl.training.dry_run import forget_peak_memory, peak_memory
from echossl.training.loop import Training, make_step
from echossl.training.optimiser import build_optimiser
from echossl.training.parts import build_parts
from echossl.training.peak import counted
from echossl.training.prefetch import device_batches

MIB = 2**20


@dataclass(frozen=True)
class Bench:
    """The data, and settings that rows change.

    Attributes:
        arguments: of the command line.
        folder: where manifest and store are.
        videos: files of each patient, of the store's own pictures, for the plain loop.
    """

    arguments: argparse.Namespace
    folder: Path
    videos: list[list[Path]]

    @classmethod
    def make(cls, arguments: argparse.Namespace, folder: Path) -> "Bench":
        """Draw the phantom, prepare it, and write the prepared pictures as small AVI files."""
        manifest, out = folder / "manifest.csv", folder / "store"
        phantom = PhantomConfig(
            out=folder / "phantom",
            patients=arguments.patients,
            videos_per_study=(2, 2),
            containers=("avi",),
            workers=1,
        )
        generate(phantom)
        index_source("phantom", phantom.out, out=manifest)
        prepare(PrepareConfig(manifest=manifest, out=out, size=arguments.size, workers=1))
        store = ClipStore.open(out)
        videos: dict[str, list[Path]] = {}
        for row, patient in enumerate(store.table["patient_id"]):
            path = folder / f"{row}.avi"
            write_video(path, store.frames(row), "mjpeg", "yuvj420p", {"q:v": "3"})
            videos.setdefault(str(patient), []).append(path)
        return cls(arguments, folder, list(videos.values()))

    def run(self, *, batch_size: int | None = None, micro_batch: int | None = None, **hardware: Any) -> "Run":
        """The package's loop with the settings of a row."""
        arguments = self.arguments
        width = {"width": arguments.width} if arguments.width else {}
        config = PretrainConfig.model_validate(
            {
                "data": {
                    "manifest": self.folder / "manifest.csv",
                    "store": self.folder / "store",
                },
                "out": self.folder / "run",
                "clip": {"num_frames": arguments.frames, "too_short": "loop"},
                "encoder": {"name": arguments.network, **width},
                "objectives": [{"name": "contrastive", "positives": "two_videos"}],
                "batch_size": batch_size or arguments.batch,
                "micro_batch": micro_batch,
                "optimiser": {"steps": 10**6, "learning_rate": 1e-4},
                "hardware": {"device": arguments.device, "workers": arguments.workers, **hardware},
            }
        )
        return Run(config, self.folder)


class Run:
    """A run that writes nothing, a step at a time.

    Args:
        config: its settings.
        folder: for what is never written.
    """

    def __init__(self, config: PretrainConfig, folder: Path) -> None:
        self.parts = build_parts(config)
        self.hardware = self.parts.hardware
        self.training = Training(
            config=config,
            learner=self.parts.learner.train(),
            optimiser=build_optimiser(self.parts.learner, config.optimiser),
            augmentation=Augmentation(config.augment, seed=0),
            hardware=self.hardware,
            checkpoints=Checkpoints(folder, keep=1),
            logs=(),
            bad_videos=BadVideos(folder, num_videos=len(self.parts.table), most=0.0),
            bad_steps=BadSteps(folder, most=10, paths=self.parts.store.table["path"].tolist()),
            loss_scale=self.hardware.loss_scale(),
        )

    @property
    def clips_per_step(self) -> int:
        """Two for each item of a batch."""
        return 2 * self.training.config.batch_size

    @cached_property
    def batch(self) -> Batch:
        """That of the first step, on the device."""
        return self.parts.clips[0].to(self.hardware.device)

    def batches(self) -> Iterator[Batch]:
        """All steps', on the device, as the loop takes them."""
        return device_batches(self.parts.clips, self.hardware)

    def step(self, batch: Batch | None = None) -> None:
        """An update, on the first step's batch if none is given; waits until it is done."""
        make_step(self.training, self.batch if batch is None else batch, step=0)
        self.wait()

    def wait(self) -> None:
        """For all that the device was told to do."""
        if self.hardware.device.type == "cuda":
            torch.cuda.synchronize(self.hardware.device)

    def operations(self) -> int:
        """Of a step, each time that something is computed."""
        return counted(self.step)[1]

    def memory_mib(self) -> float:
        """Most that is in use during a step: of a GPU, all; on a CPU, tensors that the step makes."""
        self.step()
        if self.hardware.device.type == "cuda":
            forget_peak_memory(self.hardware.device)
            self.step()
            return peak_memory(self.hardware.device) / MIB
        # the counter belongs to the tests
        sys.path.append(str(Path(__file__).parents[2] / "tests" / "training"))
        from peak_memory import PeakMemory

        with PeakMemory() as memory:
            self.step()
        return memory.peak_bytes / MIB
