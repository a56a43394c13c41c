"""Where figures go while training runs: what every log can do, and ``metrics.jsonl``, always written."""

import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from echossl.files import write_text

FILE_NAME = "metrics.jsonl"

logger = logging.getLogger(__name__)


class Log(ABC):
    """Takes the figures of a step; a context manager that is closed when training ends."""

    @abstractmethod
    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Record what was measured after ``step`` updates."""

    @abstractmethod
    def media(self, step: int, name: str, path: Path) -> None:
        """Show a film (an ``.mp4`` or ``.gif`` file), where the log can show any.

        Args:
            step: updates done.
            name: what it is called, the same for later films of the same thing.
            path: the file, which stays where it is.
        """

    @abstractmethod
    def artifact(self, path: Path) -> None:
        """Keep a result of the run, such as its encoder, where the log can keep any."""

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


class FiguresLog(Log):
    """A log of figures alone."""

    def media(self, step: int, name: str, path: Path) -> None:
        """Do nothing."""

    def artifact(self, path: Path) -> None:
        """Do nothing."""


class NoLog(FiguresLog):
    """Takes everything and does nothing."""

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class MetricsLog(FiguresLog):
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


class TolerantLog(Log):
    """A log that training can do without: its first failure is told of, then training goes on without it.

    Args:
        log: what is written to.
        name: what it is called in the warning.
        failures: the errors that it raises when something around it fails: disk, network, its own process.
            All others are mistakes and are not caught.
    """

    def __init__(self, log: Log, *, name: str, failures: tuple[type[Exception], ...]) -> None:
        self._log = log
        self._name = name
        self._failures = failures

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Pass on."""
        self._attempt(lambda: self._log.write(step, figures))

    def media(self, step: int, name: str, path: Path) -> None:
        """Pass on."""
        self._attempt(lambda: self._log.media(step, name, path))

    def artifact(self, path: Path) -> None:
        """Pass on."""
        self._attempt(lambda: self._log.artifact(path))

    def close(self) -> None:
        """Pass on."""
        self._attempt(self._log.close)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._attempt(lambda: self._log.__exit__(kind, error, traceback))

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except self._failures as error:
            logger.warning(
                "%s failed (%s: %s); training goes on without it, %s has all figures",
                self._name,
                type(error).__name__,
                error,
                FILE_NAME,
            )
            self._log = NoLog()


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
