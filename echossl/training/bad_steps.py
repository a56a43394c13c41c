"""Steps whose loss or gradient is not finite: skipped, counted, and too many in a row stop the run."""

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

from echossl.errors import EchosslError
from echossl.files import atomic_path

FILE_NAME = "bad_steps.csv"
COLUMNS = ("step", "loss", "gradient_norm", "path")
logger = logging.getLogger(__name__)


class BadSteps:
    """The skipped steps of a run and the videos of their batches, kept in ``bad_steps.csv``.

    Args:
        folder: the run folder.
        most: so many in a row are skipped; one more stops the run.
        paths: path of every video of the store, by its row there.
        resumed_step: updates that are already done; rows of an earlier start are kept up to there.
        writes: whether this process writes the file.
    """

    def __init__(
        self, folder: Path, *, most: int, paths: Sequence[str], resumed_step: int = 0, writes: bool = True
    ) -> None:
        self.path = folder / FILE_NAME
        self._most, self._paths, self._writes = most, paths, writes
        found = self._read()
        self._rows = [row for row in found if int(row["step"]) <= resumed_step]
        if len(self._rows) < len(found):
            self._write()
        self._steps = {int(row["step"]) for row in self._rows}

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: int, figures: Mapping[str, float], videos: Iterable[int]) -> None:
        """Take note of a step that was skipped.

        Args:
            step: its number, from 1.
            figures: its ``loss`` and ``gradient_norm``.
            videos: rows in the store of the videos of its batch, over all processes.

        Raises:
            EchosslError: if it is one more in a row than are skipped.
        """
        found = f"loss {figures['loss']}, gradient norm {figures['gradient_norm']}"
        self._steps.add(step)
        for row in sorted(set(videos)):
            values = (str(step), str(figures["loss"]), str(figures["gradient_norm"]), self._paths[row])
            self._rows.append(dict(zip(COLUMNS, values, strict=True)))
        self._write()
        in_a_row = next(number for number in count(1) if step - number not in self._steps)
        if in_a_row > self._most:
            raise EchosslError(
                f"step {step}: {found}, the {in_a_row}. such step in a row; the videos of these batches are "
                f"listed in {self.path}. Look at them, or start a new run with a lower "
                "optimiser.learning_rate, max_gradient_norm=1, or hardware.precision=fp32"
            )
        if self._writes:
            logger.warning("step %d is skipped: %s; its videos are listed in %s", step, found, self.path)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.is_file():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def _write(self) -> None:
        if not self._writes:
            return
        with atomic_path(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self._rows)
