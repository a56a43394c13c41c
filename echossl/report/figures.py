"""The figures of the page. Each is drawn at phone width, so that its text stays readable there."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from echossl.evaluation import format_interval
from echossl.report.forest import forest
from echossl.report.lines import DifferenceLine, ResultLine, RocLine, TrainingCurve
from echossl.report.marks import MARKERS, dash
from echossl.report.page import ReportPage
from echossl.report.svg import MUTED, PAPER, WIDTH_INCHES, arm_colour, figure_style, to_svg

Line = TypeVar("Line", ResultLine, DifferenceLine)
MOST_POINTS = 300


def results_figure(page: ReportPage) -> str:
    """AUROC of every arm with its interval, by label fraction, as an SVG element."""
    groups = _by_fraction(page.results)
    rows = [
        (heading, [(line.arm, line.auroc, page.arms.index(line.arm)) for line in lines])
        for heading, lines in groups
    ]
    return forest(
        rows,
        name="results",
        axis_label="AUROC",
        reference=(0.5, "chance"),
        emphasised=page.default_arm,
        limits=(None, 1.003),
    )


def differences_figure(page: ReportPage) -> str:
    """AUROC of the default arm minus that of every other one, as an SVG element."""
    groups = _by_fraction(page.differences)
    rows = [
        (heading, [(f"minus {line.arm}", line.auroc, page.arms.index(line.arm)) for line in lines])
        for heading, lines in groups
    ]
    return forest(
        rows,
        name="differences",
        axis_label="difference in AUROC",
        reference=(0.0, "no difference"),
        signed=True,
    )


def efficiency_figure(page: ReportPage) -> str:
    """AUROC against the number of labelled patients, one line per arm, as an SVG element."""
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, 3.3), layout="constrained")
        axes = figure.subplots()
        counts = sorted({line.num_labelled_patients for line in page.results})
        for number, arm in enumerate(page.arms):
            # arms side by side, so that intervals at the same number of labels do not cover each other
            aside = (counts[-1] / counts[0]) ** (0.015 * (number - (len(page.arms) - 1) / 2))
            _efficiency_line(axes, [line for line in page.results if line.arm == arm], number, aside)
        axes.set(xscale="log", xlabel="labelled patients (validation included)", ylabel="AUROC")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xticks([], minor=True)
        axes.axhline(0.5, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.grid(axis="y")
        texts = [
            f"{line.arm}, {line.num_labelled_patients} labelled patients: {format_interval(line.auroc)}"
            for line in page.results
        ]
        return to_svg(
            figure,
            name="efficiency",
            alternative=f"AUROC against labelled patients, with intervals. {'; '.join(texts)}.",
        )


def roc_figure(page: ReportPage) -> str:
    """Receiver operating characteristic of every arm, as an SVG element; the legend is the page's."""
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, WIDTH_INCHES * 0.92), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        # the default arm comes first in the page and is drawn last, on top
        for line in reversed(page.roc):
            _roc_line(axes, line, page)
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_aspect("equal")
        axes.grid()
        arms = "; ".join(line.arm for line in page.roc)
        return to_svg(figure, name="roc", alternative=f"Receiver operating characteristic curves of {arms}.")


def training_figure(curve: TrainingCurve, number: int) -> str:
    """One training curve, as an SVG element."""
    every = max(1, math.ceil(len(curve.steps) / MOST_POINTS))
    with figure_style():
        figure = Figure(figsize=(3.0, 1.9), layout="constrained")
        axes = figure.subplots()
        axes.plot(curve.steps[::every], curve.values[::every], color=arm_colour(0), linewidth=1.4)
        axes.set(xlabel="step", ylabel=curve.value_name)
        axes.locator_params(nbins=4)
        axes.grid(axis="y")
        first, last = curve.values[0], curve.values[-1]
        change = f"{curve.value_name} from {first:.3g} to {last:.3g}"
        text = f"{curve.title}: {change} in {curve.steps[-1]:.0f} steps."
        return to_svg(figure, name=f"training{number}", alternative=text)


def _efficiency_line(axes: Axes, lines: Sequence[ResultLine], number: int, aside: float) -> None:
    counts = np.array([line.num_labelled_patients for line in lines]) * aside
    values = np.array([line.auroc.value for line in lines])
    ends = np.array([(line.auroc.low, line.auroc.high) for line in lines]).T
    axes.errorbar(
        counts,
        values,
        yerr=np.maximum(np.abs(ends - values), 0),
        color=arm_colour(number),
        marker=MARKERS[number % len(MARKERS)],
        markersize=5,
        markeredgecolor=PAPER,
        linestyle=(0, dash(number) or None),
        linewidth=1.6,
        elinewidth=1.0,
    )


def _roc_line(axes: Axes, line: RocLine, page: ReportPage) -> None:
    number = page.arms.index(line.arm)
    axes.plot(
        line.curve.false_positive_rate,
        line.curve.true_positive_rate,
        color=arm_colour(number),
        linestyle=(0, dash(number) or None),
        linewidth=2.4 if line.arm == page.default_arm else 1.4,
    )


def _by_fraction(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        heading = f"{line.num_labelled_patients} labelled patients ({100 * line.fraction:.3g} %)"
        groups.setdefault(heading, []).append(line)
    return list(groups.items())
