"""What stands on the report page, as plain data. A section without data is left out of the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echossl.evaluation import Difference, Interval, RocCurve


@dataclass(frozen=True)
class TestSet:
    """The patients that every figure of the page stands on.

    Attributes:
        target: what is predicted, as a reader says it: ``severe aortic stenosis``.
        num_patients: test patients.
        num_positive: of those, how many have a positive study.
        prevalence: share of positive studies; the AUPRC of a guess.
    """

    target: str
    num_patients: int
    num_positive: int
    prevalence: float


@dataclass(frozen=True)
class ResultLine:
    """One arm at one label fraction.

    Attributes:
        arm: title of the arm.
        fraction: share of the labelled training patients, 0 to 1.
        num_labelled_patients: labelled patients that were used, validation included.
        auroc: with its interval.
        auprc: with its interval.
    """

    arm: str
    fraction: float
    num_labelled_patients: int
    auroc: Interval
    auprc: Interval


@dataclass(frozen=True)
class DifferenceLine:
    """The default arm minus another one, at one label fraction.

    Attributes:
        arm: title of the other arm.
        fraction: share of the labelled training patients, 0 to 1.
        num_labelled_patients: labelled patients that were used, validation included.
        auroc: paired difference.
        auprc: paired difference.
    """

    arm: str
    fraction: float
    num_labelled_patients: int
    auroc: Difference
    auprc: Difference


@dataclass(frozen=True)
class RocLine:
    """The curve of one arm, the mean over its draws and seeds."""

    arm: str
    curve: RocCurve


@dataclass(frozen=True)
class TrainingCurve:
    """One value over the steps of a training.

    Attributes:
        title: which training, ``SimCLR, seed 0``.
        value_name: what the vertical axis shows, ``loss``.
        steps: (points,), rising.
        values: (points,).
    """

    title: str
    value_name: str
    steps: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class BudgetLine:
    """What one draw of labels cost.

    Attributes:
        fraction: share of the labelled training patients, 0 to 1.
        draw: which draw, or ``all`` where they agree.
        num_labelled_patients: patients whose label was read, validation included.
        num_positive: of those, how many are positive.
        num_videos: their videos.
        num_validation_patients: of the labelled patients, how many only served to choose.
    """

    fraction: float
    draw: str
    num_labelled_patients: int
    num_positive: int
    num_videos: int
    num_validation_patients: int


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
        inside_share: share of the saliency inside the reference region, 0 to 1; None without one.
        area_share: the region's share of the sector, 0 to 1: what a uniform map would reach.
    """

    title: str
    caption: str
    film: Path | bytes | None
    strip: Path | bytes
    label: bool
    score: float
    inside_share: float | None = None
    area_share: float | None = None


@dataclass(frozen=True)
class CheckLine:
    """Enrichment of a map inside the reference region: share inside over the region's share of the sector.

    Attributes:
        studies: which studies, ``all``, ``positive`` or ``negative``.
        map_name: whose map: the model's, the middle of the picture, random weights.
        num_studies: studies behind the figure.
        enrichment: mean over studies; 1 is a uniform map.
        difference: the model minus this control, paired by study; None for the model itself.
    """

    studies: str
    map_name: str
    num_studies: int
    enrichment: Interval
    difference: Difference | None = None


@dataclass(frozen=True)
class ReportPage:
    """Everything on the page.

    Attributes:
        title: of the page.
        lead: one or two sentences below the title.
        test_set: the patients behind the figures.
        default_arm: title of the arm that the others are compared with.
        results: arm by arm, fraction by fraction; the first of the default arm is the headline.
        what_was_run: label and value, in order.
        notes: what a reader must know to believe the figures; stands right below the headline.
        differences: default arm minus every other one.
        roc_fraction: label fraction of the curves.
        roc: one curve per arm.
        training: curves of the pre-trainings.
        budget: what the labels cost.
        saliency: studies with their maps.
        saliency_checks: the maps against controls.
        limits: what the figures do not show.
        environment: versions and machine, label and value.
    """

    title: str
    lead: str
    test_set: TestSet
    default_arm: str
    results: list[ResultLine]
    what_was_run: list[tuple[str, str]]
    notes: list[str] = field(default_factory=list)
    differences: list[DifferenceLine] = field(default_factory=list)
    roc_fraction: float | None = None
    roc: list[RocLine] = field(default_factory=list)
    training: list[TrainingCurve] = field(default_factory=list)
    budget: list[BudgetLine] = field(default_factory=list)
    saliency: list[SaliencyEntry] = field(default_factory=list)
    saliency_checks: list[CheckLine] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)

    @property
    def arms(self) -> list[str]:
        """Titles of the arms in order of appearance; their place is their colour everywhere on the page."""
        lines = (self.results, self.differences, self.roc)
        return list(dict.fromkeys(line.arm for some in lines for line in some))

    @property
    def headline(self) -> ResultLine | None:
        """The first result of the default arm."""
        return next((line for line in self.results if line.arm == self.default_arm), None)

    @property
    def headline_differences(self) -> Mapping[str, Difference]:
        """AUROC of the headline minus that of every other arm at the same fraction."""
        if self.headline is None:
            return {}
        fraction = self.headline.fraction
        return {line.arm: line.auroc for line in self.differences if line.fraction == fraction}

    @property
    def num_unusable(self) -> int:
        """Most resamples that any figure had to leave out for lack of a class."""
        return max((line.auroc.unusable for line in self.results), default=0)
