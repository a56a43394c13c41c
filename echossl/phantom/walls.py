"""The walls of the left ventricle in the pixels of a phantom's video, worked out again from its settings."""

import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echossl.config.phantom import PhantomConfig
from echossl.errors import UserError
from echossl.phantom.heart import ventricle_wall
from echossl.phantom.motion import to_end_diastole
from echossl.phantom.painter import heart_coordinates
from echossl.phantom.people import person
from echossl.phantom.render import plan_video

VIDEO_NAME = re.compile(r"P(?P<patient>\d+)_(?P<video>\d+)")


def wall_mask(folder: Path, video_path: Path) -> NDArray[np.bool_]:
    """Septum and back wall of the left ventricle as they move; the walls of a stenosis are a little thicker.

    Args:
        folder: the folder that ``generate`` wrote.
        video_path: the video, named as there.

    Returns:
        (frames, height, width) in the file's pixels, True on the muscle; what the mitral leaflets hide
        of it counts too.

    Raises:
        UserError: if the folder is no finished phantom, or the video is not named as its videos are.
    """
    name = VIDEO_NAME.fullmatch(video_path.stem)
    if name is None:
        raise UserError(f"{video_path}: found a name of another kind, expected one as P00001_1 of a phantom")
    config = _config(folder)
    patient = person(config, int(name["patient"]))
    plan = plan_video(patient, int(name["video"]), config)
    x, y = heart_coordinates(plan.fan, plan.window)
    masks = []
    for offset, contraction in zip(plan.beats.offset_cm, plan.beats.contraction, strict=True):
        here = to_end_diastole(
            x - offset[0], y - offset[1], contraction, patient.heart, patient.ejection_fraction
        )
        cavity, _, muscle = ventricle_wall(*here, patient.heart)
        inside = ((muscle < 0) & (cavity > 0)).astype(np.float32)
        masks.append(plan.fan.to_pixels @ inside.T.ravel() > 0.5)
    return np.stack(masks).reshape(-1, *plan.fan.inside.shape)


def _config(folder: Path) -> PhantomConfig:
    path = folder / "phantom.json"
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the folder of a finished echossl phantom")
    return PhantomConfig.model_validate(json.loads(path.read_text(encoding="utf-8"))["config"])
