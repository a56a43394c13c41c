"""What made the foremost videos of a study score as they did: a film and a strip of stills each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from echossl.augment import to_float
from echossl.config.predict import PredictConfig
from echossl.data.clips import read_clip, video_requests
from echossl.data.store import ClipStore
from echossl.predict.model import Model
from echossl.predict.scoring import Scored
from echossl.progress import track
from echossl.saliency.methods import METHODS, saliency_map
from echossl.saliency.methods.score import largest_to_one
from echossl.saliency.pictures import as_drawn, what_one_is
from echossl.saliency.render import overlay, strip, with_legend, write_mp4, write_png
from echossl.training.hardware import Hardware

FOLDER = Path("saliency")
STILLS = 6


@dataclass(frozen=True)
class Drawn:
    """The saliency of one video.

    Attributes:
        path: the video.
        study_id: its study.
        film: MP4, below the folder of results.
        strip: PNG, likewise.
    """

    path: str
    study_id: str
    film: Path
    strip: Path


def draw(
    model: Model, store: ClipStore, scored: Scored, config: PredictConfig, hardware: Hardware, folder: Path
) -> list[Drawn]:
    """Draw the foremost videos of every study, of each the clip in its middle, on a scale of its own.

    Args:
        model: a binary one.
        store: the frames.
        scored: which videos are foremost.
        config: how many of a study, the method and its layer.
        hardware: the device.
        folder: of the results; the pictures are written to ``saliency`` in it.

    Raises:
        UserError: if the method is not defined for the network, or the layer does not exist.
    """
    chosen = scored.videos[scored.videos["place"] <= config.overlays]
    drawn = []
    videos = zip(chosen["row"], chosen["path"], chosen["study_id"], strict=True)
    for number, (row, path, study) in enumerate(
        track(videos, "drawing", total=len(chosen), unit="videos"), start=1
    ):
        frames = _middle_clip(store, int(row), model)
        saliency = _saliency(model, frames, config, hardware)
        one = Drawn(str(path), str(study), FOLDER / f"{number:03d}.mp4", FOLDER / f"{number:03d}.png")
        _write(frames, saliency, one, model, config, folder)
        drawn.append(one)
    return drawn


def _middle_clip(store: ClipStore, row: int, model: Model) -> npt.NDArray[np.uint8]:
    clip = model.encoder.metadata.clip
    (request,) = video_requests(store, row, clip, count=1, policy="centre")
    return read_clip(store, request, clip)


def _saliency(
    model: Model, frames: npt.NDArray[np.uint8], config: PredictConfig, hardware: Hardware
) -> npt.NDArray[np.float32]:
    """(frames, height, width) in 0..1 of one clip."""
    clips = to_float(torch.from_numpy(frames))[None, None].to(hardware.device)
    head = model.head.to(hardware.device)
    maps = saliency_map(model.encoder, head, clips, config.method, layer=config.layer)
    found: npt.NDArray[np.float32] = largest_to_one(maps)[0].cpu().numpy()
    return found


def _write(
    frames: npt.NDArray[np.uint8],
    saliency: npt.NDArray[np.float32],
    one: Drawn,
    model: Model,
    config: PredictConfig,
    folder: Path,
) -> None:
    name, clip = config.method.name, model.encoder.metadata.clip
    drawn, top = as_drawn(name, saliency), what_one_is(name)
    film = with_legend(overlay(frames, drawn), with_region=False, top=top)
    write_mp4(film, folder / one.film, frames_per_second=clip.num_frames / clip.clip_seconds)
    write_png(strip(frames, drawn, columns=STILLS, top=top), folder / one.strip)


def method_title(config: PredictConfig) -> str:
    """The method as it is printed."""
    return METHODS[config.method.name].title
