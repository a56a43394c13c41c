"""The model that predicts: networks, task, pooling, and how its videos become clips."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from echossl.adapt.tasks import Task, build_task
from echossl.config.predict import PredictConfig, VideoUse
from echossl.encoders import Encoder
from echossl.encoders.classifier import StudyPooling, load_classifier, load_pooling
from echossl.encoders.files import MODEL_NAME
from echossl.encoders.use import load_use
from echossl.errors import UserError
from echossl.runs import RunFolder


@dataclass(frozen=True)
class Model:
    """A fine-tuned model.

    Attributes:
        file: its ``model.safetensors``.
        run: the folder of its run, or None where the file stands alone.
        encoder: in evaluation mode, on the CPU.
        head: from vectors to outputs.
        task: what was learned.
        pooling: how the videos of a study become one answer.
        use: how videos become clips.
    """

    file: Path
    run: Path | None
    encoder: Encoder
    head: nn.Module
    task: Task
    pooling: StudyPooling
    use: VideoUse

    @property
    def is_binary(self) -> bool:
        """Whether it answers one question with yes or no."""
        return self.task.settings.name == "binary"


def load_model(config: PredictConfig) -> Model:
    """Read a model.

    Raises:
        UserError: if there is none, it says nothing of its videos, or a setting does not fit it.
    """
    if not config.model.exists():
        raise UserError(f"{config.model}: no such file or folder; give a run of echossl finetune")
    encoder, head, settings = load_classifier(config.model)
    file = config.model / MODEL_NAME if config.model.is_dir() else config.model
    is_run = (file.parent / "run.json").is_file() and (RunFolder(file.parent).record["command"] == "finetune")
    if settings.unit == "video":
        raise UserError(f"{config.model}: scores single videos (labels.unit=video), predict scores studies")
    use = load_use(file, store=config.store)
    pooling = load_pooling(file)
    run = file.parent if is_run else None
    model = Model(file, run, encoder, head, build_task(settings), pooling, use)
    if config.validation is not None and not model.is_binary:
        raise UserError(f"validation: has no effect on a model of the {settings.name} task; leave it out")
    return model
