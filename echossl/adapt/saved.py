"""What a finished run of fine-tuning says of other videos: its own encoder, head and pooling."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.adapt.embed import embed
from echossl.adapt.study_pooling import pooled_outputs
from echossl.adapt.tasks import Task, build_task
from echossl.config.adapt import FinetuneConfig
from echossl.config.training import HardwareConfig
from echossl.data.store import ClipStore
from echossl.encoders.classifier import load_classifier, load_pooling
from echossl.errors import ConfigError, UserError
from echossl.runs import RunFolder
from echossl.training.encoding import require_fit
from echossl.training.hardware import Hardware


class SavedRun:
    """A finished run with an encoder.

    Args:
        folder: the run.
        device: where it computes, whatever it was made on: auto, cpu, cuda or cuda:N.

    Attributes:
        config: its settings.
        task: what it learned.

    Raises:
        UserError: if the folder holds no such run.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        record = RunFolder(folder).record
        if record["command"] != "finetune":
            raise UserError(f"{folder}: holds a run of {record['command']}; give one of echossl finetune")
        self.folder = folder
        self.device = device
        self.config = FinetuneConfig.model_validate(record["config"])
        self.task: Task = build_task(load_classifier(folder)[2])

    def outputs(self, store: ClipStore, videos: pd.DataFrame) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
        """What the run says of studies, as in its ``predictions.csv``: clips, then videos are put together.

        Args:
            store: a clip store that fits the encoder, of the same treatment as the run's.
            videos: ``row, patient_id, study_id``.

        Returns:
            ``patient_id, study_id``, one row per study, and outputs of the head (studies, outputs).

        Raises:
            UserError: if the store does not fit.
        """
        return classifier_outputs(self.folder, self.config, self._hardware(), store, videos)

    def _hardware(self) -> Hardware:
        """The run's own settings on the device that was asked for; ``auto`` where it lacks the precision."""
        try:
            return Hardware.resolve(self.config.hardware.model_copy(update={"device": self.device}))
        except ConfigError:
            return Hardware.resolve(HardwareConfig(device=self.device))


def classifier_outputs(
    folder: Path, config: FinetuneConfig, hardware: Hardware, store: ClipStore, videos: pd.DataFrame
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """What the classifier in a folder says of studies; see :meth:`SavedRun.outputs`.

    Args:
        folder: where the classifier lies.
        config: how many clips of a video, and which.
        hardware: device and precision.
        store: a clip store that fits the encoder.
        videos: ``row, patient_id, study_id``.
    """
    encoder, head, _ = load_classifier(folder)
    require_fit(encoder, store)
    features = embed(
        hardware.place(encoder),
        store,
        videos["row"].tolist(),
        clips_per_video=config.clips_per_video,
        hardware=hardware,
        policy=config.clip_policy,
        seed=config.seed,
    )
    pooling = load_pooling(folder)
    attention = None if pooling.attention is None else hardware.place(pooling.attention)
    return pooled_outputs(videos, features, hardware.place(head), pooling=pooling.name, attention=attention)
