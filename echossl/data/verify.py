"""Check a finished clip store byte by byte, and list what is damaged for ``prepare`` to make anew."""

from dataclasses import dataclass
from pathlib import Path

from echossl.data.claim import NOT_ALLOWED
from echossl.data.store import ClipStore
from echossl.data.store_tables import DAMAGED_FILE
from echossl.errors import first_names
from echossl.files import atomic_path


@dataclass(frozen=True)
class VerifySummary:
    """What a check of a store has found.

    Attributes:
        videos: number of videos that were checked.
        damaged: files of the videos whose stored frames are not those that were written.
        is_listed: whether the store says so too; False where nobody may write to it.
    """

    videos: int
    damaged: list[str]
    is_listed: bool = True

    def as_text(self) -> str:
        """The same in words, for a person."""
        if not self.damaged:
            return f"{self.videos} videos checked, none is damaged"
        advice = f"run echossl prepare again, it makes their shards anew (see {DAMAGED_FILE})"
        if not self.is_listed:
            advice = "the store cannot be written to, so nothing was noted there; prepare it elsewhere"
        return (
            f"{len(self.damaged)} of {self.videos} videos are damaged: {first_names(self.damaged)}; {advice}"
        )


def verify_store(path: Path) -> VerifySummary:
    """Read everything that a finished store holds and compare with its checksums.

    The store stays as it is and can be used. ``damaged.csv`` lists what is damaged, and the next ``prepare``
    makes these shards anew. Of a store without frames every video is decoded; one that has changed or cannot
    be decoded counts as damaged.

    Raises:
        UserError: if there is no finished store.
    """
    store = ClipStore.open(path)
    damaged = store.verify()
    is_listed = _list_damaged(store, damaged)
    return VerifySummary(len(store), [store.paths[row] for row in damaged], is_listed)


def _list_damaged(store: ClipStore, rows: list[int]) -> bool:
    """Whether the list could be written; without damage there is none."""
    out = store.path / DAMAGED_FILE
    try:
        if not rows:
            out.unlink(missing_ok=True)
            return True
        with atomic_path(out) as path:
            store.table[["path", "shard"]].iloc[rows].to_csv(path, index=False)
    except OSError as error:
        if error.errno not in NOT_ALLOWED:
            raise
        return False
    return True
