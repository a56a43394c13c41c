"""A run folder: what was asked for, on what machine, whether it is finished. Never silently overwritten."""

import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from echossl import __version__
from echossl.config.base import Config
from echossl.errors import RunFolderError
from echossl.files import finite, write_json

RECORDED_PACKAGES = ("torch", "torchvision", "av", "numpy", "scikit-learn", "pydicom", "pandas")
# settings that may differ between two starts of the same run, because they do not change its result
FREE_KEYS = {"out", "hardware", "workers", "jobs", "wandb", "tensorboard", "max_bad_fraction"}


class RunFolder:
    """One folder per run: ``run.json``, ``metrics.jsonl``, ``checkpoints/``, results.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path, config: Config, *, command: str) -> "RunFolder":
        """Create the folder, or continue the one that holds the same settings.

        Raises:
            RunFolderError: if the folder holds a run with other settings (the message lists them), or holds
                files but no run.
        """
        run = cls(path)
        if run._record.is_file():
            run._refuse_other(config)
            return run
        if path.is_dir() and any(path.iterdir()):
            raise RunFolderError(
                f"{path}: the folder is not empty and holds no run.json; choose another folder"
            )
        write_json(
            run._record,
            {
                "command": command,
                "config": config.model_dump(mode="json"),
                "argv": sys.argv,
                "versions": _versions(),
                "git": _git_hash(),
                "host": {
                    "name": platform.node(),
                    "system": platform.platform(),
                    "python": sys.version.split()[0],
                },
            },
        )
        return run

    @property
    def _record(self) -> Path:
        return self.path / "run.json"

    @property
    def record(self) -> dict[str, Any]:
        """The content of ``run.json``.

        Raises:
            RunFolderError: if the folder is no run.
        """
        if not self._record.is_file():
            raise RunFolderError(f"{self.path}: no run.json here; give the folder of a run")
        content: dict[str, Any] = json.loads(self._record.read_text(encoding="utf-8"))
        return content

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run found, or None while it is not finished."""
        path = self.path / "result.json"
        if not path.is_file():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def finish(self, result: dict[str, Any]) -> None:
        """Mark the run as finished; written last, so that a finished run is a whole one.

        A figure that is not finite is written as null.
        """
        write_json(self.path / "result.json", finite(result))

    def _refuse_other(self, config: Config) -> None:
        before = _flatten(_completed(self.record["config"], type(config)))
        now = _flatten(config.model_dump(mode="json"))
        changed = [
            f"{key}: {before.get(key)!r} there, {now.get(key)!r} asked for"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key) and not FREE_KEYS & set(key.split("."))
        ]
        if changed:
            raise RunFolderError(
                f"{self.path}: holds a run with other settings; choose another folder or remove it\n  "
                + "\n  ".join(changed)
            )


def _completed(recorded: dict[str, Any], model: type[Config]) -> dict[str, Any]:
    """Settings as they were recorded, and the defaults of those that did not exist yet."""
    try:
        return model.model_validate(recorded).model_dump(mode="json")
    except ValidationError:
        return recorded


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        parts = [_flatten(child, f"{prefix}{key}.") for key, child in value.items()]
        return {key: leaf for part in parts for key, leaf in part.items()}
    return {prefix.rstrip("."): value}


def _versions() -> dict[str, str]:
    found = {"echossl": __version__}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _git_hash() -> str | None:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
