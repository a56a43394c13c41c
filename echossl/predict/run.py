"""``echossl predict``: new studies in, a folder with scores, reasons and one page out."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echossl.config.predict import PredictConfig
from echossl.errors import RunFolderError
from echossl.files import write_json, write_text
from echossl.predict.calibrate import calibrate
from echossl.predict.model import load_model
from echossl.predict.page import page
from echossl.predict.pictures import draw
from echossl.predict.results import Findings, as_dict, write_tables
from echossl.predict.scoring import score
from echossl.predict.studies import find_studies
from echossl.predict.videos import prepare_videos
from echossl.training.hardware import Hardware


@dataclass(frozen=True)
class Prediction:
    """What was written.

    Attributes:
        folder: with ``predictions.csv``, ``videos.csv``, ``refused.csv``, ``index.html``, ``result.json`` and
            ``saliency/``.
        result: the content of ``result.json``.
    """

    folder: Path
    result: dict[str, Any]

    @property
    def refused_studies(self) -> list[str]:
        """Studies without a usable video."""
        found: list[str] = self.result["refused_studies"]
        return found

    def as_lines(self) -> Iterator[str]:
        """What a person wants to know first."""
        for study in self.result["studies"]:
            yield _study_line(study)
        yield from (f"{one['path']}: refused: {one['reason']}" for one in self.result["refused"])
        yield from (f"study {study}: no usable video, no score" for study in self.refused_studies)
        yield self.result["calibration"]["note"]
        yield f"page: {self.folder / 'index.html'} (research use only)"


def predict(config: PredictConfig) -> Prediction:
    """Score new studies with a fine-tuned model.

    The videos are decoded, masked, cropped and resized as those of training were, the same clips are cut from
    them, and their scores are pooled over each study in the same way. The folder of results appears when it
    is whole.

    Raises:
        UserError: if the model, a named study or a setting is wrong.
        RunFolderError: if there is something at ``out`` already.
    """
    _require_free(config.out)
    model, named = load_model(config), find_studies(config)
    hardware = Hardware.resolve(config.hardware)
    with _whole_or_nothing(config.out) as (folder, scratch):
        calibration = calibrate(model, config)
        prepared = prepare_videos(named, model, config, scratch)
        scored = score(model, prepared, hardware)
        drawn = []
        if config.overlays and model.is_binary and prepared.store is not None:
            drawn = draw(model, prepared.store, scored, config, hardware, folder)
        refused = (*named.refused, *prepared.refused)
        found = Findings(model, named, refused, scored, calibration, tuple(drawn))
        write_tables(found, folder)
        result = as_dict(found, config)
        write_text(folder / "index.html", page(found, config, folder))
        write_json(folder / "result.json", result)
    return Prediction(config.out, result)


def _require_free(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise RunFolderError(f"{out}: is there already; choose another folder with -o, or remove it")


@contextmanager
def _whole_or_nothing(out: Path) -> Iterator[tuple[Path, Path]]:
    """A folder that gets the name ``out`` on success, and one for scratch; both go if anything is raised."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
        folder, scratch = Path(name) / "results", Path(name) / "scratch"
        folder.mkdir()
        scratch.mkdir()
        yield folder, scratch
        folder.replace(out)


def _study_line(study: dict[str, Any]) -> str:
    values = []
    for name, value in study.items():
        if name.endswith("_called"):
            values.append("called" if value else "not called")
        elif isinstance(value, float):
            values.append(f"{name} {value:.3f}")
    count = len(study["videos"])
    return f"study {study['study_id']}: {', '.join(values)} ({count} video{'' if count == 1 else 's'})"
