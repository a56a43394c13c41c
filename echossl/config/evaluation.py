"""Settings of the statistics."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from echossl.config.base import Config

# a run's own validation studies: their table, its split, and how many of each class fix a threshold
VALIDATION_NAME, VALIDATION_SPLIT = "validation.csv", "val"
LEAST_PER_CLASS = 10

_POINT = re.compile(r"(sensitivity|specificity)[ _]?(\d+(?:\.\d+)?) ?%?")


def _listed(value: object) -> object:
    """``sex,source`` as ``[sex, source]``: a list needs quotes in most shells."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def parse_point(text: str) -> tuple[Literal["sensitivity", "specificity", "youden"], float]:
    """Rule and target of ``sensitivity90`` (or ``sensitivity 90 %``) or ``youden``; its target is 0.

    Raises:
        ValueError: if it is neither.
    """
    if text == "youden":
        return "youden", 0.0
    found = _POINT.fullmatch(text)
    if not found or not 0 < float(found[2]) < 100:
        raise ValueError(f"operating point {text!r} is not like sensitivity90, specificity95 or youden")
    rule: Literal["sensitivity", "specificity"] = (
        "sensitivity" if found[1] == "sensitivity" else "specificity"
    )
    return rule, float(found[2]) / 100


def _points(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parse_point(value)
    return values


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Points = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_points)]


class BootstrapConfig(Config):
    """Percentile bootstrap over patients."""

    resamples: int = Field(2000, ge=100, description="Number of resamples of the patients.")
    confidence: float = Field(
        0.95, gt=0, lt=1, description="Coverage; 0.95 takes the 2.5th to 97.5th percentile."
    )
    seed: int = Field(0, ge=0, description="Seed of the resampling.")


class IntervalConfig(BootstrapConfig):
    """How an interval is made, wherever one table is judged or tables are compared."""

    method: Literal["percentile", "bca", "studentised", "delong"] = Field(
        "percentile",
        description="Interval from the resamples; delong takes none for the AUROC (logit scale, by patient), "
        "and percentiles for all other figures.",
    )
    stratified: bool = Field(
        False, description="Draw patients with a positive study apart from those without: none lacks a class."
    )


class EvaluationConfig(IntervalConfig):
    """How one table of predictions is judged."""

    validation_split: str = Field(
        VALIDATION_SPLIT, description="Split on which thresholds are chosen and probabilities are fitted."
    )
    operating_points: Points = Field(
        ("sensitivity90", "specificity90", "youden"),
        description="Thresholds fixed on the validation split: sensitivityNN, specificityNN (in %), youden.",
    )
    proportions: Literal["bootstrap", "wilson", "clopper_pearson"] = Field(
        "bootstrap",
        description="Intervals of sensitivity, specificity, PPV and NPV; the two from counts need one study "
        "per patient.",
    )
    prevalence: float | None = Field(
        None, gt=0, lt=1, description="Share of positives for which predictive values are also stated."
    )
    partial_specificity: float = Field(
        0.9, ge=0, lt=1, description="The partial AUROC is that of specificities from this one up."
    )
    recalibrate: Literal["temperature", "platt", "isotonic"] | None = Field(
        None, description="Turn scores into probabilities by a fit on the validation split."
    )
    scale: Literal["auto", "probabilities", "log_odds", "ranks"] = Field(
        "auto",
        description="What the scores are: probabilities, log odds (made probabilities by the logistic "
        "function) or numbers of which only the order counts; auto takes them for probabilities where all of "
        "a split and of its validation lie within 0 to 1, else for ranks, and says so.",
    )
    bins: int = Field(10, ge=2, description="Bins of equal mass for the calibration error.")
    decision_thresholds: tuple[float, float] = Field(
        (0.01, 0.5), description="Range of probabilities at which one would act, for the decision curve."
    )
    subgroups: Names = Field(
        (), description="Columns of the table or manifest whose groups are judged apart."
    )
    correlate: Names | None = Field(
        None, description="Columns of measurements to correlate the score with; null takes those of severity."
    )
    grades: str | None = Field(
        None, description="Column of grades for the scores by grade; null takes as_grade where it is there."
    )

    @model_validator(mode="after")
    def _thresholds(self) -> "EvaluationConfig":
        first, last = self.decision_thresholds
        if not 0 <= first < last < 1:
            raise ValueError(f"decision_thresholds {first} to {last}, expected rising, 0 to below 1")
        return self


Tables = Annotated[
    tuple[Path, ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str | Path) else value),
    Field(min_length=1),
]
NumberMetric = Literal["mae", "r2", "pearson", "spearman"]
Metric = Literal["auroc", "auprc", "partial_auroc", "brier"]


class CompareConfig(IntervalConfig):
    """How tables of predictions are compared with the first of them."""

    metrics: Annotated[tuple[Metric, ...], BeforeValidator(_listed)] = Field(
        ("auroc", "auprc"),
        min_length=1,
        description="Compared figures: auroc, auprc, partial_auroc, brier (probabilities; less is better).",
    )
    partial_specificity: float = Field(
        0.9, ge=0, lt=1, description="The partial AUROC is that of specificities from this one up."
    )
    family: Annotated[tuple[Metric, ...], BeforeValidator(_listed)] = Field(
        ("auroc",),
        description="Metrics whose differences (each table, question and split) are judged together; their p "
        "is adjusted where there are two or more.",
    )
    numbers: Annotated[tuple[NumberMetric, ...], BeforeValidator(_listed)] = Field(
        ("mae", "r2", "pearson"),
        min_length=1,
        description="Compared figures of predicted measurements: mae (mean absolute error; less is better), "
        "r2, pearson, spearman.",
    )
    numbers_family: Annotated[tuple[NumberMetric, ...], BeforeValidator(_listed)] = Field(
        ("mae",), description="Those of them that join the family."
    )
    test: Literal["bootstrap", "permutation", "delong"] = Field(
        "bootstrap", description="Whose p-value is adjusted; delong has one for the AUROC alone."
    )
    correction: Literal["holm", "benjamini_hochberg"] = Field(
        "holm", description="Holm holds the chance of any false finding, the other the share of false ones."
    )
    together: bool = Field(
        False,
        description="Several findings under one set of redrawn patients, with the difference of their mean; "
        "the p of findings are one family over labels, data sets and pairs, those of means another.",
    )
    data_sets: dict[str, dict[str, Tables]] = Field(
        {},
        description="With together, instead of tables on the command line: name of a data set to arm to its "
        "table, or those of its runs with other seeds, which are then redrawn too.",
    )
    pairs: Literal["first", "all"] = Field(
        "first", description="With together: the first arm against each other one, or every two arms."
    )
    out: Path | None = Field(
        None, description="With together: a results.csv of all differences is written there."
    )

    @model_validator(mode="after")
    def _fits(self) -> "CompareConfig":
        strange = [name for name in self.family if name not in self.metrics]
        if strange:
            raise ValueError(f"family holds {', '.join(strange)}, which metrics does not")
        unknown = [name for name in self.numbers_family if name not in self.numbers]
        if unknown:
            raise ValueError(f"numbers_family holds {', '.join(unknown)}, which numbers does not")
        if self.test == "delong" and set(self.family) - {"auroc"}:
            raise ValueError("test=delong has a p-value of the AUROC alone; leave the others out of family")
        return self

    @model_validator(mode="after")
    def _together(self) -> "CompareConfig":
        if not self.together:
            others = {"data_sets": bool(self.data_sets), "pairs": self.pairs != "first", "out": self.out}
            for name in [name for name, given in others.items() if given]:
                raise ValueError(f"{name} has no effect without together=true")
            return self
        if given := sorted({"numbers", "numbers_family"} & self.model_fields_set):
            raise ValueError(f"{', '.join(given)}: no effect with together=true, which is for findings")
        if self.method != "percentile" or self.stratified or self.test != "bootstrap":
            raise ValueError(
                "together=true takes percentiles of plain redraws and their p; leave method, stratified and "
                "test out"
            )
        arms = {tuple(arms) for arms in self.data_sets.values()}
        if len(arms) > 1:
            raise ValueError("data_sets: every data set needs the same arms in the same order")
        if any(len(names) < 2 for names in arms):
            raise ValueError("data_sets: found one arm, expected two or more")
        return self
