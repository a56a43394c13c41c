"""``study.json``: what the page of a study's folder must know that its table does not say."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from echossl.config.study import StudyConfig
from echossl.files import write_json

RECORD_NAME = "study.json"


@dataclass(frozen=True)
class StudyRecord:
    """How a study was made.

    Attributes:
        titles: of each arm, by its name.
        question: what is evaluated: the label column or a cut.
        draws: label draws per fraction.
        seeds: pre-training seeds.
        resamples: of the intervals.
        confidence: of the intervals.
        correction: of the p-values of its family, ``holm`` or ``benjamini_hochberg``.
    """

    titles: Mapping[str, str]
    question: str
    draws: int
    seeds: int
    resamples: int
    confidence: float
    correction: str


def write_record(config: StudyConfig) -> None:
    """Write the record of a study into its folder."""
    record = StudyRecord(
        titles={arm.name: arm.title for arm in config.arms},
        question=config.evaluated,
        draws=config.draws,
        seeds=config.seeds,
        resamples=config.bootstrap.resamples,
        confidence=config.bootstrap.confidence,
        correction=config.family.correction,
    )
    write_json(config.out / RECORD_NAME, asdict(record))


def read_record(folder: Path) -> StudyRecord | None:
    """The record of a study's folder; None where an earlier version ran it."""
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    return StudyRecord(**json.loads(path.read_text(encoding="utf-8")))
