"""Check a finished clip store byte by byte, and mark what is damaged for ``prepare`` to make anew."""

from dataclasses import dataclass
from pathlib import Path

from echossl.data.store import MOST_NAMES, ClipStore
from echossl.data.store_tables import table_path


@dataclass(frozen=True)
class VerifySummary:
    """What a check of a store has found.

    Attributes:
        videos: number of videos that were checked.
        damaged: files of the videos whose stored frames are not those that were written.
    """

    videos: int
    damaged: list[str]

    def as_text(self) -> str:
        """The same in words, for a person."""
        if not self.damaged:
            return f"{self.videos} videos checked, none is damaged"
        more = f" and {len(self.damaged) - MOST_NAMES} more" if len(self.damaged) > MOST_NAMES else ""
        return (
            f"{len(self.damaged)} of {self.videos} videos are damaged: {', '.join(self.damaged[:MOST_NAMES])}"
            f"{more}; run echossl prepare again, it makes their shards anew"
        )


def verify_store(path: Path) -> VerifySummary:
    """Read everything that a finished store holds and compare with its checksums.

    The tables of damaged shards are removed, so that the next ``prepare`` makes these shards anew. Of a store
    without frames every video is decoded; one that has changed or cannot be decoded counts as damaged.

    Raises:
        UserError: if there is no finished store.
    """
    store = ClipStore.open(path)
    damaged = store.verify()
    for shard in sorted({int(shard) for shard in store.table["shard"].iloc[damaged]}):
        table_path(store.path, shard).unlink(missing_ok=True)
    return VerifySummary(len(store), [store.paths[row] for row in damaged])
