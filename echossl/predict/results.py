"""What is written of a prediction: tables for programs, and the same as plain data."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echossl import __version__
from echossl.config.predict import PredictConfig
from echossl.data.labels import describe
from echossl.evaluation.assessment import as_plain
from echossl.files import atomic_path
from echossl.predict.calibrate import Calibration
from echossl.predict.model import Model
from echossl.predict.pictures import Drawn
from echossl.predict.scoring import NEW_SPLIT, Scored
from echossl.predict.studies import Named, Refusal
from echossl.predict.videos import note_of

RESEARCH_USE = "Research use only. Not a medical device; not for diagnosis or treatment."
VIDEO_COLUMNS = ["patient_id", "study_id", "path", "num_frames", "fps", "duration_seconds"]


@dataclass(frozen=True)
class Findings:
    """Everything that was found out.

    Attributes:
        model: what predicted.
        named: what was to be predicted.
        refused: videos and folders that were not used.
        scored: the scores.
        calibration: what they mean.
        drawn: saliency of the foremost videos.
    """

    model: Model
    named: Named
    refused: tuple[Refusal, ...]
    scored: Scored
    calibration: Calibration
    drawn: tuple[Drawn, ...]

    @property
    def refused_studies(self) -> list[str]:
        """Studies without a usable video."""
        scored = set(self.scored.studies["study_id"])
        return [study for study in self.named.studies["study_id"] if study not in scored]


def predictions_table(found: Findings) -> pd.DataFrame:
    """One row per scored study, as fine-tuning writes it, with the label left empty.

    After its columns a binary task has ``NAME_probability`` where scores are calibrated, and ``NAME_called``,
    0 or 1, where there is an operating point.
    """
    task, calibration = found.model.task, found.calibration
    keys = found.scored.studies[["patient_id", "study_id"]].assign(split=NEW_SPLIT)
    labels = pd.DataFrame("", index=keys.index, columns=list(task.settings.columns))
    table = pd.concat([keys, labels, found.scored.studies[list(task.score_names)]], axis=1)
    scores = found.scored.studies[task.score_names[0]].to_numpy(np.float64)
    if calibration.curve is not None:
        table[f"{task.column}_probability"] = calibration.curve.probabilities(scores)
    if calibration.point is not None:
        table[f"{task.column}_called"] = (scores >= calibration.point.threshold).astype(int)
    return table


def videos_table(found: Findings) -> pd.DataFrame:
    """One row per scored video: length, its own scores, ``weight``, ``place``, pictures and a ``note``."""
    videos = found.scored.videos
    table = videos[[*VIDEO_COLUMNS, *found.model.task.score_names, "weight", "place"]].copy()
    for name in ("film", "strip"):
        files = {one.path: getattr(one, name).as_posix() for one in found.drawn}
        table[name] = [files.get(path, "") for path in table["path"]]
    lengths = zip(table["duration_seconds"], table["num_frames"], strict=True)
    table["note"] = [note_of(seconds, count, found.model.encoder.metadata.clip) for seconds, count in lengths]
    return table


def refused_table(found: Findings) -> pd.DataFrame:
    """One row per video or folder that was not used, with the reason."""
    rows = [asdict(one) for one in found.refused]
    return pd.DataFrame(rows, columns=["path", "patient_id", "study_id", "reason"])


def write_tables(found: Findings, folder: Path) -> None:
    """Write ``predictions.csv``, ``videos.csv`` and ``refused.csv``."""
    tables = {
        "predictions.csv": predictions_table(found),
        "videos.csv": videos_table(found),
        "refused.csv": refused_table(found),
    }
    for name, table in tables.items():
        with atomic_path(folder / name) as temporary:
            table.to_csv(temporary, index=False)


def as_dict(found: Findings, config: PredictConfig) -> dict[str, Any]:
    """The same as plain data, with how it was made; what is not finite, as a threshold can be, is None."""
    model, calibration = found.model, found.calibration
    point, curve = calibration.point, calibration.curve
    predictions = predictions_table(found).drop(columns=list(model.task.settings.columns))
    videos = videos_table(found)
    plain: dict[str, Any] = as_plain(
        {
            "notice": RESEARCH_USE,
            "model": str(model.file),
            "task": model.task.settings.model_dump(mode="json"),
            "classes": [text for text in map(describe, model.task.settings.columns) if text],
            "pooling": model.pooling.name,
            "preparation": model.use.model_dump(mode="json"),
            "clip": model.encoder.metadata.clip.model_dump(mode="json"),
            "calibration": {
                "note": calibration.note,
                "curve": None
                if curve is None
                else {"name": curve.name, "slope": curve.slope, "intercept": curve.intercept},
                "operating_point": None
                if point is None
                else {"rule": point.rule, "threshold": point.threshold},
            },
            "studies": [
                row | {"videos": _records(videos[videos["study_id"] == row["study_id"]])}
                for row in _records(predictions)
            ],
            "refused_studies": found.refused_studies,
            "refused": _records(refused_table(found)),
            "notes": list(found.named.notes),
            "settings": config.model_dump(mode="json"),
            "echossl": __version__,
        }
    )
    return plain


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values; what is not a number becomes None."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
