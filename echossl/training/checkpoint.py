"""Checkpoints: whole or absent, the newest few kept, a damaged one told of and passed over."""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from echossl.errors import EchosslError
from echossl.files import atomic_path
from echossl.training.loss_scale import LossScale

log = logging.getLogger(__name__)
# what torch.load raises on files that are cut short, overwritten, or hold more than tensors
DAMAGE = (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile)


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are kept; made when the first is saved.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    @property
    def paths(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob("step_*.pt"))

    def save(
        self,
        step: int,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        loss_scale: LossScale | None = None,
    ) -> None:
        """Write the state after ``step`` updates, then remove what is older than the newest few.

        Raises:
            EchosslError: if it cannot be written, as on a full disk; the checkpoints before it are untouched.
        """
        model_state, optimiser_state = get_state_dict(module, optimiser)
        state = {"step": step, "module": model_state, "optimiser": optimiser_state}
        if loss_scale is not None:
            state["loss_scale"] = loss_scale.state_dict()
        path = self.folder / f"step_{step:09d}.pt"
        try:
            with atomic_path(path) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:  # torch's writer reports a full disk as RuntimeError
            kept = self.paths[-1].name if self.paths else "none"
            raise EchosslError(
                f"{path}: cannot be written ({first_line(error)}); the newest whole checkpoint is {kept}. "
                "Make room on the disk, then the same command continues"
            ) from error
        for path in self.paths[: -self.keep]:
            path.unlink()

    def restore(
        self, module: nn.Module, optimiser: torch.optim.Optimizer, *, loss_scale: LossScale | None = None
    ) -> int:
        """Load the newest whole checkpoint into module and optimiser, and into the scale of float16.

        Returns:
            The number of updates it was made after; 0 if there is no checkpoint.

        Raises:
            EchosslError: if there are checkpoints and all are damaged.
        """
        for leftover in self.folder.glob(".step_*"):  # of a save that was killed
            leftover.unlink(missing_ok=True)  # another process may be faster
        paths = self.paths
        for path in reversed(paths):
            state = _read(path)
            if state is None:
                continue
            set_state_dict(
                module,
                optimiser,
                model_state_dict=state["module"],
                optim_state_dict=state["optimiser"],
            )
            if loss_scale is not None:
                loss_scale.load_state_dict(state.get("loss_scale", {}))  # older checkpoints have none
            return int(state["step"])
        if paths:
            raise EchosslError(
                f"{self.folder}: every checkpoint is damaged; remove the folder to start the run again"
            )
        return 0


def _read(path: Path) -> dict[str, Any] | None:
    """The content of a checkpoint; None, and a warning that names it, if it is damaged."""
    try:
        _require_sums(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        log.warning("%s: damaged, the checkpoint before it is used (%s)", path, first_line(error))
        return None
    return state


def _require_sums(path: Path) -> None:
    """Compare the content with the check sums that torch.save wrote, which torch.load does not look at."""
    with zipfile.ZipFile(path) as archive:
        wrong = archive.testzip()
    if wrong is not None:
        raise zipfile.BadZipFile(f"check sum of {wrong} is wrong")


def first_line(error: BaseException) -> str:
    """What an error says, without the stack of C++ functions that torch appends."""
    return (str(error).splitlines() or [type(error).__name__])[0]
