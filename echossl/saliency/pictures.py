"""The pictures of one explained video: a film, a strip of stills, every method side by side, raw maps."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.video import ClipConfig
from echossl.files import atomic_path
from echossl.saliency.captions import moments, with_heading, with_notes
from echossl.saliency.maps import Maps
from echossl.saliency.methods import METHODS
from echossl.saliency.output import Output
from echossl.saliency.render import overlay, strip, strips, with_legend, write_gif, write_mp4, write_png

# below this covered share a pixel is drawn as outside of the region
DRAWN_COVERAGE = 0.25
FILM_SIDE_PIXELS = 360
Floats = npt.NDArray[np.float32]


def folder_name(video: pd.Series) -> str:
    """Name of a video's folder: study, file and row of the store."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", f"{video['study_id']}-{Path(video['path']).stem}-{video['row']}")


def as_drawn(name: str, saliency: Floats) -> Floats:
    """The values of a method's map of one video as colours show them: 1 from the drawn quantile on."""
    quantile = METHODS[name].drawn_quantile
    limit = np.float32(np.quantile(saliency, quantile)) if quantile < 1 else np.float32(1)
    return np.minimum(saliency / limit, np.float32(1)) if limit > 0 else saliency


def what_one_is(name: str) -> str:
    """In words: the largest value, or where the largest begin."""
    quantile = METHODS[name].drawn_quantile
    return "largest" if quantile == 1 else f"largest {100 * (1 - quantile):g} %"


def heading(video: pd.Series, output: Output) -> tuple[str, str]:
    """Whose picture it is, and what was said of it; no more of a patient than the name of the study."""
    label = str(video["label"])
    if output.is_number:
        label = "above the median" if video["label"] else "not above the median"
    return (
        f"study {video['study_id']}, video {video['row']} of the store",
        f"{output.title}: {label}, score {video['score']:.2f}",
    )


def write_pictures(maps: Maps, folder: Path, clip: ClipConfig, words: Sequence[str] = ()) -> None:
    """Write ``overlay.mp4``, ``overlay.gif`` and ``strip.png`` of the first method and ``maps.npz``.

    Of several methods also ``methods.png``, one row each.

    Args:
        maps: of one video.
        folder: to write to.
        clip: its frames and seconds are the film's.
        words: lines above the pictures.
    """
    region = maps.region
    drawn = None if region is None else region >= DRAWN_COVERAGE
    name = next(iter(maps.saliency))
    first, top = as_drawn(name, maps.saliency[name]), what_one_is(name)
    notes = moments(maps.seconds, maps.phase)
    one = strip(maps.frames, first, region=drawn, top=top, notes=notes)
    lines = ["; ".join([*words, METHODS[name].title])]
    write_png(with_heading(one, lines), folder / "strip.png")
    if len(maps.saliency) > 1:
        rows = {
            f"{METHODS[one].title}, 1 = {what_one_is(one)}": as_drawn(one, values)
            for one, values in maps.saliency.items()
        }
        several = strips(maps.frames, rows, region=drawn, notes=notes)
        write_png(with_heading(several, ["; ".join(words)]), folder / "methods.png")
    film = overlay(maps.frames, first, region=drawn, smallest_side=FILM_SIDE_PIXELS)
    film = with_heading(with_notes(film, notes), [*words, METHODS[name].title])
    film = with_legend(film, with_region=drawn is not None, top=top)
    rate = clip.num_frames / clip.clip_seconds
    write_mp4(film, folder / "overlay.mp4", frames_per_second=rate)
    write_gif(film, folder / "overlay.gif", frames_per_second=rate)
    with atomic_path(folder / "maps.npz") as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **maps.arrays())
