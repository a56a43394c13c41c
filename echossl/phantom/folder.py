"""The folder of a phantom: finished, begun or empty, and for which settings."""

import json
from pathlib import Path
from typing import Any

from echossl.config.phantom import PhantomConfig
from echossl.errors import RunFolderError
from echossl.files import write_json

# settings that do not change what is written
FREE_KEYS = {"out", "workers"}


def started_path(folder: Path) -> Path:
    """The record of a generation that has begun and is not finished."""
    return folder / "phantom.started.json"


def open_folder(config: PhantomConfig) -> bool:
    """Create the folder or check that it belongs to the same settings.

    Returns:
        True if everything is there already.

    Raises:
        RunFolderError: if it holds other settings, or files that are no phantom.
    """
    finished, started = config.out / "phantom.json", started_path(config.out)
    if finished.is_file():
        _refuse_other(config, finished)
        return True
    if started.is_file():
        _refuse_other(config, started)
        return False
    if config.out.exists() and (not config.out.is_dir() or any(config.out.iterdir())):
        raise RunFolderError(
            f"{config.out}: found something that is not a phantom folder; choose another folder or empty it"
        )
    write_json(started, {"config": config.model_dump(mode="json")})
    return False


def _refuse_other(config: PhantomConfig, record: Path) -> None:
    try:
        before: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{record}: not a record of a phantom; remove the folder and start again"
        ) from error
    # settings that did not exist yet were at their defaults
    before = PhantomConfig.model_construct(out=config.out).model_dump(mode="json") | before
    now = config.model_dump(mode="json")
    changed = [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} asked for"
        for key in sorted((before.keys() | now.keys()) - FREE_KEYS)
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunFolderError(
            f"{config.out}: holds a phantom of other settings; choose another folder or remove it\n  "
            + "\n  ".join(changed)
        )
