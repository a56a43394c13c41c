"""Where figures go while training runs: ``metrics.jsonl`` always, Weights & Biases if asked for."""

import json
import math
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from echossl.config.base import Config
from echossl.config.training import WandbConfig
from echossl.errors import ConfigError
from echossl.files import write_text

FILE_NAME = "metrics.jsonl"


class Log(ABC):
    """Takes the figures of a step; a context manager that is closed when training ends."""

    @abstractmethod
    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Record what was measured after ``step`` updates."""

    @abstractmethod
    def close(self) -> None:
        """Finish; nothing is written afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class NoLog(Log):
    """Takes figures and does nothing."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class MetricsLog(Log):
    """``metrics.jsonl``: one JSON object per line, its step first.

    Args:
        path: the file.
        resumed_step: updates that are already done; lines of an earlier start are kept up to there, so that
            no step is in the file twice.
    """

    def __init__(self, path: Path, *, resumed_step: int = 0) -> None:
        if path.is_file():
            write_text(path, "".join(f"{line}\n" for line in _lines_up_to(path, resumed_step)))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Append a line; it can be read at once. What is not finite is null: JSON has no word for it."""
        values = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class WandbLog(Log):
    """Weights & Biases. ``offline`` needs no login; a resumed run goes on in the same W&B run.

    Args:
        config: mode and project.
        folder: the run folder; W&B writes below it.
        settings: the resolved settings of the run, shown beside the curves.
    """

    def __init__(self, config: WandbConfig, *, folder: Path, settings: Config) -> None:
        import wandb

        self._run: Any = wandb.init(
            mode=config.mode,
            project=config.project,
            name=folder.name,
            id=_run_id(folder),
            resume="allow",
            dir=folder,
            config=settings.model_dump(mode="json"),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Send the figures."""
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        """Flush and finish the W&B run."""
        self._run.finish()


def require_wandb(config: WandbConfig) -> None:
    """Find out before any work is done whether W&B can be used as asked.

    Raises:
        ConfigError: if the package is missing, or ``online`` was asked for without a key.
    """
    if config.mode == "disabled":
        return
    try:
        import wandb
    except ImportError as error:
        raise ConfigError("wandb.mode: the package is missing; pip install 'echossl[wandb]'") from error
    if config.mode == "online" and not wandb.login(prompt=False):
        raise ConfigError(
            "wandb.mode: online needs a key; set WANDB_API_KEY or run wandb login, or take offline"
        )


def open_wandb(config: WandbConfig, *, folder: Path, settings: Config) -> Log:
    """The W&B log, or one that does nothing where W&B is disabled."""
    if config.mode == "disabled":
        return NoLog()
    return WandbLog(config, folder=folder, settings=settings)


def _run_id(folder: Path) -> str:
    """The name of this run at W&B, kept in the run folder."""
    path = folder / "wandb_id.txt"
    if not path.is_file():
        write_text(path, uuid.uuid4().hex)
    return path.read_text(encoding="utf-8").strip()


def _lines_up_to(path: Path, step: int) -> list[str]:
    """The whole lines up to a step; a line that a killed process left half written ends the file."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)["step"]
        except (ValueError, KeyError):
            break
        if found <= step:
            kept.append(line)
    return kept
