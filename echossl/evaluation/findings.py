"""Several findings of two arms side by side: a paired difference each, and that of their mean."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from echossl.config.evaluation import LEAST_PER_CLASS, CompareConfig, Metric
from echossl.evaluation.assessment import as_plain
from echossl.evaluation.bootstrap import Difference
from echossl.evaluation.multiplicity import CORRECTIONS
from echossl.evaluation.results import ResultRow, format_p_value, write_results
from echossl.evaluation.spoken import TITLES

ADJUSTED_SUFFIX = "_adjusted_p_value"


@dataclass(frozen=True)
class FindingDifference(Difference):
    """One finding, or the mean of all: the figure of the first arm minus that of the second.

    Attributes:
        name: the label column, or ``mean``.
        first: the figure of the first arm, the mean over its runs.
        second: that of the second.
        patients: with a label of it; of the mean, of any finding.
        positive_patients: of those, with a positive study; None of the mean.
        left_out: studies without a label.
        uncertain: of those, the ones of the word uncertain.
        adjusted_p: within its family; None outside of it, or where that has one member.
    """

    name: str
    first: float
    second: float
    patients: int
    positive_patients: int | None
    left_out: int = 0
    uncertain: int = 0
    adjusted_p: float | None = None


@dataclass(frozen=True)
class FindingsComparison:
    """Two arms on one split of one data set, all findings under the same redrawn patients.

    Attributes:
        data_set: its name; empty for tables that were given bare.
        split: which split.
        metric: the compared figure.
        arms: names of the first and the second.
        runs: how many runs stand behind each.
        findings: in the order of the table.
        mean: of the findings: their mean figures, and the difference of those.
        spread_between_findings: standard deviation of the findings' differences, n - 1: how much they differ
            from one another. It says nothing of chance.
        error_of_mean: standard deviation of the redrawn mean difference: its standard error.
        lacking: findings that the split cannot answer, with the reason.
        families: names of the differences that were adjusted together: of findings, and of means.
        config: all settings.
    """

    data_set: str
    split: str
    metric: Metric
    arms: tuple[str, str]
    runs: tuple[int, int]
    findings: tuple[FindingDifference, ...]
    mean: FindingDifference
    spread_between_findings: float
    error_of_mean: float
    lacking: tuple[str, ...]
    config: CompareConfig
    families: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def title(self) -> str:
        """``harbour: A - B``."""
        start = f"{self.data_set}: " if self.data_set else ""
        return f"{start}{self.arms[0]} - {self.arms[1]}"

    @property
    def rows(self) -> tuple[FindingDifference, ...]:
        """The findings, then their mean."""
        return (*self.findings, self.mean)

    def member(self, name: str) -> str:
        """What a difference is called in its family."""
        return f"{self.metric} of {name}, split {self.split}, {self.title}"

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; one that is NaN is None."""
        whole = asdict(self) | {"title": self.title, "settings": self.config.model_dump(mode="json")}
        del whole["config"]
        plain: dict[str, Any] = as_plain(whole)
        return plain

    def as_rows(self) -> list[ResultRow]:
        """As ``results.csv`` holds them; each difference has its p-value and adjusted p-value beside it."""
        found: list[ResultRow] = []
        for one in self.rows:
            blank = ResultRow(
                split=self.split,
                metric="",
                value=0.0,
                num_patients=one.patients,
                num_positive=one.positive_patients,
                arm=self.title,
            )
            name = f"{self.metric}_{one.name}"
            found += blank.with_difference(name, one)
            if one.adjusted_p is not None:
                # the row of the p-value before it has no interval either
                found.append(replace(found[-1], metric=name + ADJUSTED_SUFFIX, value=one.adjusted_p))
        return found

    def as_text(self) -> str:
        """A table for a person."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        title = TITLES.get(self.metric, self.metric)
        runs = " and ".join(str(number) for number in dict.fromkeys(self.runs))
        runs += " runs each" if max(self.runs) > 1 else " run each"
        yield f"{self.title}: {title}, split {self.split}, {runs}"
        width = max(len(_called(one, self)) for one in self.rows)
        for one in self.rows:
            yield f"  {_called(one, self):{width}}  {self._said(one)}"
        if len(self.findings) > 1:
            spread = self.spread_between_findings
            yield f"  between findings the differences have a standard deviation of {spread:.3f}"
        yield f"  over redraws the difference of the means has a standard error of {self.error_of_mean:.3f}"
        drawn = "patients" if max(self.runs) == 1 else "patients and of the runs of each arm"
        yield (
            f"  {self.config.resamples} redraws of {self.mean.patients} {drawn}, the same for every finding; "
            f"{self.mean.unusable} lacked a class of some finding and are none of the mean's"
        )
        if max(self.runs) == 1:
            yield "  one run each: what chance of training does is in no interval"
        for reason in self.lacking:
            yield f"  {reason}"

    def _said(self, one: FindingDifference) -> str:
        text = (
            f"{one.first:.3f} - {one.second:.3f}: {one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f}), "
            f"{format_p_value(one.p_value)}"
        )
        if one.adjusted_p is not None:
            text += f", {CORRECTIONS[self.config.correction]} {format_p_value(one.adjusted_p)}"
        if one.positive_patients is None:
            return text
        parts = [f"{one.patients} patients", f"{one.positive_patients} positive"]
        parts += [f"{one.left_out} studies without a label"] if one.left_out else []
        parts += [f"{one.uncertain} of them uncertain"] if one.uncertain else []
        parts += [f"{one.unusable} redraws lacked a class"] if one.unusable else []
        if one.positive_patients < LEAST_PER_CLASS:
            parts.append(f"fewer than {LEAST_PER_CLASS} positive patients, so the interval is too narrow")
        return f"{text}; {', '.join(parts)}"


def _called(one: FindingDifference, comparison: FindingsComparison) -> str:
    return one.name if one is not comparison.mean else f"mean of {len(comparison.findings)}"


def write_differences(comparisons: Sequence[FindingsComparison], path: Path) -> None:
    """Write all differences as ``results.csv``; see :meth:`FindingsComparison.as_rows`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_results([row for one in comparisons for row in one.as_rows()], path)


def findings_lines(comparisons: Sequence[FindingsComparison]) -> list[str]:
    """What was adjusted together, to be printed below the comparisons."""
    if not comparisons:
        return []
    config, lines = comparisons[0].config, []
    judged = [one for one in comparisons if one.metric in config.family]
    parts: dict[str, list[str]] = {
        "metrics": [one.metric for one in judged],
        "findings": [row.name for one in judged for row in one.findings],
        "splits": [one.split for one in judged],
        "pairs": [" - ".join(one.arms) for one in judged],
        "data sets": [one.data_set for one in judged if one.data_set],
    }
    for what, family in zip(("findings", "means"), comparisons[0].families, strict=True):
        if not family:
            lines.append(f"fewer than two differences in the family of {what}: no p is adjusted")
            continue
        # the names of all members would fill a page
        said = "; ".join(
            f"{name}: {', '.join(dict.fromkeys(values))}"
            for name, values in parts.items()
            if values and (name, what) != ("findings", "means")
        )
        correction = CORRECTIONS[config.correction]
        lines.append(f"{correction} over the family of {what}, {len(family)} differences of {said}")
    return lines
