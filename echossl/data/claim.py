"""The folder of a clip store: whose it is, and what happens when its disk is full."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from echossl.config.data import PrepareConfig
from echossl.data.parts import LOCK_FILE, short_lock
from echossl.data.store_tables import FORMAT_VERSION, SETTINGS_FILE
from echossl.errors import EchosslError, RunFolderError
from echossl.files import write_json

# settings that do not change what is stored; the videos themselves are compared one by one
FREE_SETTINGS = {"out", "workers", "manifest", "shard", "seconds_per_video"}
# the disk, the user's quota and the process's limit
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def settings_of(config: PrepareConfig) -> dict[str, Any]:
    """What a store is made with; one folder holds one such set."""
    return {"format_version": FORMAT_VERSION, **config.model_dump(mode="json", exclude=FREE_SETTINGS)}


def claim_folder(config: PrepareConfig) -> None:
    """Write down the settings before anything else, so that a half-made store refuses others too.

    Raises:
        RunFolderError: if the folder holds a store of other settings or of another version, or other files.
    """
    path = config.out / SETTINGS_FILE
    if not path.is_file():
        _refuse_other_files(config.out)
        config.out.mkdir(parents=True, exist_ok=True)
        with short_lock(config.out):
            if not path.is_file():
                write_json(path, settings_of(config))
    before, now = _read(path), settings_of(config)
    if before.get("format_version") != FORMAT_VERSION:
        raise RunFolderError(
            f"{config.out}: holds a clip store of format {before.get('format_version')}, this version makes "
            f"format {FORMAT_VERSION}; remove the folder or choose another"
        )
    changed = [
        f"{key}: {before.get(key)!r} there, {now.get(key)!r} asked for"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunFolderError(
            f"{config.out}: holds a clip store with other settings; choose another folder or remove it\n  "
            + "\n  ".join(changed)
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RunFolderError(f"{path}: is damaged ({error}); remove the folder or choose another") from error
    return settings


@contextmanager
def space_needed(folder: Path) -> Iterator[None]:
    """Say in words that there is no space left, or that nobody may write there.

    Raises:
        EchosslError: if the disk, a quota or a limit on file sizes is reached.
        RunFolderError: if writing is not allowed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NOT_ALLOWED:
            raise RunFolderError(
                f"{folder}: cannot be written to ({error.strerror}); choose another folder or have it allowed"
            ) from error
        if error.errno not in NO_SPACE:
            raise
        raise EchosslError(
            f"{folder}: no space left ({error.strerror}); make space, the same command continues where it "
            "stopped"
        ) from error


def _refuse_other_files(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder}: is a file; choose another folder")
    if not folder.is_dir():
        return
    # another part may be claiming the folder at this moment
    ours = (LOCK_FILE, f".{Path(SETTINGS_FILE).stem}.", SETTINGS_FILE)
    has_others = any(not path.name.startswith(ours) for path in folder.iterdir())
    if has_others and not (folder / SETTINGS_FILE).is_file():
        raise RunFolderError(f"{folder}: not empty and no clip store; choose another folder")
