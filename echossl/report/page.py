"""What stands on the report page, as plain data. A section without data is left out of the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from echossl.evaluation import Difference
from echossl.evaluation.assessment import Assessment
from echossl.evaluation.summary import Summary
from echossl.report.gallery import OUTCOMES, Belief, CheckLine, Outcome, SaliencyEntry
from echossl.report.lines import BudgetLine, DifferenceLine, ResultLine, RocLine, TestSet, TrainingCurve


@dataclass(frozen=True)
class Judged:
    """One score on one split, with everything that is known about it.

    Attributes:
        title: heading of its sections, such as the label column and the split.
        note: which model's score it is; empty where the title says so.
        assessment: from :func:`echossl.evaluation.assess.assess`.
    """

    title: str
    note: str
    assessment: Assessment


@dataclass(frozen=True)
class ReportPage:
    """Everything on the page.

    Attributes:
        title: of the page.
        lead: one or two sentences below the title.
        what_was_run: label and value, in order.
        notes: what a reader must know to believe the figures; stands right below the headline.
        test_set: the patients behind the results of a study; None without any.
        default_arm: title of the arm that the others are compared with.
        results: arm by arm, fraction by fraction; the first of the default arm is the headline.
        differences: default arm minus every other one.
        correction: whose method adjusted their p-values, as ``Holm``; empty where none is adjusted.
        roc_fraction: label fraction of the curves.
        roc: one curve per arm.
        judged: single scores, each with its curves, tables and subgroups.
        summaries: what is said of classes, grades, several findings and measurements, each with its table.
        training: curves of the trainings.
        budget: what the labels cost.
        saliency: studies with their maps.
        saliency_rule: which threshold called them positive; empty where none did.
        saliency_checks: the maps against controls.
        belief: which method may be believed; None where no check was made.
        missing: what the page could show and does not, and what would bring it.
        limits: what the figures do not show.
        environment: versions and machine, label and value.
        source: the table that the page is of, so that it is not overwritten by that of another; or empty.
    """

    title: str
    lead: str
    what_was_run: list[tuple[str, str]]
    notes: list[str] = field(default_factory=list)
    test_set: TestSet | None = None
    default_arm: str = ""
    results: list[ResultLine] = field(default_factory=list)
    differences: list[DifferenceLine] = field(default_factory=list)
    correction: str = ""
    roc_fraction: float | None = None
    roc: list[RocLine] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    training: list[TrainingCurve] = field(default_factory=list)
    budget: list[BudgetLine] = field(default_factory=list)
    saliency: list[SaliencyEntry] = field(default_factory=list)
    saliency_rule: str = ""
    saliency_checks: list[CheckLine] = field(default_factory=list)
    belief: Belief | None = None
    missing: list[tuple[str, str]] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    environment: list[tuple[str, str]] = field(default_factory=list)
    source: str = ""

    @property
    def arms(self) -> list[str]:
        """Titles of the arms in order of appearance; their place is their colour everywhere on the page."""
        lines = (self.results, self.differences, self.roc)
        return list(dict.fromkeys(line.arm for some in lines for line in some))

    @property
    def headline(self) -> ResultLine | None:
        """The first result of the default arm; of a page without arms there is none."""
        return next((line for line in self.results if line.arm == self.default_arm), None)

    @property
    def headline_differences(self) -> Mapping[str, Difference]:
        """AUROC of the headline minus that of every other arm at the same fraction."""
        if self.headline is None:
            return {}
        fraction = self.headline.fraction
        return {line.arm: line.auroc for line in self.differences if line.fraction == fraction}

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes that the gallery can be filtered by, in a fixed order."""
        there = {entry.outcome for entry in self.saliency}
        return [outcome for outcome in OUTCOMES if outcome in there]

    @property
    def grades(self) -> list[str]:
        """The grades that the gallery can be filtered by, in order of appearance."""
        return list(dict.fromkeys(entry.grade for entry in self.saliency if entry.grade is not None))

    @property
    def num_unusable(self) -> int:
        """Most resamples that any figure had to leave out for lack of a class."""
        return max((line.auroc.unusable for line in self.results), default=0)
