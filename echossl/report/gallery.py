"""Saliency on the page, as plain data: studies to look at, and what the maps are held against."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from echossl.evaluation import Difference, Interval

Outcome = Literal["true positive", "false negative", "false positive", "true negative"]
OUTCOMES: tuple[Outcome, ...] = ("true positive", "false negative", "false positive", "true negative")


def outcome_of(*, label: bool, called: bool) -> Outcome:
    """What a call is worth beside the label."""
    if label:
        return "true positive" if called else "false negative"
    return "false positive" if called else "true negative"


@dataclass(frozen=True)
class SaliencyEntry:
    """One study's saliency, as a film and a strip of stills.

    Attributes:
        title: which study.
        caption: what the picture shows.
        film: MP4, a file or its bytes; None where there is no film.
        strip: PNG, a file or its bytes.
        label: whether the study is positive.
        score: the logit it got.
        outcome: what calling it by the page's threshold comes to; None where there is no threshold.
        grade: of the study, as the reader filters by it; None where none is known.
        inside_share: share of the saliency inside the reference region, 0 to 1; None without one.
        area_share: the region's share of the sector, 0 to 1: what a uniform map would reach.
    """

    title: str
    caption: str
    film: Path | bytes | None
    strip: Path | bytes
    label: bool
    score: float
    outcome: Outcome | None = None
    grade: str | None = None
    inside_share: float | None = None
    area_share: float | None = None


@dataclass(frozen=True)
class BeliefLine:
    """What the checks say of one method.

    Attributes:
        method: its name, as it is printed.
        verdict: ``yes``, ``no``, ``undecided`` or ``not tested``.
        figures: mean and ends of its interval for each check of the table; None where there is none.
    """

    method: str
    verdict: str
    figures: tuple[tuple[float, float, float] | None, ...]


@dataclass(frozen=True)
class Belief:
    """The table that says which method of saliency may be believed for this model.

    Attributes:
        checks: columns of the table.
        lines: one per method.
        counted: patients and studies, and how the intervals were made.
        rule: paragraphs of the rule that decides.
    """

    checks: tuple[str, ...]
    lines: tuple[BeliefLine, ...]
    counted: str
    rule: tuple[str, ...]


@dataclass(frozen=True)
class CheckLine:
    """Enrichment of a map inside the reference region: share inside over the region's share of the sector.

    Attributes:
        studies: which studies, ``all``, ``positive`` or ``negative``.
        map_name: whose map: the model's, the middle of the picture, random weights.
        num_studies: studies behind the figure.
        enrichment: mean over studies; 1 is a uniform map.
        difference: the model minus this control, paired by study; None for the model itself.
        num_patients: patients of those studies; None where it is not known.
    """

    studies: str
    map_name: str
    num_studies: int
    enrichment: Interval
    difference: Difference | None = None
    num_patients: int | None = None

    @property
    def has_interval(self) -> bool:
        """Whether patients can be resampled: one alone is always drawn, which looks like certainty."""
        return self.num_patients is None or self.num_patients > 1
