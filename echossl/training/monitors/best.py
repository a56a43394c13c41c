"""The encoder of the best look so far, beside the last one of the run."""

import math
from pathlib import Path

from safetensors import SafetensorError

from echossl.encoders import Encoder
from echossl.encoders.files import read_weights, write_weights
from echossl.errors import EchosslError

FILE_NAME = "encoder_best.safetensors"
FIGURE, VALUE, STEP = "best_figure", "best_value", "best_step"


class BestEncoder:
    """Keeps the encoder whose figure is largest; of equal ones the earliest.

    The file is whole or absent, and says of which step it is and what its figure was. That is all there is
    to find again when a run goes on: steps that are made anew give the same figures, so that what was kept
    before stays the best.

    Args:
        folder: the run folder.
        figure: name of the figure.
        notes: what else is written about the origin of the weights.
    """

    def __init__(self, folder: Path, figure: str, notes: dict[str, str]) -> None:
        self.path = folder / FILE_NAME
        self._figure, self._notes = figure, notes
        for leftover in folder.glob(f".{self.path.stem}.*"):  # of a save that was killed
            leftover.unlink()
        found = read_best(folder)
        self._value = -math.inf if found is None else float(found["value"])

    def offer(self, encoder: Encoder, step: int, figures: dict[str, float]) -> None:
        """Keep the encoder if it is better than all before.

        Raises:
            EchosslError: if it cannot be written, as on a full disk; the file before it is untouched.
        """
        value = figures.get(self._figure, math.nan)
        if not value > self._value or not math.isfinite(value):
            return
        origin = {STEP: str(step), FIGURE: self._figure, VALUE: repr(value)}
        known = encoder.metadata
        metadata = known.model_copy(update={"provenance": known.provenance | self._notes | origin})
        try:
            write_weights(metadata, encoder.state_dict(), self.path)
        except (OSError, SafetensorError) as error:
            raise EchosslError(
                f"{self.path}: cannot be written ({error}); the file before it is untouched. Make room on "
                "the disk, then the same command continues"
            ) from error
        self._value = value


def read_best(folder: Path) -> dict[str, str | int | float] | None:
    """What is kept as the best in a run folder.

    Returns:
        ``encoder`` (name of the file), ``step``, ``figure`` and ``value``; None if none is kept.

    Raises:
        UserError: if the file is damaged.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    origin = read_weights(path)[0].provenance
    return {
        "encoder": FILE_NAME,
        "step": int(origin[STEP]),
        "figure": origin[FIGURE],
        "value": float(origin[VALUE]),
    }
