"""What is known about one score on one split: plain, frozen, and JSON by ``as_dict``."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from echossl.config.evaluation import EvaluationConfig, IntervalConfig
from echossl.evaluation.bootstrap import Interval
from echossl.evaluation.tables import Unit


@dataclass(frozen=True)
class Figure(Interval):
    """A figure with its interval; ends are NaN where there is none.

    Attributes:
        method: how the interval was made: ``percentile``, ``bca``, ``studentised``, ``delong``, ``wilson``,
            ``clopper_pearson``.
    """

    method: str

    @classmethod
    def by(cls, method: str, interval: Interval) -> "Figure":
        """An interval with the name of its method."""
        return cls(**vars(interval), method=method)


@dataclass(frozen=True)
class Counts:
    """What the figures stand on.

    Attributes:
        patients: different ones.
        studies: rows with a label.
        positive_patients: patients with at least one positive study.
        positive_studies: rows with label 1.
        unlabelled: studies left out because their label is empty or uncertain, over the whole table.
        redraws_without_both_classes: resamples of the patients that lacked a class and were left out.
        uncertain: of the unlabelled studies, those of the word uncertain.
    """

    patients: int
    studies: int
    positive_patients: int
    positive_studies: int
    unlabelled: int
    redraws_without_both_classes: int
    uncertain: int = 0


@dataclass(frozen=True)
class Curve:
    """Points with a pointwise percentile band from the resampled patients; NaN where undefined.

    Attributes:
        x: places, (points,).
        y: the curve of the sample, (points,).
        low: lower end of the band, (points,).
        high: upper end of the band, (points,).
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class PointResult:
    """An operating point, judged.

    Attributes:
        rule: ``sensitivity 90 %``, ``specificity 90 %``, ``youden``.
        threshold: a score at or above it is called positive.
        chosen_on: the split on which the threshold was fixed.
        counts: ``true_positives, false_negatives, false_positives, true_negatives`` in studies.
        figures: by the names of :data:`echossl.evaluation.operating.OPERATING_FIGURES`.
    """

    rule: str
    threshold: float
    chosen_on: str
    counts: dict[str, int]
    figures: dict[str, Figure]


@dataclass(frozen=True)
class CalibrationResult:
    """Whether probabilities mean what they say.

    Attributes:
        probabilities: where they come from: ``as given`` and what that assumes, or ``platt on split 'val'``.
        figures: ``calibration_intercept, calibration_slope, brier, ece``.
        chance_ece: the ECE that a perfect model would have here: the bias of ``ece``.
        curve: share of positives against probability, smooth.
        bins: mean probability, positives and studies of each bin of equal mass.
    """

    probabilities: str
    figures: dict[str, Figure]
    chance_ece: float
    curve: Curve
    bins: tuple[tuple[float, int, int], ...]


@dataclass(frozen=True)
class DecisionResult:
    """Net benefit in true positives per study; acting on none is worth 0.

    Attributes:
        model: acting where the probability is at or above the threshold.
        everyone: acting on all, at the same thresholds.
    """

    model: Curve
    everyone: tuple[float, ...]


@dataclass(frozen=True)
class Subgroup:
    """One group of one column.

    Attributes:
        column: of the table or manifest.
        group: its value, or a range of numbers.
        patients: in the group.
        studies: in the group.
        positive_studies: in the group.
        auroc: None where the group lacks a class.
    """

    column: str
    group: str
    patients: int
    studies: int
    positive_studies: int
    auroc: Figure | None


@dataclass(frozen=True)
class Correlation:
    """The score against a measurement.

    Attributes:
        column: the measurement.
        spearman: with a patient-clustered interval.
        patients: with a value.
        studies: with a value.
        values: of the measurement, (studies,).
        scores: beside them, (studies,).
        groups: grade of each, (studies,); empty without a column of grades.
    """

    column: str
    spearman: Figure
    patients: int
    studies: int
    values: tuple[float, ...]
    scores: tuple[float, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class GradeScores:
    """The score by grade, for violin plots.

    Attributes:
        column: of the grades.
        scores: of the studies of each grade, by its name, in the order of the grades.
    """

    column: str
    scores: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Assessment:
    """One split of one binary question.

    Attributes:
        source: the table.
        column: the label column or cut.
        classes: what the label means, if it is named like a class map.
        split: the split that was judged.
        counts: what the figures stand on.
        prevalence: share of positive studies, the AUPRC of a guess.
        figures: ``auroc``, ``auprc``, ``partial_auroc``.
        roc: sensitivity (y) at 1 - specificity (x).
        pr: precision (y) at recall (x).
        points: operating points; empty where ``missing`` says why.
        calibration: None where ``missing`` says why.
        decision: None where ``missing`` says why.
        subgroups: of every column asked for, then discordant grades apart where they are marked.
        correlations: with measurements.
        grades: scores by grade; None without a column of grades.
        missing: reasons, by the name of the part that is not there.
        config: all settings.
        unit: what a row is, ``studies`` or ``videos``.
        notes: what else a reader must know, in sentences, such as which table thresholds come from.
    """

    source: str
    column: str
    classes: str | None
    split: str
    counts: Counts
    prevalence: float
    figures: dict[str, Figure]
    roc: Curve
    pr: Curve
    points: tuple[PointResult, ...]
    calibration: CalibrationResult | None
    decision: DecisionResult | None
    subgroups: tuple[Subgroup, ...]
    correlations: tuple[Correlation, ...]
    grades: GradeScores | None
    missing: dict[str, str]
    config: EvaluationConfig
    unit: Unit = "studies"
    notes: tuple[str, ...] = ()

    @property
    def definition(self) -> str:
        """How the intervals were made, in one sentence."""
        return definition_of(self.config)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON; a number that is NaN or infinite is None."""
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "config"}
        whole = {
            "kind": "binary",
            **parts,
            "definition": self.definition,
            "settings": self.config.model_dump(mode="json"),
        }
        plain: dict[str, Any] = as_plain(whole)
        return plain


def definition_of(config: IntervalConfig) -> str:
    """How intervals are made, in one sentence."""
    names = {
        "percentile": "percentile interval",
        "bca": "BCa interval",
        "studentised": "studentised interval",
        "delong": "DeLong interval by patient on the logit scale (AUROC; else percentile interval)",
    }
    drawn = "patients, positives apart from negatives," if config.stratified else "patients"
    resamples = f"{config.resamples} resamples of {drawn} (seed {config.seed})"
    return f"{100 * config.confidence:g}% {names[config.method]}, {resamples}"


def as_plain(value: Any) -> Any:
    """Dataclasses, tuples and odd numbers as what JSON has: objects, lists, None."""
    if hasattr(value, "__dataclass_fields__"):
        return as_plain(value.as_dict() if hasattr(value, "as_dict") else asdict(value))
    if isinstance(value, dict):
        return {str(key): as_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
