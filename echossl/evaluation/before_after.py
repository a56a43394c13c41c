"""The same encoders before and after something was done to them: what several tasks gained by it.

An encoder and what became of it share a seed, so that gains are paired by seed as well as by patient and
label draw. In :mod:`echossl.evaluation.panel_answers`, where arms are strangers, seeds are resampled apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

from echossl.config.evaluation import BootstrapConfig
from echossl.errors import UserError
from echossl.evaluation.auc import Floats
from echossl.evaluation.bootstrap import Difference
from echossl.evaluation.multiplicity import Family
from echossl.evaluation.panel_files import AUROC, Panels, Question
from echossl.evaluation.panels import Panel, Resampled, refuse_unpaired_panels
from echossl.evaluation.results import (
    ResultRow,
    format_difference,
    format_interval,
    format_p_value,
    write_results,
)
from echossl.files import write_text

ADJUSTED_SUFFIX, WILCOXON_SUFFIX = "_q_value", "_wilcoxon_p_value"


@dataclass(frozen=True)
class Gain:
    """What one task gained.

    Attributes:
        task: column of the label.
        question: split, metric and share of the labels.
        panel: the scores afterwards, for counts.
        before: the figure before.
        after: the figure afterwards.
        difference: after less before, paired by patient, label draw and seed.
        adjusted: p-value of the difference, adjusted over all tasks (Benjamini-Hochberg).
        by_seed: mean gain over the label draws, (seeds,).
    """

    task: str
    question: Question
    panel: Panel
    before: Resampled
    after: Resampled
    difference: Difference
    adjusted: float
    by_seed: Floats


@dataclass(frozen=True)
class Gains:
    """What all tasks gained at one share of the labels.

    Attributes:
        before: arm before.
        after: arm afterwards.
        tasks: a gain each.
        wilcoxon_p_value: two-sided signed-rank test of the gains by task and seed.
        num_pairs: of that test; the tasks share encoders and patients, so it is not as many experiments.
    """

    before: str
    after: str
    tasks: tuple[Gain, ...]
    wilcoxon_p_value: float
    num_pairs: int

    @property
    def mean(self) -> float:
        """Mean gain over tasks and seeds."""
        return float(np.mean([gain.by_seed for gain in self.tasks]))


def measure_gains(
    panels: Panels,
    before: str,
    after: str,
    config: BootstrapConfig,
    *,
    split: str = "test",
    fraction: float = 1.0,
) -> Gains:
    """Compare two arms of a probe on all of its label columns.

    Args:
        panels: as :func:`echossl.evaluation.panel_files.read_panels` reads them.
        before: name of an arm.
        after: name of the arm that came out of it, with the same seeds.
        config: resamples, confidence, seed.
        split: the split that is scored.
        fraction: share of the labelled training patients.

    Raises:
        UserError: if an arm is not there, or the two have other seeds, rows or draws.
    """
    questions = [asked for asked in panels if asked.split == split and asked.fraction == fraction]
    questions = [asked for asked in questions if not asked.is_r2]
    if len(questions) < 2:
        raise UserError(
            f"found {len(questions)} label columns of split {split} at fraction {fraction:g}, expected two "
            "or more; give the probe more columns"
        )
    for name in (before, after):
        if name not in panels[questions[0]]:
            raise UserError(f"no arm {name!r} to compare; there are {', '.join(panels[questions[0]])}")
    found = {
        asked: _compare(panels[asked][before], panels[asked][after], asked, config) for asked in questions
    }
    family = Family(f"{after} - {before}", tuple(asked.metric for asked in questions))
    raw = {asked.metric: gain.difference.p_value for asked, gain in found.items()}
    adjusted = family.adjust(raw, "benjamini_hochberg")
    tasks = tuple(replace(gain, adjusted=adjusted[asked.metric]) for asked, gain in found.items())
    every = np.concatenate([gain.by_seed for gain in tasks])
    return Gains(before, after, tasks, signed_rank_p_value(every), every.size)


def signed_rank_p_value(gains: Floats) -> float:
    """Two-sided Wilcoxon signed-rank test of differences (n,); 1 if all are zero."""
    if not np.any(gains):
        return 1.0
    return float(wilcoxon(gains).pvalue)


def write_gains(found: Sequence[Gains], folder: Path, *, notes: Sequence[str] = ()) -> str:
    """Write ``results.csv`` and ``summary.md`` into a folder; the text of the latter."""
    write_results([row for gains in found for row in gain_rows(gains)], folder / "results.csv")
    text = "\n".join([*notes, *(line for gains in found for line in ["", *gain_lines(gains)])]) + "\n"
    write_text(folder / "summary.md", text)
    return text


def gain_lines(gains: Gains) -> Iterator[str]:
    """A table for a person: a line per task, then what all of them say together."""
    first = gains.tasks[0]
    labels = f"{first.question.fraction:.0%} of the labels"
    yield f"## {gains.after} less {gains.before}, AUROC on the split {first.question.split} with {labels}"
    yield ""
    yield "| task | patients (positive) | labelled | before | after | gain, p | q | gain of each seed |"
    yield "|---|---|---|---|---|---|---|---|"
    for gain in gains.tasks:
        cells = [
            gain.task,
            f"{gain.panel.num_patients} ({gain.panel.num_positive})",
            str(gain.panel.num_labelled_patients),
            format_interval(gain.before.interval),
            format_interval(gain.after.interval),
            format_difference(gain.difference),
            f"{gain.adjusted:.3f}",
            ", ".join(f"{value:+.3f}" for value in gain.by_seed),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    seeds = len(first.by_seed)
    yield (
        f"Mean gain {gains.mean:+.3f}; Wilcoxon signed-rank test over {gains.num_pairs} task x seed means "
        f"({len(gains.tasks)} tasks, {seeds} seeds): {format_p_value(gains.wilcoxon_p_value)}. "
        f"q: Benjamini-Hochberg over the {len(gains.tasks)} tasks."
    )


def gain_rows(gains: Gains) -> Iterator[ResultRow]:
    """The same as rows of ``results.csv``: both arms and their difference for each task, then all tasks."""
    for gain in gains.tasks:
        blank = ResultRow(
            split=gain.question.split,
            metric=gain.question.metric,
            value=float("nan"),
            num_patients=gain.panel.num_patients,
            num_positive=gain.panel.num_positive,
            fraction=gain.question.fraction,
            draw="all",
            seed="all",
            num_labelled_patients=gain.panel.num_labelled_patients,
        )
        metric, pair = gain.question.metric, f"{gains.after} - {gains.before}"
        yield replace(blank, arm=gains.before).with_interval(metric, gain.before.interval)
        yield replace(blank, arm=gains.after).with_interval(metric, gain.after.interval)
        yield from replace(blank, arm=pair).with_difference(metric, gain.difference)
        yield replace(blank, arm=pair, metric=metric + ADJUSTED_SUFFIX, value=gain.adjusted)
        for seed, value in zip(gain.panel.seeds, gain.by_seed.tolist(), strict=True):
            yield replace(blank, arm=pair, seed=seed, value=value)
    whole = replace(blank, arm=pair, metric=AUROC, num_positive=None, num_labelled_patients=None)
    yield replace(whole, value=gains.mean)
    yield replace(whole, metric=AUROC + WILCOXON_SUFFIX, value=gains.wilcoxon_p_value)


def _compare(before: Panel, after: Panel, asked: Question, config: BootstrapConfig) -> Gain:
    refuse_unpaired_panels(before, after)
    if before.seeds != after.seeds:
        found, wanted = (", ".join(map(str, part.seeds)) for part in (after, before))
        raise UserError(
            f"{after.source}: seeds {found}, but {wanted} in {before.source}; gains are of the same "
            "encoders, give both arms the same seeds"
        )
    one, other = (Resampled.of(panel, asked.function, config) for panel in (before, after))
    gaps = after.cells(asked.function) - before.cells(asked.function)
    return Gain(
        task=asked.metric.removeprefix(f"{AUROC}_"),
        question=asked,
        panel=after,
        before=one,
        after=other,
        difference=Difference.of(other.value - one.value, other.samples - one.samples, config.confidence),
        adjusted=float("nan"),
        by_seed=gaps.mean(axis=0),
    )
