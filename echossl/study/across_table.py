"""The rows of ``results.csv`` of a study of several sources: one a cell and figure, then what is pooled."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from echossl.config.study import ArmConfig, StudyConfig
from echossl.evaluation import Difference, Interval
from echossl.evaluation.multiplicity import Family
from echossl.evaluation.results import P_VALUE_SUFFIX
from echossl.evaluation.shared_classes import SHARED_FIGURES
from echossl.files import write_text
from echossl.study.across_pooled import (
    PairResult,
    mean_difference,
    mean_interval,
    penalty_interval,
)
from echossl.study.family import member_name

ALL, OWN, UNSEEN = "all", "own", "unseen"
PENALTY_SUFFIX = "_penalty"
Key = tuple[str, float]


@dataclass(frozen=True)
class AcrossRow:
    """One figure; the column ``draw`` or ``seed`` is ``all`` where it is pooled over them.

    Attributes:
        arm: the arm; a paired difference is ``A - B``.
        pretrained_on: sources of the pre-training, ``+`` between them; empty where there is none or several.
        adapted_on: sources that are learned from; ``all`` for a mean over them.
        tested_on: the tested source, ``own`` or ``unseen`` for a mean over such pairs, ``all`` of a penalty.
        fraction: share of the labelled training patients of each source that is learned from.
        draw: label draw.
        seed: training seed.
        metric: one of ``SHARED_FIGURES``, of a penalty index with ``_penalty``, of a difference also with
            ``_p_value`` and ``_p_value_`` with the correction.
        value: the figure.
        low: lower end of its interval.
        high: upper end.
        num_patients: tested patients; of a mean the sum over its pairs' test sources.
        num_labelled_patients: labelled patients of a cell, validation included; empty in a mean of several.
        classes: those that both sides assess, with | between.
    """

    arm: str
    pretrained_on: str
    adapted_on: str
    tested_on: str
    fraction: float
    draw: int | str
    seed: int | str
    metric: str
    value: float
    low: float | None
    high: float | None
    num_patients: int
    num_labelled_patients: int | None
    classes: str


@dataclass(frozen=True)
class Compared:
    """An arm against the first of those that are adapted in the same way, on unseen sources.

    Attributes:
        reference: the first arm.
        arm: the other one.
        fraction: share of the labels.
        differences: the first minus the other, by the name of the figure.
        adjusted: p-value of AUROC, adjusted over the family; None where nothing was adjusted.
    """

    reference: ArmConfig
    arm: ArmConfig
    fraction: float
    differences: dict[str, Difference]
    adjusted: float | None = None


def write_rows(rows: Sequence[AcrossRow], path: Path) -> None:
    """Write ``results.csv`` atomically; an absent value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(AcrossRow)])
    for row in rows:
        writer.writerow([_cell(value) for value in astuple(row)])
    write_text(path, text.getvalue())


def all_rows(config: StudyConfig, results: Sequence[PairResult]) -> Iterator[AcrossRow]:
    """Every row: cells, pairs over draws and seeds, means over pairs, penalties, differences."""
    for result in results:
        yield from _pair_rows(config, result)
    for (name, fraction), own in by_arm(results).items():
        for word, chosen in ((OWN, _own(own)), (UNSEEN, unseen(own))):
            if chosen:
                yield from _mean_rows(config, _blank(name, fraction, word, chosen), chosen)
        yield from _penalty_rows(config, own)
    for compared in comparisons(config, results):
        yield from _difference_rows(config, compared, results)


def by_arm(results: Sequence[PairResult]) -> dict[Key, list[PairResult]]:
    """Results of each arm and fraction, in their order."""
    found: dict[Key, list[PairResult]] = {}
    for result in results:
        found.setdefault((result.arm.name, result.fraction), []).append(result)
    return found


def unseen(results: Sequence[PairResult]) -> list[PairResult]:
    """Those tested on a source that was not learned from."""
    return [result for result in results if not result.is_own]


def rows_learned(config: StudyConfig, results: Sequence[PairResult]) -> dict[str, list[PairResult]]:
    """Of one arm and fraction, the rows of its matrix that are tested on every source, by what is learned."""
    rows: dict[str, list[PairResult]] = {}
    for result in results:
        rows.setdefault(result.adapted, []).append(result)
    return {name: row for name, row in rows.items() if len(row) == len(config.sources)}


def reference_of(config: StudyConfig, arm: ArmConfig) -> ArmConfig:
    """The first arm that is adapted in the same way, which may be the arm itself."""
    return next(one for one in config.arms if one.adapt_on == arm.adapt_on)


def declared(config: StudyConfig) -> list[tuple[ArmConfig, float]]:
    """The comparisons that the settings declare: an arm against its reference, at a fraction."""
    return [
        (arm, fraction)
        for fraction in config.family.fractions or config.fractions
        for arm in config.arms
        if reference_of(config, arm) is not arm and (not config.family.arms or arm.name in config.family.arms)
    ]


def comparisons(config: StudyConfig, results: Sequence[PairResult]) -> list[Compared]:
    """Every declared comparison that can be made; adjusted together if all of several can."""
    groups, found = by_arm(results), []
    for arm, fraction in declared(config):
        reference = reference_of(config, arm)
        first, other = (unseen(groups.get((one.name, fraction), [])) for one in (reference, arm))
        differences = {
            name: mean_difference(first, other, place, config.bootstrap)
            for place, name in enumerate(SHARED_FIGURES)
        }
        known = {name: one for name, one in differences.items() if one is not None}
        if known:
            found.append(Compared(reference, arm, fraction, known))
    if len(found) < max(2, len(declared(config))):
        return found
    names = [member_name(one.arm.name, one.fraction) for one in found]
    raw = {name: one.differences["auroc"].p_value for name, one in zip(names, found, strict=True)}
    adjusted = Family("comparisons with the first arm", tuple(names)).adjust(raw, config.family.correction)
    return [replace(one, adjusted=adjusted[name]) for name, one in zip(names, found, strict=True)]


def _pair_rows(config: StudyConfig, result: PairResult) -> Iterator[AcrossRow]:
    """Each draw and seed, then all of them, of one pair."""
    blank = AcrossRow(
        arm=result.arm.name,
        pretrained_on=result.pretrained,
        adapted_on=result.adapted,
        tested_on=result.tested,
        fraction=result.fraction,
        draw=ALL,
        seed=ALL,
        metric="",
        value=np.nan,
        low=None,
        high=None,
        num_patients=result.num_patients,
        num_labelled_patients=result.num_labelled_patients,
        classes="|".join(result.classes),
    )
    confidence = config.bootstrap.confidence
    for draw, plain_of_draw, samples_of_draw in zip(result.draws, result.plain, result.samples, strict=True):
        for seed, plain, samples in zip(result.seeds, plain_of_draw, samples_of_draw, strict=True):
            for metric, value, own in zip(SHARED_FIGURES, plain, samples, strict=True):
                interval = Interval.of(float(value), own, confidence)
                yield _with(replace(blank, draw=draw, seed=seed), metric, interval)
    yield from _mean_rows(config, blank, [result])


def _mean_rows(config: StudyConfig, blank: AcrossRow, results: Sequence[PairResult]) -> Iterator[AcrossRow]:
    for place, metric in enumerate(SHARED_FIGURES):
        yield _with(blank, metric, mean_interval(results, place, config.bootstrap))


def _penalty_rows(config: StudyConfig, results: Sequence[PairResult]) -> Iterator[AcrossRow]:
    for learned, row in rows_learned(config, results).items():
        blank = replace(
            _blank(row[0].arm.name, row[0].fraction, ALL, row),
            adapted_on=learned,
            pretrained_on=row[0].pretrained,
            num_labelled_patients=row[0].num_labelled_patients,
        )
        for place, metric in enumerate(SHARED_FIGURES):
            yield _with(blank, f"{metric}{PENALTY_SUFFIX}", penalty_interval(row, place, config.bootstrap))


def _difference_rows(
    config: StudyConfig, compared: Compared, results: Sequence[PairResult]
) -> Iterator[AcrossRow]:
    chosen = unseen(by_arm(results)[compared.arm.name, compared.fraction])
    name = f"{compared.reference.name} - {compared.arm.name}"
    blank = _blank(name, compared.fraction, UNSEEN, chosen)
    for metric, difference in compared.differences.items():
        row = _with(blank, metric, difference)
        yield row
        p_value = replace(row, value=difference.p_value, low=None, high=None)
        yield replace(p_value, metric=metric + P_VALUE_SUFFIX)
        if metric == "auroc" and compared.adjusted is not None:
            adjusted = f"{metric}{P_VALUE_SUFFIX}_{config.family.correction}"
            yield replace(p_value, metric=adjusted, value=compared.adjusted)


def _blank(arm: str, fraction: float, tested: str, results: Sequence[PairResult]) -> AcrossRow:
    patients = {result.tested: result.num_patients for result in results}
    return AcrossRow(
        arm, "", ALL, tested, fraction, ALL, ALL, "", np.nan, None, None, sum(patients.values()), None, ""
    )


def _own(results: Sequence[PairResult]) -> list[PairResult]:
    return [result for result in results if result.is_own]


def _with(row: AcrossRow, metric: str, interval: Interval) -> AcrossRow:
    return replace(row, metric=metric, value=interval.value, low=interval.low, high=interval.high)


def _cell(value: float | str | None) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
