"""What is true about a synthetic video; for tests and figures only, never for training."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echossl.errors import UserError
from echossl.files import atomic_path
from echossl.phantom.anatomy import Patient
from echossl.phantom.render import Rendered


@dataclass(frozen=True)
class Truth:
    """The causes of one video.

    Attributes:
        valve_mask: (frames, height, width) True on the leaflets of the aortic valve, in the file's pixels.
        phase: (frames,) place in the beat, 0 at the R wave to 1 at the next.
        latents: the patient's and the video's causes by name: ``severity``, ``opening``, ``thickness_cm``,
            ``heart_rate_per_min``, ``ejection_fraction``, ``rv_depth_cm``, ... and ``nuisance_*``.
    """

    valve_mask: NDArray[np.bool_]
    phase: NDArray[np.float64]
    latents: dict[str, float]


def truth_path(folder: Path, video_path: Path) -> Path:
    """Where the truth of a video lies."""
    return folder / "truth" / f"{video_path.stem}.npz"


def write_truth(path: Path, patient: Patient, rendered: Rendered) -> None:
    """Keep the truth of a video; the mask takes one bit per pixel."""
    latents = patient.latents() | {f"nuisance_{name}": z for name, z in rendered.nuisances.items()}
    latents["frames_per_second"] = rendered.beats.frames_per_second
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            valve_mask=np.packbits(rendered.valve_mask, axis=None),
            shape=np.array(rendered.valve_mask.shape),
            phase=rendered.beats.phase,
            latents=np.array(json.dumps(latents)),
        )


def read_truth(folder: Path, video_path: Path) -> Truth:
    """Read what is true about a video of a phantom folder.

    Args:
        folder: the folder that ``generate`` wrote.
        video_path: the video, absolute or relative.

    Raises:
        UserError: if the folder keeps no truth for this video.
    """
    path = truth_path(folder, video_path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; {folder} holds no truth for {video_path.name}")
    with np.load(path, allow_pickle=False) as stored:
        shape = tuple(stored["shape"].tolist())
        bits = np.unpackbits(stored["valve_mask"], count=int(np.prod(shape)))
        latents: dict[str, float] = json.loads(str(stored["latents"]))
        return Truth(bits.reshape(shape).astype(bool), stored["phase"].copy(), latents)
