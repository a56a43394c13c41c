"""Weights & Biases: the same figures as ``metrics.jsonl``, with settings, example clips and the encoder."""

import logging
import os
import uuid
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from echossl.config.base import Config
from echossl.config.logging import WandbConfig
from echossl.distributed import rank
from echossl.errors import ConfigError
from echossl.files import write_text
from echossl.runs import RunFolder
from echossl.training.interrupt import StoppedError
from echossl.training.logging import Log, NoLog, TolerantLog

NAME = "Weights & Biases"

logger = logging.getLogger(__name__)


class WandbLog(Log):
    """A run at Weights & Biases; a resumed run goes on in the same one, in a file of its own.

    Steps that were written before a run was killed and are made again are the same, and W&B keeps the first.

    Args:
        config: project, group, tags.
        mode: ``offline`` needs no login and no network.
        run: the run folder; W&B writes below it.
        settings: the resolved settings of the run, shown beside the curves.
    """

    def __init__(
        self, config: WandbConfig, *, mode: Literal["offline", "online"], run: RunFolder, settings: Config
    ) -> None:
        self._wandb = _import_wandb()
        self._name = run.path.absolute().name
        record = run.record
        self._run = self._wandb.init(
            mode=mode,
            project=config.project,
            name=self._name,
            group=config.group,
            job_type=config.job_type,
            tags=config.tags,
            id=_run_id(run.path),
            resume="allow",
            dir=run.path,
            config=settings.model_dump(mode="json") | {name: record[name] for name in ("git", "versions")},
            # the code's version stands in the config; the folder that the user happens to be in says nothing
            settings=self._wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
        )

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Send the figures."""
        self._run.log(dict(figures), step=step)

    def media(self, step: int, name: str, path: Path) -> None:
        """Send a film; W&B keeps a copy of it."""
        self._run.log({name: self._wandb.Video(str(path), format=path.suffix[1:])}, step=step)

    def artifact(self, path: Path) -> None:
        """Record a file as an artifact ``RUN-NAME``; it is not copied, a later sync reads it where it is."""
        artifact = self._wandb.Artifact(f"{self._name}-{path.stem}", type=path.stem)
        artifact.add_file(str(path), policy="immutable")
        self._run.log_artifact(artifact)

    def close(self) -> None:
        """Flush and finish the W&B run."""
        self._run.finish()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_failure = kind is not None and not issubclass(kind, StoppedError)
        self._run.finish(exit_code=int(is_failure))


def wandb_mode(config: WandbConfig) -> Literal["disabled", "offline", "online"]:
    """What ``auto`` means here; all other modes are what they say."""
    if config.mode != "auto":
        return config.mode
    asked = os.environ.get("WANDB_MODE", "offline")
    if asked == "disabled" or not _is_installed():
        return "disabled"
    return "online" if asked == "online" else "offline"


def require_wandb(config: WandbConfig) -> None:
    """Find out before any work is done whether W&B can be used as asked.

    Raises:
        ConfigError: if the package is missing, or ``online`` was asked for without a key.
    """
    mode = wandb_mode(config)
    if mode == "disabled":
        _tell_of_no_effect(config)
        return
    try:
        wandb = _import_wandb()
    except ImportError as error:
        raise ConfigError("wandb.mode: the package is missing; pip install 'echossl[wandb]'") from error
    if mode == "online" and not wandb.login(prompt=False):
        raise ConfigError(
            "wandb.mode: online needs a key; set WANDB_API_KEY or run wandb login, or take offline"
        )


def _tell_of_no_effect(config: WandbConfig) -> None:
    # no error: whoever tries a file of settings out without W&B need not change it
    unread = [name for name in ("group", "tags") if getattr(config, name)]
    if unread and config.mode == "disabled" and rank() == 0:
        verb = "has" if len(unread) == 1 else "have"
        logger.warning("wandb.mode is disabled: wandb.%s %s no effect", " and wandb.".join(unread), verb)


def open_wandb(config: WandbConfig, *, run: RunFolder, settings: Config) -> Log:
    """The W&B log, or one that does nothing where W&B is disabled or cannot be reached."""
    mode = wandb_mode(config)
    if mode == "disabled":
        return NoLog()
    failures = wandb_failures()
    try:
        log = WandbLog(config, mode=mode, run=run, settings=settings)
    except failures as error:
        logger.warning("%s cannot be used (%s); training goes on without it", NAME, error)
        return NoLog()
    return TolerantLog(log, name=NAME, failures=failures)


def wandb_failures() -> tuple[type[Exception], ...]:
    """What W&B raises when disk, network or its own process fail.

    A lost process shows as a ConnectionResetError, which is an OSError; a request that is never answered has
    errors of its own, which are no part of W&B's family.
    """
    from wandb.errors import Error
    from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

    return (Error, OSError, HandleAbandonedError, MailboxClosedError)


def _import_wandb() -> Any:
    """The package, told first to send no reports about its own errors, which it does in offline mode too."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    return import_module("wandb")


def _is_installed() -> bool:
    # a folder named wandb, which W&B itself leaves behind, can be imported but is not the package
    try:
        distribution("wandb")
    except PackageNotFoundError:
        return False
    return True


def _run_id(folder: Path) -> str:
    """The name of this run at W&B, kept in the run folder."""
    path = folder / "wandb_id.txt"
    if not path.is_file():
        write_text(path, uuid.uuid4().hex)
    return path.read_text(encoding="utf-8").strip()
