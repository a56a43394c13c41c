"""The figures of the page. Each is drawn at phone width, so that its text stays readable there."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from echossl.evaluation import Interval, format_interval
from echossl.report.page import DifferenceLine, ReportPage, ResultLine, RocLine, TrainingCurve
from echossl.report.svg import INK, MUTED, PAPER, arm_colour, figure_style, to_svg

Line = TypeVar("Line", ResultLine, DifferenceLine)
Row = tuple[str, Interval, int]  # label, figure, place of the arm in the page

WIDTH_INCHES = 4.6
# on and off in line widths; arms differ by dash and by marker, not by colour alone
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (4, 1.5),
    (1, 1.2),
    (6, 1.5, 1, 1.5),
    (2, 2),
    (8, 3),
    (3, 1, 1, 1),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MOST_POINTS = 300
LONGEST_LABEL = 52


def results_figure(page: ReportPage) -> str:
    """AUROC of every arm with its interval, by label fraction, as an SVG element."""
    groups = _by_fraction(page.results)
    rows = [
        (heading, [(line.arm, line.auroc, page.arms.index(line.arm)) for line in lines])
        for heading, lines in groups
    ]
    return _forest(
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
    return _forest(
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


def dash(number: int) -> tuple[float, ...]:
    """Dash pattern of the arm with this place in the page, on and off in line widths; empty is solid."""
    return DASHES[number % len(DASHES)]


def _forest(
    groups: Sequence[tuple[str, Sequence[Row]]],
    *,
    name: str,
    axis_label: str,
    reference: tuple[float, str],
    emphasised: str = "",
    signed: bool = False,
    limits: tuple[float | None, float | None] = (None, None),
) -> str:
    """Intervals below each other, every label on a line of its own so that long names fit a phone."""
    num_rows = sum(len(rows) for _, rows in groups)
    height = 0.6 + 0.46 * num_rows + 0.42 * len(groups)
    with figure_style():
        figure = Figure(figsize=(WIDTH_INCHES, height))
        top, bottom = 1 - 0.02 / height, 0.48 / height
        axes = figure.add_axes((0.02, bottom, 0.96, top - bottom))
        axes.axvline(reference[0], color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.6)
        place, texts = 0.25, []
        for heading, rows in groups:
            place -= 0.75
            axes.text(
                0,
                place,
                heading,
                transform=axes.get_yaxis_transform(),
                color=MUTED,
                va="center",
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
            )
            for label, interval, number in rows:
                place -= 1.0
                _forest_row(axes, place, (label, interval, number), label == emphasised, signed)
                texts.append(f"{heading}, {label}: {format_interval(interval)}")
        axes.set(xlabel=axis_label, ylim=(place - 0.6, 0), yticks=[])
        _forest_limits(
            axes, [interval for _, rows in groups for _, interval, _ in rows], reference[0], limits
        )
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        alternative = f"{axis_label} with intervals; the dashed line is {reference[1]}. {'; '.join(texts)}."
        return to_svg(figure, name=name, alternative=alternative)


def _forest_row(axes: Axes, place: float, row: Row, emphasised: bool, signed: bool) -> None:
    label, interval, number = row
    colour = arm_colour(number)
    axes.plot(
        [interval.low, interval.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt"
    )
    axes.plot(
        interval.value,
        place,
        marker=MARKERS[number % len(MARKERS)],
        color=colour,
        markersize=8 if emphasised else 7,
        markeredgecolor=PAPER,
    )
    # the label hides the grid behind it
    words: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "color": INK,
        "weight": "bold" if emphasised else "normal",
        "bbox": {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
    }
    short = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    axes.text(0, place + 0.4, short, **words)
    value = f"{interval.value:+.3f}" if signed else f"{interval.value:.3f}"
    axes.text(1, place + 0.4, value, ha="right", **words)


def _forest_limits(
    axes: Axes, intervals: Iterable[Interval], reference: float, limits: tuple[float | None, float | None]
) -> None:
    ends = np.array([(interval.low, interval.high) for interval in intervals])
    finite = np.append(ends[np.isfinite(ends)], reference)
    room = 0.04 * (finite.max() - finite.min()) + 0.005
    low, high = finite.min() - room, finite.max() + room
    axes.set_xlim(limits[0] if limits[0] is not None else low, limits[1] if limits[1] is not None else high)


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
