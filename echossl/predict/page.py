"""``index.html`` of a prediction: one file that needs no network."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from echossl import __version__
from echossl.config.predict import PredictConfig
from echossl.data.labels import describe
from echossl.predict.pictures import Drawn, method_title
from echossl.predict.results import RESEARCH_USE, Findings, predictions_table
from echossl.predict.videos import note_of
from echossl.report.films import small_film
from echossl.report.pictured import data_url
from echossl.report.render import FOLDER as REPORT_FOLDER

FOLDER = Path(__file__).parent
CALLS = ("below the operating point", "at or above the operating point")
NO_VIEWS = (
    "Nothing here recognises the view: give videos of the view that the model was trained on, and no others."
)


def page(found: Findings, config: PredictConfig, folder: Path) -> str:
    """The page as HTML text.

    Args:
        found: what stands on it.
        config: method of saliency.
        folder: where the pictures are.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (REPORT_FOLDER / "report.css").read_text(encoding="utf-8")
    html: str = environment.get_template("predict.html.j2").render(
        target=", ".join(found.model.task.settings.columns),
        notice=RESEARCH_USE,
        style=Markup(style),  # noqa: S704 - the package's own file
        notes=[found.calibration.note, NO_VIEWS, *found.named.notes],
        studies=_studies(found, folder),
        refused=[
            {"study": one.study_id, "name": Path(one.path).name, "reason": one.reason}
            for one in found.refused
        ],
        refused_studies=found.refused_studies,
        facts=_facts(found),
        method=method_title(config),
        version=__version__,
    )
    return html


def _studies(found: Findings, folder: Path) -> list[dict[str, Any]]:
    table = predictions_table(found)
    called = f"{found.model.task.column}_called"
    return [
        {
            "name": row["study_id"],
            "called": called in row and bool(row[called]),
            "call": CALLS[int(row[called])] if called in row else "",
            "figures": _figures(found, row),
            "videos": _videos(found, row["study_id"]),
            "drawn": [_picture(one, folder) for one in found.drawn if one.study_id == row["study_id"]],
        }
        for _, row in table.iterrows()
    ]


def _figures(found: Findings, row: pd.Series) -> list[tuple[str, str]]:
    task, calibration = found.model.task, found.calibration
    unit = " (log odds)" if found.model.is_binary else ""
    lines = [(f"{name}{unit}", _number(row[name])) for name in task.score_names]
    probability = f"{task.column}_probability"
    if probability in row:
        lines.append(("Calibrated probability", f"{100 * row[probability]:.0f} %"))
    elif found.model.is_binary:
        lines.append(("Calibrated probability", "none: uncalibrated, see above"))
    if calibration.point is not None:
        lines.append(("Operating point", f"{calibration.point.rule}: {_number(calibration.point.threshold)}"))
    return lines


def _videos(found: Findings, study: str) -> list[dict[str, str]]:
    videos = found.scored.videos
    own = videos[videos["study_id"] == study].sort_values("place")
    name, clip = found.model.task.score_names[0], found.model.encoder.metadata.clip
    return [
        {
            "name": Path(row["path"]).name,
            "score": _number(row[name]),
            "weight": _number(row["weight"]),
            "seconds": f"{row['duration_seconds']:.1f}",
            "note": note_of(row["duration_seconds"], row["num_frames"], clip),
        }
        for _, row in own.iterrows()
    ]


def _picture(one: Drawn, folder: Path) -> dict[str, str]:
    # as they are: the whole folder is on this machine, and the films are small
    film = small_film(folder / one.film, most_bytes=sys.maxsize)
    return {
        "name": Path(one.path).name,
        "film": data_url(film.content, "video/mp4"),
        "poster": data_url(film.poster, "image/jpeg"),
        "strip": data_url((folder / one.strip).read_bytes(), "image/png"),
    }


def _facts(found: Findings) -> list[tuple[str, str]]:
    model = found.model
    clip, size, use = model.encoder.metadata.clip, model.encoder.metadata.size, model.use
    classes = [text for text in map(describe, model.task.settings.columns) if text]
    return [
        ("File", str(model.file)),
        ("Task", f"{model.task.settings.name}: {', '.join(model.task.settings.columns)}"),
        *[("Classes", text) for text in classes],
        ("Network", model.encoder.metadata.architecture.name),
        ("Clips", f"{clip.num_frames} frames over {clip.clip_seconds:g} s, {size} x {size} pixels, grey"),
        ("Clips of a video", f"{use.clips_per_video}, {use.clip_policy}"),
        ("Videos of a study", f"{model.pooling.name} of their scores"),
        ("Sector and colour Doppler", f"{use.sector}, {use.doppler}"),
    ]


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "not known"
