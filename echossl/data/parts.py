"""Several runs of ``prepare`` on one folder, also from several machines: who may work, and who does what.

All locks are ``flock`` on files of the store, which network file systems honour too. They go with the
process, however it ends.

- ``.lock`` is held for moments, while a run looks around, plans or finishes.
- ``settings.json`` is held as long as a run works: by the parts of a store together, by a whole run alone.
- ``.part-2-of-4.lock`` is held as long as that part works, so that it is not done twice at the same time.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from echossl.data.store_tables import SETTINGS_FILE
from echossl.errors import EchosslError, RunFolderError

LOCK_FILE = ".lock"
PART_LOCKS = ".part-*.lock"


@dataclass(frozen=True)
class Part:
    """The i-th of n parts of the work; the first of one is all of it.

    Attributes:
        index: from 1 to ``num_parts``.
        num_parts: into how many parts the work is divided.
    """

    index: int
    num_parts: int

    @classmethod
    def of(cls, words: str) -> Self:
        """From the setting ``shard``, ``i/n``."""
        index, num_parts = words.split("/")
        return cls(int(index), int(num_parts))

    def has(self, shard: int) -> bool:
        """Whether a shard is this part's work."""
        return shard % self.num_parts == self.index - 1


@contextmanager
def short_lock(folder: Path) -> Iterator[None]:
    """Wait until nobody else is between two steps in this folder."""
    with (folder / LOCK_FILE).open("a") as file:
        _lock(file, fcntl.LOCK_EX, folder)
        yield


@contextmanager
def looking_around(folder: Path) -> Iterator[None]:
    """Wait until nobody is between two steps in this folder; needs no permission to write to it."""
    path = folder / LOCK_FILE
    # a copied store may lack the file; nobody has worked on it then
    with path.open() if path.is_file() else nullcontext() as file:
        if file is not None:
            _lock(file, fcntl.LOCK_SH, folder)
        yield


@contextmanager
def at_work(folder: Path, part: Part) -> Iterator[bool]:
    """Take part in the work on a store; to be entered within ``short_lock``.

    Yields:
        Whether nobody else is at work.

    Raises:
        RunFolderError: if somebody is at work whom this part would disturb.
    """
    with (folder / SETTINGS_FILE).open("r+") as settings:
        alone = _lock(settings, fcntl.LOCK_EX | fcntl.LOCK_NB, folder)
        if part.num_parts == 1:
            if not alone:
                raise RunFolderError(f"{folder}: another echossl prepare is at work here; wait for it")
            yield alone
            return
        if not _lock(settings, fcntl.LOCK_SH | fcntl.LOCK_NB, folder):
            raise RunFolderError(f"{folder}: an echossl prepare without shard is at work here; wait for it")
        with (folder / f".part-{part.index}-of-{part.num_parts}.lock").open("a") as own:
            if not _lock(own, fcntl.LOCK_EX | fcntl.LOCK_NB, folder):
                raise RunFolderError(
                    f"{folder}: part {part.index}/{part.num_parts} is at work already; wait for it"
                )
            yield alone


def _lock(file: IO[str], how: int, folder: Path) -> bool:
    """Whether a lock could be had."""
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as error:
        raise EchosslError(
            f"{folder}: its file system has no locks ({error.strerror}), without which two runs could spoil "
            "the store; choose a folder on another one"
        ) from error
    return True
