"""TensorBoard: the same figures as ``metrics.jsonl`` in ``tensorboard/`` below the run folder."""

from collections.abc import Mapping
from pathlib import Path

from echossl.errors import ConfigError
from echossl.training.logging import FiguresLog, Log, NoLog, TolerantLog

FOLDER_NAME = "tensorboard"


class TensorBoardLog(FiguresLog):
    """An event file per start of the run.

    Args:
        folder: where they are written.
        resumed_step: updates that are already done; TensorBoard drops what earlier files hold beyond it.
    """

    def __init__(self, folder: Path, *, resumed_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=resumed_step + 1)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures; they can be read at once."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def require_tensorboard(*, wanted: bool) -> None:
    """Find out before any work is done whether the package is there.

    Raises:
        ConfigError: if it is not.
    """
    if not wanted:
        return
    try:
        import torch.utils.tensorboard  # noqa: F401 - whether it can be imported is the question
    except ImportError as error:
        raise ConfigError(
            "tensorboard: the package is missing; pip install 'echossl[tensorboard]'"
        ) from error


def open_tensorboard(run_folder: Path, *, wanted: bool, resumed_step: int) -> Log:
    """The TensorBoard log, or one that does nothing."""
    if not wanted:
        return NoLog()
    log = TensorBoardLog(run_folder / FOLDER_NAME, resumed_step=resumed_step)
    return TolerantLog(log, name="TensorBoard", failures=(OSError,))
