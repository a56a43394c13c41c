"""Saliency over time: how much of a clip's saliency each frame has, and how much of it lies in the region."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.files import atomic_path
from echossl.saliency.checks import inside_share, patient_mean
from echossl.saliency.maps import Maps
from echossl.saliency.methods import METHODS

BINS = 10


def frame_rows(maps: Maps) -> Iterator[dict[str, Any]]:
    """One row per method, clip and frame of a video.

    Yields:
        ``method, clip, frame, seconds, phase`` (empty where nobody knows), ``share``: the frame's part of the
        clip's saliency within the sector times the frames, so that 1 is the mean; and ``inside_NAME`` per
        region: the part of the frame's saliency that lies in it, empty for a frame without any.
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
    place = frames["phase"] if frames["phase"].notna().all() else _place_in_clip(frames)
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
    columns = ["method", "place", "value", "low", "high", "num_studies"]
    return pd.DataFrame(rows, columns=columns).sort_values(["method", "place"], ignore_index=True)


def draw_curves(frames: pd.DataFrame, path: Path, config: BootstrapConfig) -> None:
    """Write a picture of the curves: saliency per frame, and its share in each region, against the cycle."""
    from matplotlib.figure import Figure

    values = ["share", *[str(name) for name in frames if str(name).startswith("inside_")]]
    figure = Figure(figsize=(5.2 * len(values), 3.6), layout="constrained")
    axes = figure.subplots(1, len(values), squeeze=False)[0]
    has_phase = bool(frames["phase"].notna().all())
    for axis, value in zip(axes, values, strict=True):
        curves = curves_of(frames, value, config)
        for number, (method, own) in enumerate(curves.groupby("method", sort=False)):
            axis.plot(own["place"], own["value"], color=f"C{number}", label=METHODS[str(method)].title)
            axis.fill_between(own["place"], own["low"], own["high"], color=f"C{number}", alpha=0.15, lw=0)
        axis.set_xlabel("place in the beat (0 = R wave)" if has_phase else "place in the clip")
        title = value.removeprefix("inside_")
        axis.set_title("saliency of a frame (1 = mean)" if value == "share" else f"share of it in {title}")
        axis.set_ylim(bottom=0)
    axes[0].legend(fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _place_in_clip(frames: pd.DataFrame) -> pd.Series:
    place: pd.Series = frames["frame"] / (frames["frame"].max() + 1)
    return place
