"""Videos that turn out unreadable while training: logged, counted, and too many of them stop the run."""

import csv
import logging
from collections.abc import Iterable
from pathlib import Path

from echossl.errors import EchosslError, first_names
from echossl.files import atomic_path

FILE_NAME = "bad_videos.csv"
logger = logging.getLogger(__name__)


class BadVideos:
    """The unreadable videos of a run, kept in ``bad_videos.csv`` so that a resumed run goes on counting.

    Args:
        folder: the run folder.
        num_videos: videos that are trained on.
        most: share of them that may be unreadable, 0 to 1.
        writes: whether this process writes the file.
    """

    def __init__(self, folder: Path, *, num_videos: int, most: float, writes: bool = True) -> None:
        self.path = folder / FILE_NAME
        self._num_videos, self._most, self._writes = num_videos, most, writes
        self._reasons = self._read()

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, bad: Iterable[tuple[str, str]]) -> None:
        """Take note of unreadable videos, each once.

        Args:
            bad: path and reason, from ``Batch.bad``.

        Raises:
            EchosslError: with their list, if they are more than the share that is allowed.
        """
        new = {path: reason for path, reason in bad if path not in self._reasons}
        if not new:
            return
        self._reasons |= new
        self._write(new)
        if len(self) > self._most * self._num_videos:
            raise EchosslError(self._too_many())

    def _write(self, new: dict[str, str]) -> None:
        if not self._writes:
            return
        for path, reason in new.items():
            logger.warning("%s: cannot be read (%s); other clips take its place", path, reason)
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("path", "reason"))
            writer.writerows(self._reasons.items())

    def _too_many(self) -> str:
        lines = [f"{path}: {reason}" for path, reason in self._reasons.items()]
        text = (
            f"{self.path}: {len(self)} of {self._num_videos} videos cannot be read, at most "
            f"{self._most:.1%} may; mend them and run echossl prepare again, or raise data.max_bad_fraction"
        )
        return text + "\n  " + first_names(lines, separator="\n  ")

    def _read(self) -> dict[str, str]:
        if not self.path.is_file():
            return {}
        with self.path.open(encoding="utf-8", newline="") as file:
            return {row["path"]: row["reason"] for row in csv.DictReader(file)}
