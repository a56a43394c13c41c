"""The saliency folder of a study as entries of the report page."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.config.saliency import ChecksSettings
from echossl.evaluation import Difference, Interval
from echossl.report import Belief, BeliefLine, CheckLine, SaliencyEntry, outcome_of
from echossl.runs import RunFolder
from echossl.saliency.believe import Rule, believed, counted, decisive_checks
from echossl.saliency.checks import study_enrichment
from echossl.saliency.methods import METHODS

MAP_TITLES = {
    "model": "Trained model",
    "centre_prior": "Middle of the picture",
    "random_weights": "Random weights",
}
OUTLINE = "; the outline is the reference region"
TABLE_NAME, CHECKS_NAME = "saliency.csv", "checks.csv"
NUMBERS = ("value", "low", "high")
# labels of the groups that are checked
GROUPS = {"all": (0, 1), "positive": (1,), "negative": (0,)}


def saliency_entries(
    folder: Path, *, threshold: float, grades: Mapping[str, str], most: int
) -> list[SaliencyEntry]:
    """One entry per explained video, in the order of the table; empty if nothing was explained.

    Args:
        folder: of ``echossl explain``.
        threshold: a study with this score or more is called positive.
        grades: of the studies that have one, by name.
        most: videos at most.
    """
    if not is_explained(folder):
        return []
    # the first method is the one in the film
    method = METHODS[RunFolder(folder).record["config"]["methods"][0]["name"]].title
    return [
        SaliencyEntry(
            title=f"{video['study_id']}, {Path(video['path']).name}",
            caption=f"{method} over the clip{OUTLINE if 'inside_share' in video else ''}.",
            film=folder / video["folder"] / "overlay.mp4",
            strip=folder / video["folder"] / "strip.png",
            label=bool(video["label"]),
            score=float(video["score"]),
            outcome=outcome_of(label=bool(video["label"]), called=float(video["score"]) >= threshold),
            grade=grades.get(video["study_id"]),
            inside_share=_number(video.get("inside_share")),
            area_share=_number(video.get("area_share")),
        )
        for video in _videos(folder).head(most).to_dict("records")
    ]


def is_explained(folder: Path) -> bool:
    """Whether it holds what ``echossl explain`` makes."""
    return (folder / TABLE_NAME).is_file()


def _videos(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / TABLE_NAME, dtype={"study_id": str, "patient_id": str, "folder": str})


def _number(value: float | None) -> float | None:
    """None also for NaN: a map without evidence has no share."""
    return None if value is None or math.isnan(value) else float(value)


def saliency_belief(folder: Path) -> Belief | None:
    """Which method may be believed, from the checks of a folder of ``echossl explain``; None without any."""
    path = folder / CHECKS_NAME
    if not path.is_file():
        return None
    table = pd.read_csv(path, keep_default_na=False, na_values={name: [""] for name in NUMBERS})
    if table.empty:
        return None
    settings = RunFolder(folder).record["config"]
    checks = ChecksSettings.model_validate(settings.get("checks", {}))
    bootstrap = BootstrapConfig.model_validate(settings.get("bootstrap", {}))
    rule = Rule(checks.which, checks.most_correlation)
    names = decisive_checks(table, rule)
    # where a map points decides nothing: it is shown where nothing else was checked
    last = sum(" " not in name for name in names) or len(names)
    return Belief(
        tuple(name.replace("_", " ") for name in names[:last]),
        tuple(BeliefLine(one.title, one.verdict, one.figures[:last]) for one in believed(table, rule)),
        f"Maps of the model in {settings['run']}: {counted(table, bootstrap)}",
        # lines of a paragraph are joined, but for those that count
        tuple(re.sub(r"\n(?!\d\. ) *", " ", part) for part in rule.as_text().replace("*", "").split("\n\n")),
    )


def saliency_checks(folder: Path) -> list[CheckLine]:
    """The maps against their controls, per group of studies."""
    checks = (RunFolder(folder).result or {}).get("region_checks", {})
    videos = _videos(folder) if checks and is_explained(folder) else None
    lines = []
    for studies, check in checks.items():
        num_patients = None if videos is None else _num_patients(videos, studies)
        for name, title in MAP_TITLES.items():
            difference = check["difference"].get(name)
            lines.append(
                CheckLine(
                    studies=studies,
                    map_name=title,
                    num_studies=check["studies"],
                    enrichment=Interval(**check["enrichment"][name]),
                    difference=Difference(**difference) if difference else None,
                    num_patients=num_patients,
                )
            )
    return lines


def _num_patients(videos: pd.DataFrame, studies: str) -> int:
    """Patients whose studies enter the means of a group."""
    usable = study_enrichment(videos[videos["label"].isin(GROUPS[studies])]).dropna()
    return int(usable["patient_id"].nunique())
