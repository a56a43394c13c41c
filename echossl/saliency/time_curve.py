"""Saliency over time: how much of a clip's saliency each frame has, and how much of it lies in the region."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.files import atomic_path
from echossl.saliency.checks import area_share, inside_share, patient_mean
from echossl.saliency.maps import Maps
from echossl.saliency.methods import METHODS

BINS = 10
# blue of the palette of Okabe and Ito, which colour-blind people tell from grey
COLOUR = "#0072B2"


def frame_rows(maps: Maps) -> Iterator[dict[str, Any]]:
    """One row per method, clip and frame of a video.

    Yields:
        ``method, clip, frame, seconds, phase`` (empty where nobody knows), ``share``: the frame's part of the
        clip's saliency within the sector times the frames, so that 1 is the mean; and ``inside_NAME`` per
        region: the part of the frame's saliency that lies in it, empty for a frame without any; and
        ``area_NAME``: the region's part of the sector, which an even map would have.
    """
    for name, saliency in maps.saliency.items():
        for clip, frames in enumerate(maps.clips()):
            per_frame = np.where(maps.sector, saliency[frames], 0.0).sum(axis=(1, 2), dtype=np.float64)
            total = per_frame.mean()
            for number, frame in enumerate(range(*frames.indices(len(saliency)))):
                yield {
                    "method": name,
                    "clip": clip,
                    "frame": number,
                    "seconds": round(float(maps.seconds[frame]), 4),
                    "phase": np.nan if maps.phase is None else round(float(maps.phase[frame]), 4),
                    "share": per_frame[number] / total if total > 0 else np.nan,
                    **{
                        f"inside_{region}": inside_share(saliency[[frame]], covered[[frame]], maps.sector)
                        for region, covered in maps.regions.items()
                    },
                    **{
                        f"area_{region}": area_share(covered[[frame]], maps.sector)
                        for region, covered in maps.regions.items()
                    },
                }


def curves_of(frames: pd.DataFrame, value: str, config: BootstrapConfig) -> pd.DataFrame:
    """Mean over studies in ten parts of the cycle, with patient-bootstrap intervals.

    Args:
        frames: the rows of many videos with their ``patient_id, study_id``. Where every frame has a phase the
            parts are those of the beat, else those of the clip.
        value: the column.
        config: resamples, confidence, seed.

    Returns:
        ``method, place`` (middle of the part, 0..1), ``value, low, high, num_studies``.
    """
    place = frames["phase"] if _has_phase(frames) else _place_in_clip(frames)
    parts = frames.assign(part=np.minimum((place * BINS).astype(int), BINS - 1))
    rows = []
    for (method, part), own in parts.groupby(["method", "part"], sort=False):
        studies = own.groupby(["patient_id", "study_id"])[value].mean().dropna()
        if len(studies):
            patients = studies.index.get_level_values("patient_id").to_numpy()
            figure = patient_mean(studies.to_numpy(), patients, config)
            rows.append(
                {
                    "method": method,
                    "place": (int(str(part)) + 0.5) / BINS,
                    **{name: getattr(figure, name) for name in ("value", "low", "high")},
                    "num_studies": len(studies),
                }
            )
    numbers = ["place", "value", "low", "high", "num_studies"]
    # without evidence in any study there is no row, but columns of numbers still
    table = pd.DataFrame(rows, columns=["method", *numbers]).astype(dict.fromkeys(numbers, float))
    return table.sort_values(["method", "place"], ignore_index=True)


def draw_curves(frames: pd.DataFrame, path: Path, config: BootstrapConfig) -> None:
    """Write a picture of the curves against the cycle, a row per method.

    The first column is the saliency of a frame, the others its share in each region; dashed is what an even
    map would have.
    """
    from matplotlib.figure import Figure

    values = ["share", *[str(name) for name in frames if str(name).startswith("inside_")]]
    methods = [str(name) for name in frames["method"].unique()]
    size = (5.2 * len(values), 1.4 + 2.2 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(methods), len(values), squeeze=False, sharex=True, sharey="col")
    for column, value in zip(axes.T, values, strict=True):
        curves = curves_of(frames, value, config)
        even = curves_of(frames, value.replace("inside_", "area_"), config) if value != "share" else None
        for axis, method in zip(column, methods, strict=True):
            _draw_one(axis, curves[curves["method"] == method], even)
        # a flat curve would lie on the upper edge
        highest = max([*curves["high"], *([1.0] if even is None else even["value"])])
        column[0].set_ylim(0, 1.15 * highest)
        title = value.removeprefix("inside_")
        column[0].set_title("saliency of a frame" if value == "share" else f"share in {title}")
    for row, method in zip(axes, methods, strict=True):
        row[0].set_ylabel(METHODS[method].title)
    figure.supxlabel(
        f"{'place in the beat (0 = R wave)' if _has_phase(frames) else 'place in the clip'}; "
        f"bands: {config.confidence:.0%} intervals over patients; dashed: an even map",
        fontsize=9,
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _draw_one(axis: Any, own: pd.DataFrame, even: pd.DataFrame | None) -> None:
    axis.plot(own["place"], own["value"], color=COLOUR)
    axis.fill_between(own["place"], own["low"], own["high"], color=COLOUR, alpha=0.2, lw=0)
    if even is None:
        axis.axhline(1, color="0.4", ls="--", lw=1)
    else:
        mean = even.groupby("place")["value"].mean()
        axis.plot(mean.index, mean, color="0.4", ls="--", lw=1)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlim(0, 1)


def _has_phase(frames: pd.DataFrame) -> bool:
    return bool(frames["phase"].notna().all())


def _place_in_clip(frames: pd.DataFrame) -> pd.Series:
    place: pd.Series = frames["frame"] / (frames["frame"].max() + 1)
    return place
